//! Rules as people say them: `last 5`, `30 days`, `7/4/12`, `all`.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{Age, KeepRules, Limit};
use crate::{Error, Result};

impl FromStr for KeepRules {
    type Err = Error;

    /// Reads
    ///
    /// - `last N`: the newest N backups,
    /// - `N days`: all that are not older, counted from the newest,
    /// - `D/W/M`: the newest of each of D days, W weeks and M months,
    /// - `all`.
    ///
    /// Rules that would keep nothing are refused: without rules, everything is kept.
    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let rules = match words.as_slice() {
            ["all"] => return Ok(Self::default()),
            ["last", number] => Limit::of(number).map(|last| Self { last, ..Self::default() }),
            [number, "day" | "days"] => {
                let age = format!("{number}d").parse::<Age>().ok();
                age.map(|within| Self { within, ..Self::default() })
            }
            [numbers] => of_calendar(numbers),
            _ => None,
        };
        rules.filter(|rules| !rules.is_empty()).ok_or_else(|| Error::Parse {
            expected: "rules like \"last 5\", \"30 days\", \"7/4/12\" (days/weeks/months) or \"all\"",
            found: text.to_owned(),
        })
    }
}

/// `7/4/12`
fn of_calendar(text: &str) -> Option<KeepRules> {
    let numbers: Option<Vec<Limit>> = text.split('/').map(Limit::of).collect();
    let [daily, weekly, monthly] = numbers?[..] else { return None };
    Some(KeepRules { daily, weekly, monthly, ..KeepRules::default() })
}

impl Limit {
    /// Of digits alone.
    fn of(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Self::Newest)
    }
}

impl Serialize for KeepRules {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // What is derived.
        Self::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for KeepRules {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOrTable)
    }
}

struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = KeepRules;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("rules like { daily = 7 } or \"last 5\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<KeepRules, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<KeepRules, A::Error> {
        // What is derived.
        KeepRules::deserialize(MapAccessDeserializer::new(table))
    }
}

#[cfg(test)]
mod tests {
    use super::{Age, KeepRules, Limit};

    #[test]
    fn presets_are_rules() {
        let none = KeepRules::default;
        for (text, rules) in [
            ("last 5", KeepRules { last: Limit::Newest(5), ..none() }),
            (" last  5 ", KeepRules { last: Limit::Newest(5), ..none() }),
            ("30 days", KeepRules { within: Age::of_days(30), ..none() }),
            ("1 day", KeepRules { within: Age::of_days(1), ..none() }),
            ("7/4/12", KeepRules::usual()),
            ("7/0/0", KeepRules { daily: Limit::Newest(7), ..none() }),
            ("all", none()),
        ] {
            assert_eq!(text.parse::<KeepRules>().unwrap(), rules, "{text}");
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::from_str::<KeepRules>(&json).unwrap(), rules, "{text}");
        }
        for text in [
            "",
            "5",
            "last",
            "last 0",
            "last -1",
            "last +5",
            "last x",
            "0 days",
            "days",
            "-1 days",
            "30",
            "30 weeks",
            "30d",
            "7/4",
            "7/4/12/1",
            "0/0/0",
            "7//12",
            "7/4/x",
            "everything",
            "last 4294967296",
            "100000 days",
            "all 5",
        ] {
            let error = text.parse::<KeepRules>().unwrap_err();
            assert!(
                error.to_string().contains("\"7/4/12\" (days/weeks/months)"),
                "{text}: {error}"
            );
        }
        let error = serde_json::from_str::<KeepRules>("5").unwrap_err().to_string();
        assert!(error.contains("expected rules like { daily = 7 } or \"last 5\""), "{error}");
    }
}
