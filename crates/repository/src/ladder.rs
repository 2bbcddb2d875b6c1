//! How long the points of a database stay: the ladder of their ages.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::whole_millis as millis;
use crate::{Error, Result, Time};

/// The most rungs: captures and the merges of levels 1, 2 and 3.
const MOST_RUNGS: usize = 4;

/// How durations are written, the largest unit first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// One point of every so much time stays for so long: `30s for 24h`, or `all for 1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// The length of a window, of which the last point stays; zero: every point stays. Windows are
    /// counted from the beginning of 1970.
    pub every: Duration,
    /// The age up to which it stays.
    pub keep: Duration,
}

impl Rung {
    /// The window that a moment lies in; `None` where every point counts.
    pub(crate) fn window(&self, time: Time) -> Option<i64> {
        let every = millis(self.every);
        (every > 0).then(|| time.millis().div_euclid(every))
    }

    /// The end of a window, in milliseconds since the beginning of 1970.
    pub(crate) fn end_ms(&self, window: i64) -> i64 {
        window.saturating_add(1).saturating_mul(millis(self.every))
    }

    /// Whether a moment is young enough for this rung. What lies ahead is.
    pub(crate) fn reaches(&self, time: Time, now: Time) -> bool {
        now.millis().saturating_sub(time.millis()) <= millis(self.keep)
    }
}

/// Which points stay by their age, whatever backups hold besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Ladder(Vec<Rung>);

impl Default for Ladder {
    /// Every capture for an hour, one of 30 seconds for a day, one of 5 minutes for a week.
    fn default() -> Self {
        let rung = |every, keep| Rung {
            every: Duration::from_secs(every),
            keep: Duration::from_secs(keep),
        };
        Self(vec![rung(0, 3600), rung(30, 86_400), rung(300, 7 * 86_400)])
    }
}

impl Ladder {
    /// Of rungs from the shortest to the longest: the first keeps every point, the windows of each
    /// later one are whole multiples of those before, and it keeps them longer. At most four.
    ///
    /// [`Error::Parse`] names the rung that does not fit.
    pub fn new(rungs: Vec<Rung>) -> Result<Self> {
        let refuse = |expected, rung: &Rung| {
            let found = rung.to_string();
            Err(Error::Parse { expected, found })
        };
        match rungs.first() {
            Some(first) if first.every.is_zero() => {}
            Some(first) => return refuse("a first rung like \"all for 1h\"", first),
            None => {
                let expected = "at least one rung, like \"all for 1h\"";
                return Err(Error::Parse { expected, found: String::new() });
            }
        }
        if let Some(fifth) = rungs.get(MOST_RUNGS) {
            return refuse("at most four rungs", fifth);
        }
        for pair in rungs.windows(2) {
            let (former, next) = (millis(pair[0].every), millis(pair[1].every));
            if next <= former || former > 0 && next % former != 0 {
                return refuse("a rung whose windows are a multiple of those before", &pair[1]);
            }
            if pair[1].keep <= pair[0].keep {
                return refuse("a rung that keeps longer than the one before", &pair[1]);
            }
        }
        Ok(Self(rungs))
    }

    /// Only what backups hold stays, and the newest point.
    pub fn backups_only() -> Self {
        Self(vec![Rung { every: Duration::ZERO, keep: Duration::ZERO }])
    }

    /// From the shortest to the longest. The rung at `i` is that of level `i`.
    pub fn rungs(&self) -> &[Rung] {
        &self.0
    }

    /// The age beyond which only what backups hold stays.
    pub fn horizon(&self) -> Duration {
        self.0.last().map_or(Duration::ZERO, |rung| rung.keep)
    }

    /// The one with the later horizon; of equal ones, `self`.
    #[must_use]
    pub fn longer(&self, other: &Self) -> Self {
        if other.horizon() > self.horizon() { other } else { self }.clone()
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keep = show(self.keep);
        match self.every.is_zero() {
            true => write!(formatter, "all for {keep}"),
            false => write!(formatter, "{} for {keep}", show(self.every)),
        }
    }
}

/// In the largest unit of which it is a whole number; a single day is 24 hours.
fn show(duration: Duration) -> String {
    let count = duration.as_millis();
    let fits = |unit: u64| {
        let unit = u128::from(unit);
        count.is_multiple_of(unit) && count >= unit && (unit < 86_400_000 || count > unit)
    };
    match UNITS.iter().find(|(_, unit)| fits(*unit)) {
        Some((name, unit)) => format!("{}{name}", count / u128::from(*unit)),
        None => "0s".to_owned(),
    }
}

impl FromStr for Rung {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (every, keep) = text.trim().split_once(" for ")?;
            let every = match every.trim() {
                "all" => Duration::ZERO,
                every => read_duration(every).filter(|every| !every.is_zero())?,
            };
            Some(Self { every, keep: read_duration(keep.trim())? })
        };
        let expected = "a rung like \"all for 1h\" or \"30s for 24h\"";
        read().ok_or_else(|| Error::Parse { expected, found: text.to_owned() })
    }
}

fn read_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, name) = text.split_at(digits);
    let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == name)?;
    Some(Duration::from_millis(count.parse::<u64>().ok()?.checked_mul(*unit)?))
}

impl TryFrom<Vec<String>> for Ladder {
    type Error = Error;

    fn try_from(texts: Vec<String>) -> Result<Self> {
        Self::new(texts.iter().map(|text| text.parse()).collect::<Result<_>>()?)
    }
}

impl From<Ladder> for Vec<String> {
    fn from(ladder: Ladder) -> Self {
        ladder.0.iter().map(Rung::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Ladder, Rung, Time};

    fn ladder(texts: &[&str]) -> Result<Ladder, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Ladder::try_from(texts).map_err(|error| error.to_string())
    }

    #[test]
    fn a_ladder_is_written_as_it_is_read() {
        for texts in [
            &["all for 1h", "30s for 24h", "5m for 7d"][..],
            &["all for 0s"],
            &["all for 90m"],
            &["all for 500ms", "1s for 3s", "5s for 1m", "1h for 30d"],
        ] {
            let json = serde_json::to_string(texts).unwrap();
            let read: Ladder = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        assert_eq!(ladder(&["all for 1h", "30s for 24h", "5m for 7d"]), Ok(Ladder::default()));
        assert_eq!(ladder(&["all for 0s"]), Ok(Ladder::backups_only()));
    }

    #[test]
    fn what_is_no_ladder_is_refused_by_the_rung() {
        for (texts, named) in [
            (&[][..], "at least one rung"),
            (&["30s for 24h"], "30s for 24h"),
            (&["all for 1h", "all for 2h"], "all for 2h"),
            (&["all for 1h", "30s for 1h"], "30s for 1h"),
            (&["all for 1h", "30s for 2h", "45s for 3h"], "45s for 3h"),
            (&["all for 1h", "30s for 2h", "30s for 3h"], "30s for 3h"),
            (&["all for 1h", "1s for 2h", "2s for 3h", "4s for 4h", "8s for 5h"], "8s for 5h"),
            (&["all for ever"], "all for ever"),
            (&["0s for 1h"], "0s for 1h"),
            (&["all for 1"], "all for 1"),
            (&["all for 99999999999999999999d"], "99999999999999999999d"),
            (&["all for 999999999999999d"], "999999999999999d"),
            (&["all"], "\"all\""),
        ] {
            let refused = ladder(texts).unwrap_err();
            assert!(refused.contains(named), "{texts:?}: {refused}");
        }
    }

    #[test]
    fn the_later_horizon_wins() {
        let short = Ladder::backups_only();
        assert_eq!(short.longer(&Ladder::default()), Ladder::default());
        assert_eq!(Ladder::default().longer(&short), Ladder::default());
    }

    #[test]
    fn windows_begin_with_1970() {
        let rung = Rung { every: Duration::from_secs(30), keep: Duration::from_secs(60) };
        let time = Time::from_millis(90_000);
        assert_eq!(rung.window(time), Some(3));
        assert_eq!(rung.window(Time::from_millis(89_999)), Some(2));
        assert_eq!(rung.end_ms(2), 90_000);
        assert!(rung.reaches(time, Time::from_millis(150_000)));
        assert!(!rung.reaches(time, Time::from_millis(150_001)));
        assert!(rung.reaches(time, Time::from_millis(0)), "what lies ahead is young");
    }
}
