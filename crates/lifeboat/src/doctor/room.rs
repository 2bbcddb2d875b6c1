//! Free space.

use std::path::Path;

use super::finding::Diagnosis;
use crate::{Result, size};

/// With less than this nothing works.
const LEAST: u64 = 16 << 20;

/// The free space at a path, against what `purpose` may need of it.
pub(super) fn examine(path: &Path, needed: u64, purpose: &str) -> Diagnosis {
    match crate::space::free_bytes(path) {
        Ok(free) => judge(free, needed, purpose),
        Err(error) => Diagnosis::failed("free space", error),
    }
}

/// The same of what a storage says; nothing where it does not say.
pub(super) fn judge_found(
    free: Result<Option<u64>>,
    needed: u64,
    purpose: &str,
) -> Option<Diagnosis> {
    match free {
        Ok(free) => free.map(|free| judge(free, needed, purpose)),
        Err(error) => Some(Diagnosis::failed("free space", error)),
    }
}

fn judge(free: u64, needed: u64, purpose: &str) -> Diagnosis {
    let remedy = "make room, or choose another place";
    let has = format!("{} free", size::bytes(free));
    if free < LEAST {
        Diagnosis::problem("free space", format!("only {has}"), remedy)
    } else if free < needed {
        let found = format!("{has}, but {purpose} may need {}", size::bytes(needed));
        Diagnosis::warning("free space", found, remedy)
    } else {
        Diagnosis::ok("free space", has)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::judge;

    #[test]
    fn room_is_judged_by_what_is_needed() {
        let mib = 1 << 20;
        for (free, needed, severity) in [
            (0, 0, Severity::Problem),
            (15 * mib, 0, Severity::Problem),
            (16 * mib, 16 * mib, Severity::Ok),
            (100 * mib, 101 * mib, Severity::Warning),
            (u64::MAX, 1 << 40, Severity::Ok),
        ] {
            let judged = judge(free, needed, "a restore");
            assert_eq!(judged.severity, severity, "{free} of {needed}: {judged:?}");
        }
    }
}
