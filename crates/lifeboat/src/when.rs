//! Times as people write them.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Span, Timestamp};
use lifeboat_repository::Time;

use crate::{Error, Result};

/// Reads a time: RFC 3339 (`2026-11-21T14:30:05.123+01:00`); a date and time in the zone of this
/// machine (`2026-11-21 14:30`); a date, which is its first moment; `now`; or how long ago
/// (`15m ago`, `2h30m ago`, `3 days ago`). What is finer than a millisecond is left out.
///
/// [`Error::Usage`] for anything else, and for local times that the zone's clocks skip or show twice.
pub fn parse_time(text: &str) -> Result<Time> {
    parse(text, Time::now(), &TimeZone::system())
}

fn parse(text: &str, now: Time, zone: &TimeZone) -> Result<Time> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Ok(now);
    }
    if text.ends_with(" ago") {
        return ago(text, now, zone);
    }
    if let Ok(timestamp) = Timestamp::from_str(text) {
        return Ok(time_of(timestamp));
    }
    match DateTime::from_str(text) {
        Ok(local) => of_zone(local, zone),
        Err(_) => Err(no_time(text)),
    }
}

fn no_time(text: &str) -> Error {
    Error::usage(
        format!("{text:?} is no time"),
        "write it like \"2026-11-21 14:30:05\", 2026-11-21T14:30:05Z, \"15m ago\" or now",
    )
}

/// Days are those of the calendar, as the zone has them.
fn ago(text: &str, now: Time, zone: &TimeZone) -> Result<Time> {
    let span: Span = text.parse().map_err(|_| no_time(text))?;
    let then = now.timestamp().to_zoned(zone.clone()).checked_add(span);
    then.map(|then| time_of(then.timestamp())).map_err(|_| no_time(text))
}

/// A local time is one moment, except where the clocks are changed: whoever restores says which.
fn of_zone(local: DateTime, zone: &TimeZone) -> Result<Time> {
    let with = |offset: Offset| match offset.to_timestamp(local) {
        Ok(timestamp) => Ok(timestamp.display_with_offset(offset).to_string()),
        Err(_) => Err(no_time(&local.to_string())),
    };
    let (problem, before, after) = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => {
            let timestamp = offset.to_timestamp(local).map_err(|_| no_time(&local.to_string()))?;
            return Ok(time_of(timestamp));
        }
        AmbiguousOffset::Fold { before, after } => ("happens twice", before, after),
        AmbiguousOffset::Gap { before, after } => ("does not happen", after, before),
    };
    Err(Error::usage(
        format!("{local} {problem} in this time zone: the clocks are changed then"),
        format!("say which is meant: {} or {}", with(before)?, with(after)?),
    ))
}

fn time_of(timestamp: Timestamp) -> Time {
    Time::from_millis(timestamp.as_millisecond())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::parse;
    use crate::{Error, Time};

    /// Berlin's rules.
    fn zone() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn times_in_all_spellings() {
        let now: Time = "2026-11-21T14:30:05.500Z".parse().unwrap();
        let cases = [
            ("now", "2026-11-21T14:30:05.500Z"),
            ("2026-11-21T14:30:05Z", "2026-11-21T14:30:05.000Z"),
            ("2026-11-21T14:30:05.123456+01:00", "2026-11-21T13:30:05.123Z"),
            ("2026-11-21 14:30-05:00", "2026-11-21T19:30:00.000Z"),
            ("2026-11-21 14:30", "2026-11-21T13:30:00.000Z"),
            ("2026-11-21T14:30:05", "2026-11-21T13:30:05.000Z"),
            (" 2026-11-21 14:30:05.123 ", "2026-11-21T13:30:05.123Z"),
            ("2026-11-21", "2026-11-20T23:00:00.000Z"),
            ("2026-07-21 14:30", "2026-07-21T12:30:00.000Z"),
            ("15m ago", "2026-11-21T14:15:05.500Z"),
            ("2h30m ago", "2026-11-21T12:00:05.500Z"),
            ("90 seconds ago", "2026-11-21T14:28:35.500Z"),
            ("1d ago", "2026-11-20T14:30:05.500Z"),
            // At the same time of day, before the clocks were changed.
            ("4 weeks 2 days ago", "2026-10-22T13:30:05.500Z"),
            // The hour that is skipped, and the one that comes twice, by their ends.
            ("2026-03-29 01:59:59.999", "2026-03-29T00:59:59.999Z"),
            ("2026-03-29 03:00", "2026-03-29T01:00:00.000Z"),
            ("2026-10-25 01:59", "2026-10-24T23:59:00.000Z"),
            ("2026-10-25 03:00", "2026-10-25T02:00:00.000Z"),
        ];
        for (text, expected) in cases {
            let found = parse(text, now, &zone()).map(|time| time.to_string());
            assert_eq!(found.as_deref().ok(), Some(expected), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_is_none_or_two() {
        let cases = [
            (
                "2026-03-29 02:30",
                "does not happen",
                "2026-03-29T02:30:00+02:00 or 2026-03-29T02:30:00+01:00",
            ),
            (
                "2026-10-25 02:30",
                "happens twice",
                "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00",
            ),
            ("", "is no time", "15m ago"),
            ("yesterday", "is no time", "15m ago"),
            ("15m", "is no time", "15m ago"),
            ("ago", "is no time", "15m ago"),
            ("x ago", "is no time", "15m ago"),
            ("99999999999h ago", "is no time", "15m ago"),
            ("14:30", "is no time", "15m ago"),
            ("2026-02-30", "is no time", "15m ago"),
            ("0000000000000002", "is no time", "15m ago"),
        ];
        for (text, problem, hint) in cases {
            let error = parse(text, Time::now(), &zone()).unwrap_err();
            let Error::Usage { problem: found, hint: Some(told) } = &error else {
                panic!("{error}")
            };
            assert!(found.contains(problem) && told.contains(hint), "{text}: {found}; {told}");
        }
    }
}
