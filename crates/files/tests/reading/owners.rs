//! The names of users and groups.

use lifeboat_files::OwnerNames;

#[test]
fn names_are_read_line_by_line() {
    let passwd = b"root:x:0:0:root:/root:/bin/sh\n# comment\ntoor:x:0:0::/:/bin/sh\n\
        me:x:1000:1000:Me,,,:/home/me:/bin/sh\n+nis::::::\nbad:x:-5:0::\nshort:x\n:x:7:7::\n\
        huge:x:4294967296:1::\n\xff:x:8:8::\nlast:x:4294967295:1::";
    let owners = OwnerNames::parse(passwd, b"root:x:0:\nstaff:x:50:me,you\n");
    assert_eq!(owners.user(0), "root", "the first of two names counts");
    assert_eq!(owners.user(1000), "me");
    assert_eq!(owners.user(u32::MAX), "last");
    assert_eq!((owners.user_id("toor"), owners.user_id("me")), (Some(0), Some(1000)));
    assert_eq!(
        (owners.user_id(""), owners.group_id("staff"), owners.group_id("me")),
        (None, Some(50), None)
    );
    for unknown in [1, 5, 7, 8] {
        assert_eq!(owners.user(unknown), "");
    }
    assert_eq!((owners.group(50), owners.group(1000)), ("staff", ""));
}

#[test]
fn this_host_has_a_root() {
    let (owners, problems) = OwnerNames::of_host();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!((owners.user(0), owners.group(0)), ("root", "root"));
}
