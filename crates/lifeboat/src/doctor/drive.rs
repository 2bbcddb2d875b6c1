//! The permission to use Google Drive: does it end soon.

use lifeboat_repository::Time;

use super::finding::Diagnosis;
use crate::location::Location;

const EXAMINED: &str = "permission";
const REMEDY: &str = "give it again: lifeboat auth gdrive; the permission of a client that is published does not end";
/// So much before the end it is said.
const AHEAD_S: i64 = 3 * 24 * 60 * 60;

/// Nothing for a repository that is elsewhere.
pub(super) fn examine(location: &Location, now: Time) -> Option<Diagnosis> {
    match location.folder()? {
        Ok(folder) => Some(judge(folder.expires().map(Time::from_system), now)),
        Err(error) => Some(Diagnosis::failed(EXAMINED, error).remedy(REMEDY)),
    }
}

fn judge(expires: Option<Time>, now: Time) -> Diagnosis {
    let Some(expires) = expires else {
        return Diagnosis::ok(EXAMINED, "to use Google Drive is given, and does not end");
    };
    let left_s = expires.millis().saturating_sub(now.millis()) / 1000;
    let end = expires.timestamp();
    match left_s {
        ..=0 => {
            Diagnosis::problem(EXAMINED, format!("to use Google Drive has ended at {end}"), REMEDY)
        }
        1..AHEAD_S => {
            Diagnosis::warning(EXAMINED, format!("to use Google Drive ends at {end}"), REMEDY)
        }
        _ => Diagnosis::ok(EXAMINED, format!("to use Google Drive is given until {end}")),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_repository::Time;

    use super::super::finding::Severity;
    use super::{AHEAD_S, judge};

    #[test]
    fn the_end_is_announced() {
        let now = Time::from_millis(1_800_000_000_000);
        let at = |seconds: i64| Time::from_millis(now.millis() + seconds * 1000);
        for (expires, severity) in [
            (None, Severity::Ok),
            (Some(at(AHEAD_S)), Severity::Ok),
            (Some(at(AHEAD_S - 1)), Severity::Warning),
            (Some(at(1)), Severity::Warning),
            (Some(at(0)), Severity::Problem),
            (Some(at(-1)), Severity::Problem),
        ] {
            assert_eq!(judge(expires, now).severity, severity, "{expires:?}");
        }
    }
}
