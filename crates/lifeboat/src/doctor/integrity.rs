//! SQLite's own check of a live database.

use std::path::Path;

use lifeboat_sqlite::{LiveCheck, check_live};

use super::finding::Diagnosis;
use super::scratch::Scratch;
use crate::{Context, Error, Progress, Result, size};

/// Tables are named up to this many.
const NAMED: usize = 5;

/// Checks the database at `path`; `copy_bytes` is what a private copy of it would take.
pub(super) fn examine(
    context: &Context,
    path: &Path,
    copy_bytes: u64,
    progress: &dyn Progress,
) -> Vec<Diagnosis> {
    progress.begin("checking", None);
    let checked = check(context, path, copy_bytes);
    progress.end();
    match checked {
        Ok(check) => judge(&check),
        Err(error) => vec![judge_error(error, path)],
    }
}

fn check(context: &Context, path: &Path, copy_bytes: u64) -> Result<LiveCheck> {
    let scratch = Scratch::begin(context)?;
    crate::space::require(scratch.path(), copy_bytes)?;
    Ok(check_live(path, scratch.path())?)
}

fn judge(check: &LiveCheck) -> Vec<Diagnosis> {
    let whole = match check.copied_bytes {
        0 => "SQLite's check finds no damage".to_owned(),
        bytes => format!("SQLite's check of a copy ({}) finds no damage", size::bytes(bytes)),
    };
    let mut findings = vec![Diagnosis::ok("integrity", whole)];
    if let Some(reason) = &check.unchecked {
        findings.push(Diagnosis::warning(
            "foreign keys",
            format!("references could not be checked: {reason}"),
            "let the application run PRAGMA foreign_key_check",
        ));
    }
    let more = check.dangling.len().saturating_sub(NAMED);
    findings.extend(check.dangling.iter().take(NAMED).map(|((table, parent), rows)| {
        let rows = size::count(*rows, "row");
        Diagnosis::warning(
            "foreign keys",
            format!("{rows} of {table} without the row of {parent} that they refer to"),
            format!("in the application's database: PRAGMA foreign_key_check({table})"),
        )
    }));
    if more > 0 {
        let found = format!("{} more with such rows", size::count(more as u64, "table"));
        let remedy = "in the application's database: PRAGMA foreign_key_check";
        findings.push(Diagnosis::warning("foreign keys", found, remedy));
    }
    findings
}

/// A finding of the check is damage of the source, unlike that of a backup.
fn judge_error(error: Error, path: &Path) -> Diagnosis {
    const RESTORE: &str = "stop the application, keep its files, and restore the newest backup \
                           that is whole: lifeboat restore";
    match error {
        Error::Database(lifeboat_sqlite::Error::Integrity { findings, .. }) => {
            let detail = findings.join("; ");
            let error = lifeboat_sqlite::Error::Corrupt { path: path.to_owned(), detail };
            Diagnosis::failed("integrity", error).remedy(RESTORE)
        }
        error @ Error::Database(lifeboat_sqlite::Error::Corrupt { .. }) => {
            Diagnosis::failed("integrity", error).remedy(RESTORE)
        }
        error => Diagnosis::failed("integrity", error),
    }
}
