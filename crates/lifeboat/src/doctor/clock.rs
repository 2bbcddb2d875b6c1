//! The clock of this machine. Points in time and retention are only as good as it.

use std::path::Path;

use lifeboat_repository::Time;

use super::finding::{Area, Diagnosis, Examination};
use crate::size;

/// No version of this program is older: 2026-11-01.
const OLDEST: i64 = 1_793_491_200_000;
/// Clocks of machines that agree differ by less.
const TOLERANCE: i64 = 5 * 60 * 1000;

/// Examines the clock; `newest` is when the newest backup in reach was made, by which host.
pub(super) fn examine(now: Time, newest: Option<&(Time, String)>) -> Examination {
    let mut examination = Examination::new(Area::Clock, "");
    examination.add([judge(now, newest)]);
    examination.add(judge_synchronised(Path::new("/run/systemd/timesync")));
    examination
}

fn judge(now: Time, newest: Option<&(Time, String)>) -> Diagnosis {
    const EXAMINED: &str = "time";
    const REMEDY: &str = "set the clock: timedatectl set-ntp true, or chrony";
    if now.millis() < OLDEST {
        let found = format!("the clock says {now}, which is before this program was made");
        return Diagnosis::problem(EXAMINED, found, REMEDY);
    }
    if let Some((newest, host)) = newest
        && newest.millis() > now.millis() + TOLERANCE
    {
        let ahead = size::duration((newest.millis() - now.millis()).unsigned_abs());
        let found = format!(
            "the newest backup, of {host}, is {ahead} ahead of this clock ({now}): new backups \
             would sort before it"
        );
        return Diagnosis::problem(EXAMINED, found, REMEDY);
    }
    Diagnosis::ok(EXAMINED, format!("{now}"))
}

/// systemd's time service says whether it has reached a server; others do not as cheaply.
fn judge_synchronised(directory: &Path) -> Option<Diagnosis> {
    const EXAMINED: &str = "time server";
    if !directory.is_dir() {
        return None;
    }
    Some(if directory.join("synchronized").exists() {
        Diagnosis::ok(EXAMINED, "synchronised by systemd-timesyncd")
    } else {
        Diagnosis::warning(
            EXAMINED,
            "systemd-timesyncd has not reached a time server",
            "look at `timedatectl timesync-status`",
        )
    })
}

#[cfg(test)]
mod tests {
    use lifeboat_repository::Time;

    use super::super::finding::Severity;
    use super::{judge, judge_synchronised};

    #[test]
    fn a_clock_is_not_behind_what_it_stamped() {
        let time = |text: &str| text.parse::<Time>().unwrap();
        let now = time("2026-11-21T12:00:00Z");
        let newest = |text| Some((time(text), "pi-1234".to_owned()));
        let cases = [
            (now, None, Severity::Ok),
            (now, newest("2026-11-21T11:00:00Z"), Severity::Ok),
            (now, newest("2026-11-21T12:04:00Z"), Severity::Ok),
            (now, newest("2026-11-21T12:06:00Z"), Severity::Problem),
            (time("1970-01-01T00:10:00Z"), None, Severity::Problem),
            (time("2026-10-31T23:59:59Z"), None, Severity::Problem),
            (time("2026-11-01T00:00:00Z"), None, Severity::Ok),
        ];
        for (now, newest, severity) in cases {
            let judged = judge(now, newest.as_ref());
            assert_eq!(judged.severity, severity, "{now}: {judged:?}");
        }
    }

    #[test]
    fn what_the_time_service_says() {
        let directory = tempfile::tempdir().unwrap();
        let severity = || judge_synchronised(directory.path()).unwrap().severity;
        assert_eq!(severity(), Severity::Warning);
        std::fs::write(directory.path().join("synchronized"), "").unwrap();
        assert_eq!(severity(), Severity::Ok);
        assert!(judge_synchronised(&directory.path().join("none")).is_none());
    }
}
