//! How much may be sent in a second, by the time of day.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use jiff::Zoned;
use jiff::civil::{Time, Weekday, time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::quantity::as_text;

/// A rate, or a timetable of them, as rclone's `--bwlimit` has it: `512K`, `2M`, `off`, or
/// `08:00,512K 23:00,off`, or with days, `Mon-08:00,512K Sat-00:00,off`.
///
/// Units are KiB, MiB and GiB a second, with or without their `iB` and `/s`; a number without unit is KiB, as
/// in rclone. An entry holds until the next one, around the end of the day or week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateTable {
    /// In the order of the week; a single rate is one that begins at its beginning.
    entries: Vec<Entry>,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Minutes since Monday, 00:00.
    from: u16,
    /// Bytes a second; `None`: as much as there is.
    rate: Option<NonZeroU64>,
}

const DAY: u16 = 24 * 60;

impl RateTable {
    /// The rate that holds now, by the clock of this machine, in bytes a second; `None`: as much as there is.
    pub fn now(&self) -> Option<NonZeroU64> {
        let now = Zoned::now();
        self.at(now.weekday(), now.time())
    }

    fn at(&self, day: Weekday, at: Time) -> Option<NonZeroU64> {
        let minute = minute_of_week(day, at);
        let begun = self.entries.iter().rfind(|entry| entry.from <= minute);
        // Before the first of the week, the last of the week before holds.
        begun.or(self.entries.last()).and_then(|entry| entry.rate)
    }
}

fn minute_of_week(day: Weekday, at: Time) -> u16 {
    let number = |small: i8| u16::try_from(small).unwrap_or(0);
    number(day.to_monday_zero_offset()) * DAY + number(at.hour()) * 60 + number(at.minute())
}

impl FromStr for RateTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected a rate like 512K, or a timetable like \"08:00,512K 23:00,off\", found {text:?}"
            )
        };
        let mut entries = Vec::new();
        match text.split_whitespace().collect::<Vec<_>>().as_slice() {
            [] => return Err(wrong()),
            [rate] if !rate.contains(',') => {
                entries.push(Entry { from: 0, rate: parse_rate(rate).ok_or_else(wrong)? });
            }
            several => {
                for entry in several {
                    entries.extend(parse_entry(entry).ok_or_else(wrong)?);
                }
            }
        }
        entries.sort_by_key(|entry| entry.from);
        if entries.windows(2).any(|two| two[0].from == two[1].from) {
            return Err(format!("two rates begin at the same time in {text:?}"));
        }
        Ok(Self { entries, text: text.to_owned() })
    }
}

/// `HH:MM,RATE` of each day, or `DAY-HH:MM,RATE`.
fn parse_entry(text: &str) -> Option<Vec<Entry>> {
    let (when, rate) = text.split_once(',')?;
    let rate = parse_rate(rate)?;
    let (days, at) = match when.split_once('-') {
        Some((day, at)) => (vec![parse_day(day)?], at),
        None => (Weekday::Monday.cycle_forward().take(7).collect(), when),
    };
    let (hour, minute) = at.split_once(':')?;
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) {
        return None;
    }
    let at = time(hour, minute, 0, 0);
    Some(days.into_iter().map(|day| Entry { from: minute_of_week(day, at), rate }).collect())
}

fn parse_day(text: &str) -> Option<Weekday> {
    const NAMES: [&str; 7] =
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.to_ascii_lowercase();
    let found = NAMES.iter().position(|name| text.len() >= 3 && name.starts_with(&text))?;
    Weekday::from_monday_zero_offset(i8::try_from(found).ok()?).ok()
}

/// The rate; `off` is none.
fn parse_rate(text: &str) -> Option<Option<NonZeroU64>> {
    if text.eq_ignore_ascii_case("off") {
        return Some(None);
    }
    let text = text.strip_suffix("/s").unwrap_or(text);
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "B" => 1,
        "" | "K" | "k" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return None,
    };
    NonZeroU64::new(number.parse::<u64>().ok()?.checked_mul(unit)?).map(Some)
}

impl fmt::Display for RateTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

as_text!(RateTable);

#[cfg(test)]
mod tests {
    use jiff::civil::{Weekday, time};

    use super::RateTable;

    fn rate(table: &str, day: Weekday, hour: i8, minute: i8) -> Option<u64> {
        let table: RateTable = table.parse().unwrap();
        table.at(day, time(hour, minute, 0, 0)).map(std::num::NonZeroU64::get)
    }

    #[test]
    fn the_last_entry_that_has_begun_holds() {
        use Weekday::{Friday, Monday, Saturday, Sunday};
        const DAILY: &str = "08:00,512K 23:00,off";
        const WEEKLY: &str = "Mon-08:00,1M fri-18:30,off";
        for (table, day, hour, minute, expected) in [
            ("2MiB/s", Sunday, 3, 0, Some(2 << 20)),
            ("512", Monday, 0, 0, Some(512 << 10)),
            ("100B", Monday, 0, 0, Some(100)),
            ("off", Monday, 0, 0, None),
            (DAILY, Monday, 7, 59, None),
            (DAILY, Monday, 8, 0, Some(512 << 10)),
            (DAILY, Sunday, 22, 59, Some(512 << 10)),
            (DAILY, Sunday, 23, 0, None),
            (WEEKLY, Monday, 7, 59, None),
            (WEEKLY, Monday, 8, 0, Some(1 << 20)),
            (WEEKLY, Friday, 18, 29, Some(1 << 20)),
            (WEEKLY, Friday, 18, 30, None),
            (WEEKLY, Saturday, 12, 0, None),
        ] {
            assert_eq!(rate(table, day, hour, minute), expected, "{table} {day:?} {hour}:{minute}");
        }
        let kept: RateTable = DAILY.parse().unwrap();
        assert_eq!(kept.to_string(), DAILY);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "0",
            "-1",
            "fast",
            "1.5M",
            "8:00",
            "24:00,1M",
            "08:60,1M",
            "08:00,1M 08:00,2M",
            "Xyz-08:00,1M",
            "Mo-08:00,1M",
            "08:00,1M 2M",
            "99999999999999999999G",
        ] {
            assert!(text.parse::<RateTable>().is_err(), "{text}");
        }
    }
}
