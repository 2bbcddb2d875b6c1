//! What a prune does with files, as `prune`, `forget --prune` and `backup --cleanup` tell it.

use lifeboat::{Error, FilesPrunePlan, FilesPruned, Lock};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::output::{chain, size};

type Outcome = Option<Result<FilesPruned, Error>>;

/// How a command ends that was to prune.
pub(super) fn exit(outcome: &Outcome) -> Exit {
    match outcome {
        None | Some(Ok(_)) => Exit::Ok,
        Some(Err(error)) if error.locked_by().is_some() => Exit::Locked,
        Some(Err(_)) => Exit::Failed,
    }
}

/// What was done; `None` where there are no files.
pub(super) fn sentence(outcome: &Outcome) -> Option<String> {
    Some(match outcome.as_ref()? {
        Ok(pruned) => of_pruned(pruned),
        Err(error) => match error.locked_by() {
            Some((lock, age)) => format!(
                "files were not pruned: {lock} uses them, its lock is {age} seconds old; prune later, or \
                 `lifeboat unlock` if it is not at work any more"
            ),
            None => format!("files were left alone: {}", chain(error)),
        },
    })
}

/// How a sentence goes on about what the store locks, if there is anything.
pub(super) fn locked(objects: u64) -> String {
    match objects {
        0 => String::new(),
        objects => format!(", {} still locked by the store", size::count(objects, "object")),
    }
}

fn of_pruned(pruned: &FilesPruned) -> String {
    let FilesPruned { snapshots, packs, .. } = pruned;
    format!(
        "files: removed {} and {}, {} freed{}",
        size::count(*snapshots, "snapshot"),
        size::count(packs.removed_packs, "pack"),
        size::bytes(pruned.freed_bytes()),
        locked(pruned.protected_objects()),
    )
}

/// What would be done; `None` where there are no files.
pub(super) fn sentence_of_plan(plan: Option<&FilesPrunePlan>) -> Option<String> {
    let FilesPrunePlan { snapshots, packs, .. } = plan?;
    let gone = (packs.remove.len() + packs.unreferenced.len()) as u64;
    Some(format!(
        "would remove of files: {} and {}, write what is needed of {} anew, and free {}",
        size::count(snapshots.len() as u64, "snapshot"),
        size::count(gone, "pack"),
        size::count(packs.repack.len() as u64, "other"),
        size::bytes(packs.freed_bytes()),
    ))
}

pub(super) fn document(outcome: &Outcome) -> Value {
    match outcome {
        None => Value::Null,
        Some(Ok(pruned)) => json!({
            "removed_snapshots": pruned.snapshots,
            "removed_packs": pruned.packs.removed_packs,
            "removed_bytes": pruned.packs.removed_bytes,
            "protected_objects": pruned.protected_objects(),
            "written_bytes": pruned.packs.written_bytes,
            "freed_bytes": pruned.freed_bytes(),
        }),
        Some(Err(error)) => match error.locked_by() {
            Some((lock, age)) => json!({ "locked_by": document_of_lock(lock, age) }),
            None => json!({ "error": chain(error) }),
        },
    }
}

pub(super) fn document_of_plan(plan: Option<&FilesPrunePlan>) -> Value {
    let Some(FilesPrunePlan { snapshots, kept_snapshots, packs, .. }) = plan else {
        return Value::Null;
    };
    json!({
        "remove_snapshots": snapshots.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(),
        "keep_snapshots": kept_snapshots,
        "remove_packs": packs.remove.len(),
        "unlisted_packs": packs.unreferenced.len(),
        "repack_packs": packs.repack.len(),
        "repack_bytes": packs.repack_bytes,
        "keep_packs": packs.kept_packs,
        "unused_bytes": packs.unused_bytes,
        "freed_bytes": packs.freed_bytes(),
    })
}

/// Who holds the files part, and since when.
pub(super) fn document_of_lock(lock: &Lock, age_seconds: u64) -> Value {
    json!({
        "hostname": lock.hostname,
        "username": lock.username,
        "pid": lock.pid,
        "exclusive": lock.exclusive,
        "time": lock.time.to_string(),
        "age_seconds": age_seconds,
    })
}
