//! What a command printed, and images of devices.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use lifeboat::{
    BackupRequest, Error, ImageRestoreReport, ImageRestoreRequest, Silent, dump_file,
    plan_image_restore, restore_image,
};

use crate::common::Machine;
use crate::machine::stored;

/// A backup of a command that prints `hello`, and of an image with much room.
fn backed_up() -> Machine {
    let machine = Machine::new();
    let image = fs::File::create(machine.path("disk.img")).unwrap();
    image.set_len(3_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&image, b"partition", 1_500_000).unwrap();
    fs::write(
        machine.path("lifeboat.toml"),
        "[command.hello]\nrun = [\"echo\", \"hello\"]\nfile-name = \"hello.txt\"\n\
         [device.disk]\npath = \"disk.img\"\n",
    )
    .unwrap();
    let report = lifeboat::backup(&machine.context(), &BackupRequest::default(), &Silent).unwrap();
    assert!(!report.is_partial(), "{report:?}");
    machine
}

fn restore(
    machine: &Machine,
    source: &str,
    target: Option<PathBuf>,
    force: bool,
) -> Result<ImageRestoreReport, Error> {
    let context = machine.context();
    let opened = context.open_repository().unwrap();
    let request = ImageRestoreRequest { target, force, no_lock: false };
    let plan = plan_image_restore(&opened, stored(&opened, Some(source)), &request, &Silent)?;
    restore_image(plan, &Silent)
}

#[test]
fn output_goes_to_a_file() {
    let machine = backed_up();
    let error = restore(&machine, "hello", None, false).unwrap_err();
    assert!(matches!(error, Error::Usage { .. }), "{error}");
    let target = machine.path("restored.txt");
    let report = restore(&machine, "hello", Some(target.clone()), false).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"hello\n");
    assert_eq!((report.size_bytes, report.moved_to), (6, None));

    fs::write(&target, "other").unwrap();
    let error = restore(&machine, "hello", Some(target.clone()), false).unwrap_err();
    assert!(error.to_string().contains("exists"), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"other");
    let report = restore(&machine, "hello", Some(target.clone()), true).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"hello\n");
    assert_eq!(fs::read(report.moved_to.unwrap().join("restored.txt")).unwrap(), b"other");

    // Into a directory, by its own name.
    fs::create_dir(machine.path("dir")).unwrap();
    let report = restore(&machine, "hello", Some(machine.path("dir")), false).unwrap();
    assert_eq!(report.target, machine.path("dir/hello.txt"));
}

#[test]
fn an_image_goes_to_a_file_with_holes() {
    let machine = backed_up();
    let target = machine.path("copy.img");
    restore(&machine, "disk", Some(target.clone()), false).unwrap();
    assert!(fs::read(&target).unwrap() == fs::read(machine.path("disk.img")).unwrap());
    assert!(target.metadata().unwrap().blocks() * 512 < 1_000_000);
    let error = restore(&machine, "disk", Some("/dev/null".into()), true).unwrap_err();
    assert!(error.to_string().contains("neither a file nor a block device"), "{error}");
    // By its path, too.
    let path = machine.path("disk.img");
    let by_path = restore(&machine, path.to_str().unwrap(), Some(machine.path("2.img")), false);
    assert_eq!(by_path.unwrap().name, "disk");
}

#[test]
fn damage_leaves_what_is_there() {
    let machine = backed_up();
    let target = machine.path("copy.img");
    fs::write(&target, "mine").unwrap();
    for pack in crate::common::objects_below(&machine.path(".local/share/lifeboat/repository/data"))
    {
        let mut bytes = fs::read(&pack).unwrap();
        bytes[20] ^= 1;
        fs::write(&pack, bytes).unwrap();
    }
    assert!(restore(&machine, "disk", Some(target.clone()), true).is_err());
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    let left: Vec<_> = fs::read_dir(machine.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn both_can_be_written_to_a_stream() {
    let machine = backed_up();
    let context = machine.context();
    let opened = context.open_repository().unwrap();
    let dumped = |source: &str| {
        let mut out = Vec::new();
        dump_file(&opened, &stored(&opened, Some(source)), false, &mut out, &Silent).unwrap();
        out
    };
    assert_eq!(dumped("hello"), b"hello\n");
    assert!(dumped("disk") == fs::read(machine.path("disk.img")).unwrap());
}
