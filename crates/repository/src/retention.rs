//! Which backups stay: restic's rules, as a pure function of times and tags.
//!
//! The rules are counted from the newest backup to the oldest. Each rule that still has a number
//! left keeps the newest backup of every hour (day, week, month, year) it meets; a backup is kept
//! if any rule keeps it. As in restic:
//!
//! - Hours, days, weeks (ISO 8601), months and years are those of the local time zone.
//! - An hour, day, … without a backup does not use up a number.
//! - The oldest backup is kept by every rule that has a number left.
//! - Ages count back from the newest backup that is not in the future, not from now: nothing
//!   disappears while no backups are made.
//! - Rules that say nothing keep everything.

mod age;
mod limit;
mod preset;

use std::cmp::Reverse;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use self::age::Age;
pub use self::limit::Limit;
use crate::{BackupId, Time};

/// The rules, spelled as restic's `--keep-*` without `keep-`; or in one text, see its `FromStr`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct KeepRules {
    /// The newest backups.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub last: Limit,
    /// The newest of each of the newest hours.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub hourly: Limit,
    /// The newest of each of the newest days.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub daily: Limit,
    /// The newest of each of the newest weeks.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub weekly: Limit,
    /// The newest of each of the newest months.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub monthly: Limit,
    /// The newest of each of the newest years.
    #[serde(skip_serializing_if = "Limit::is_none")]
    pub yearly: Limit,
    /// All that are not older.
    #[serde(skip_serializing_if = "Age::is_zero")]
    pub within: Age,
    /// The newest of every hour that are not older; and so on.
    #[serde(skip_serializing_if = "Age::is_zero")]
    pub within_hourly: Age,
    /// The newest of every day.
    #[serde(skip_serializing_if = "Age::is_zero")]
    pub within_daily: Age,
    /// The newest of every week.
    #[serde(skip_serializing_if = "Age::is_zero")]
    pub within_weekly: Age,
    /// The newest of every month.
    #[serde(skip_serializing_if = "Age::is_zero")]
    pub within_monthly: Age,
    /// The newest of every year.
    #[serde(skip_serializing_if = "Age::is_zero")]
    pub within_yearly: Age,
    /// Those that have all tags of one of these lists; the tags of a list are separated by commas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// When the backup began.
    pub time: Time,
    /// Decides between equal times.
    pub id: BackupId,
    /// Its tags.
    pub tags: &'a [String],
}

/// What becomes of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which one.
    pub id: BackupId,
    /// Why it is kept. Empty: it is not.
    pub reasons: Vec<Reason>,
}

/// Why a backup is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There are no rules.
    NoRules,
    /// It has all of these tags.
    Tags(String),
    /// It is not older.
    Within(Age),
    /// The newest of its kind.
    Newest(Period),
    /// The newest of its period, and not older.
    NewestWithin(Period, Age),
    /// It has a tag that no rule overrides.
    Protected(&'static str),
    /// It is the newest that passed a drill.
    Drilled,
    /// It holds what this version does not know, or cannot be read.
    NotUnderstood,
}

/// What one rule keeps the newest of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Every backup is one.
    Last,
    /// Hours.
    Hourly,
    /// Days.
    Daily,
    /// ISO weeks.
    Weekly,
    /// Months.
    Monthly,
    /// Years.
    Yearly,
}

impl KeepRules {
    /// 7 daily, 4 weekly, 12 monthly: what holds where nothing is configured.
    pub fn usual() -> Self {
        let (daily, weekly, monthly) = (Limit::Newest(7), Limit::Newest(4), Limit::Newest(12));
        Self { daily, weekly, monthly, ..Self::default() }
    }

    /// What holds for backups of these types where nothing is configured.
    pub fn usual_by_type() -> Vec<(&'static str, Self)> {
        let within = |days| Self { within: Age { days, ..Age::default() }, ..Self::default() };
        let config = Self { last: Limit::Newest(5), ..within(90) };
        vec![("full", within(30)), ("incremental", within(7)), ("config", config)]
    }

    /// Whether they say nothing, and so keep everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Decides about backups; newest first, of equal times the higher id first.
pub fn retain(
    candidates: &[Candidate<'_>],
    rules: &KeepRules,
    zone: &TimeZone,
    now: Time,
) -> Vec<Verdict> {
    let mut sorted: Vec<&Candidate<'_>> = candidates.iter().collect();
    sorted.sort_by_key(|candidate| Reverse((candidate.time, candidate.id)));
    let past = sorted.iter().map(|candidate| candidate.time).filter(|time| *time < now);
    let newest = past.max().map(Time::timestamp);
    let mut counted = counted_rules(rules);
    let mut aged = aged_rules(rules);
    let last = sorted.len().saturating_sub(1);
    let judge = |(number, candidate): (usize, &Candidate<'_>)| {
        if rules.is_empty() {
            return Verdict { id: candidate.id, reasons: vec![Reason::NoRules] };
        }
        let lists = rules.tags.iter().filter(|list| has_tags(candidate.tags, list));
        let mut reasons: Vec<Reason> = lists.map(|list| Reason::Tags(list.clone())).collect();
        let within = |age: Age| age.reaches(newest, candidate.time.timestamp(), zone);
        if !rules.within.is_zero() && within(rules.within) {
            reasons.push(Reason::Within(rules.within));
        }
        for rule in counted.iter_mut().filter(|rule| !rule.limit.is_none()) {
            let bucket = rule.period.bucket(candidate.time.timestamp(), zone, number);
            if rule.seen != Some(bucket) || number == last {
                rule.seen = Some(bucket);
                rule.limit.use_up();
                reasons.push(Reason::Newest(rule.period));
            }
        }
        for rule in aged.iter_mut().filter(|rule| !rule.age.is_zero() && within(rule.age)) {
            let bucket = rule.period.bucket(candidate.time.timestamp(), zone, number);
            if rule.seen != Some(bucket) {
                rule.seen = Some(bucket);
                reasons.push(Reason::NewestWithin(rule.period, rule.age));
            }
        }
        Verdict { id: candidate.id, reasons }
    };
    sorted.into_iter().enumerate().map(judge).collect()
}

/// A period, in numbers that differ where the periods do.
type Bucket = [i64; 4];

/// A rule that keeps so many.
struct Counted {
    period: Period,
    limit: Limit,
    seen: Option<Bucket>,
}

/// A rule that keeps what is not older.
struct Aged {
    period: Period,
    age: Age,
    seen: Option<Bucket>,
}

fn counted_rules(rules: &KeepRules) -> [Counted; 6] {
    let rule = |period, limit| Counted { period, limit, seen: None };
    [
        rule(Period::Last, rules.last),
        rule(Period::Hourly, rules.hourly),
        rule(Period::Daily, rules.daily),
        rule(Period::Weekly, rules.weekly),
        rule(Period::Monthly, rules.monthly),
        rule(Period::Yearly, rules.yearly),
    ]
}

fn aged_rules(rules: &KeepRules) -> [Aged; 5] {
    let rule = |period, age| Aged { period, age, seen: None };
    [
        rule(Period::Hourly, rules.within_hourly),
        rule(Period::Daily, rules.within_daily),
        rule(Period::Weekly, rules.within_weekly),
        rule(Period::Monthly, rules.within_monthly),
        rule(Period::Yearly, rules.within_yearly),
    ]
}

/// Whether a backup has every tag of a list. As in restic, an empty tag stands for having none.
pub fn has_tags(tags: &[String], list: &str) -> bool {
    list.is_empty() && tags.is_empty()
        || list.split(',').all(|wanted| tags.iter().any(|tag| tag == wanted))
}

impl Period {
    fn bucket(self, time: Timestamp, zone: &TimeZone, number: usize) -> Bucket {
        let local = time.to_zoned(zone.clone());
        let (year, month) = (i64::from(local.year()), i64::from(local.month()));
        let day = i64::from(local.day());
        match self {
            Self::Last => [i64::try_from(number).unwrap_or(i64::MAX), 0, 0, 0],
            Self::Hourly => [year, month, day, i64::from(local.hour())],
            Self::Daily => [year, month, day, 0],
            Self::Weekly => {
                let week = local.date().iso_week_date();
                [i64::from(week.year()), i64::from(week.week()), 0, 0]
            }
            Self::Monthly => [year, month, 0, 0],
            Self::Yearly => [year, 0, 0, 0],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRules => formatter.write_str("no rules"),
            Self::Tags(list) => write!(formatter, "tags {list}"),
            Self::Within(age) => write!(formatter, "within {age}"),
            Self::Newest(period) => write!(formatter, "{period}"),
            Self::NewestWithin(period, age) => write!(formatter, "{period} within {age}"),
            Self::Protected(tag) => write!(formatter, "tagged {tag}"),
            Self::Drilled => formatter.write_str("newest that passed a drill"),
            Self::NotUnderstood => formatter.write_str("not understood"),
        }
    }
}
