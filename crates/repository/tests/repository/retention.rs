//! restic's rules: what they keep and why, in tables, and compared with restic itself.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lifeboat_repository::{Age, BackupId, Candidate, KeepRules, Limit, Time, retain};

use crate::common::START_MS;

/// Central Europe, whatever zones this machine knows.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn utc(text: &str) -> Time {
    format!("{text}Z").parse().unwrap()
}

/// `last=2 weekly=unlimited within=1y tags=a,b tags=c`
fn rules(text: &str) -> KeepRules {
    let mut rules = KeepRules::default();
    for rule in text.split_whitespace() {
        let (name, value) = rule.split_once('=').unwrap();
        match name {
            "last" => rules.last = value.parse().unwrap(),
            "hourly" => rules.hourly = value.parse().unwrap(),
            "daily" => rules.daily = value.parse().unwrap(),
            "weekly" => rules.weekly = value.parse().unwrap(),
            "monthly" => rules.monthly = value.parse().unwrap(),
            "yearly" => rules.yearly = value.parse().unwrap(),
            "within" => rules.within = value.parse().unwrap(),
            "within-hourly" => rules.within_hourly = value.parse().unwrap(),
            "within-daily" => rules.within_daily = value.parse().unwrap(),
            "within-weekly" => rules.within_weekly = value.parse().unwrap(),
            "within-monthly" => rules.within_monthly = value.parse().unwrap(),
            "within-yearly" => rules.within_yearly = value.parse().unwrap(),
            "tags" => rules.tags.push(value.to_owned()),
            _ => panic!("{name}"),
        }
    }
    rules
}

fn id(number: usize) -> BackupId {
    format!("{number:016x}").parse().unwrap()
}

/// What is kept of times (UTC, any order) and why, newest first; `-` for what is not kept. The
/// letters after a time are its tags.
fn kept(times: &[&str], text: &str, zone: &TimeZone, now: &str) -> Vec<String> {
    let parsed: Vec<(Time, Vec<String>)> = times
        .iter()
        .map(|time| {
            let (time, tags) = time.split_once(' ').unwrap_or((time, ""));
            (utc(time), tags.split_whitespace().map(str::to_owned).collect())
        })
        .collect();
    let candidates: Vec<Candidate<'_>> = parsed
        .iter()
        .enumerate()
        .map(|(number, (time, tags))| Candidate { time: *time, id: id(number), tags })
        .collect();
    let verdicts = retain(&candidates, &rules(text), zone, utc(now));
    assert_eq!(verdicts.len(), times.len());
    let show = |reasons: &[lifeboat_repository::Reason]| match reasons {
        [] => "-".to_owned(),
        reasons => reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    verdicts.iter().map(|verdict| show(&verdict.reasons)).collect()
}

/// One table: name, zone, now, rules, times, and for each time what is expected of it.
struct Case {
    what: &'static str,
    local: bool,
    rules: &'static str,
    /// Time in UTC and tags; expected reasons. Newest first.
    table: &'static [(&'static str, &'static str)],
}

const NOW: &str = "2027-01-10T12:00:00";

const CASES: &[Case] = &[
    Case {
        what: "no rules keep everything",
        local: false,
        rules: "",
        table: &[("2026-11-21T02:00:00", "no rules"), ("2016-11-21T02:00:00", "no rules")],
    },
    Case {
        what: "the last ones, several in a minute, equal times by id",
        local: false,
        rules: "last=2",
        table: &[
            ("2026-11-21T02:00:00.002", "last"),
            ("2026-11-21T02:00:00.001", "last"),
            ("2026-11-21T02:00:00.001", "-"),
            ("2026-11-21T02:00:00.000", "-"),
        ],
    },
    Case {
        what: "a day without a backup uses up no number, and the oldest stays while some are left",
        local: false,
        rules: "daily=3",
        table: &[
            ("2026-11-21T20:00:00", "daily"),
            ("2026-11-21T02:00:00", "-"),
            ("2026-11-11T02:00:00", "daily"),
            ("2026-11-11T01:00:00", "daily"),
        ],
    },
    Case {
        what: "the oldest goes when no number is left",
        local: false,
        rules: "daily=2",
        table: &[
            ("2026-11-21T20:00:00", "daily"),
            ("2026-11-11T02:00:00", "daily"),
            ("2026-11-11T01:00:00", "-"),
        ],
    },
    Case {
        what: "a day is the local one: midnight in Berlin is 23 or 22 o'clock UTC",
        local: true,
        rules: "daily=9",
        table: &[
            ("2026-07-02T22:30:00", "daily"),
            ("2026-07-02T21:30:00", "daily"),
            ("2026-01-02T22:30:00", "daily"),
            ("2026-01-01T23:30:00", "-"),
            ("2026-01-01T22:30:00", "daily"),
        ],
    },
    Case {
        what: "the clocks go back: 2:30 comes twice, and is one hour",
        local: true,
        rules: "hourly=9",
        table: &[
            ("2026-10-25T02:10:00", "hourly"),
            ("2026-10-25T01:30:00", "hourly"),
            ("2026-10-25T00:30:00", "-"),
            ("2026-10-24T23:50:00", "hourly"),
        ],
    },
    Case {
        what: "the clocks go forward: the day has 23 hours, and 2:30 does not come",
        local: true,
        rules: "within=1d",
        table: &[
            ("2026-03-30T00:15:00", "within 1d"),
            ("2026-03-29T00:30:00", "-"),
            ("2026-03-29T00:00:00", "-"),
        ],
    },
    Case {
        what: "a day of 25 hours is one day",
        local: true,
        rules: "daily=9",
        table: &[
            ("2026-10-25T23:00:00", "daily"),
            ("2026-10-25T22:59:59", "daily"),
            ("2026-10-24T22:00:00", "-"),
            ("2026-10-24T21:59:59", "daily"),
        ],
    },
    Case {
        what: "and a day ago is 25 hours ago",
        local: true,
        rules: "within=1d",
        table: &[
            ("2026-10-25T23:15:00", "within 1d"),
            ("2026-10-24T22:15:01", "within 1d"),
            ("2026-10-24T22:15:00", "-"),
        ],
    },
    Case {
        what: "a day of 23 hours is one day, and the hours beside the one that is left out are two",
        local: true,
        rules: "daily=9 within-hourly=2h",
        table: &[
            ("2026-03-29T22:00:00", "daily, hourly within 2h"),
            ("2026-03-29T21:59:59", "daily, hourly within 2h"),
            ("2026-03-29T01:10:00", "-"),
            ("2026-03-28T23:00:00", "-"),
            ("2026-03-28T22:59:59", "daily"),
        ],
    },
    Case {
        what: "the hour that does not come is no hour",
        local: true,
        rules: "hourly=9",
        table: &[
            ("2026-03-29T01:10:00", "hourly"),
            ("2026-03-29T00:50:00", "hourly"),
            ("2026-03-29T00:10:00", "-"),
            ("2026-03-28T23:50:00", "hourly"),
        ],
    },
    Case {
        what: "the year ends at midnight in Berlin",
        local: true,
        rules: "monthly=9 yearly=9",
        table: &[
            ("2026-12-31T23:00:00", "monthly, yearly"),
            ("2026-12-31T22:59:59", "monthly, yearly"),
            ("2026-12-01T00:00:00", "-"),
            ("2026-11-30T22:59:59", "monthly"),
            ("2025-12-31T22:59:59", "monthly, yearly"),
        ],
    },
    Case {
        what: "backups a minute apart: the newest of each hour",
        local: false,
        rules: "hourly=2 last=1",
        table: &[
            ("2026-11-21T03:01:00", "last, hourly"),
            ("2026-11-21T03:00:00", "-"),
            ("2026-11-21T02:59:00", "hourly"),
            ("2026-11-21T02:58:00", "-"),
            ("2026-11-21T02:57:00", "-"),
        ],
    },
    Case {
        what: "a clock that was set back: what was made last is as old as it says",
        local: false,
        rules: "daily=2",
        table: &[
            ("2026-11-21T02:00:00", "daily"),
            ("2026-11-20T02:00:00", "daily"),
            ("2019-12-31T23:00:00", "-"),
        ],
    },
    Case {
        what: "weeks are ISO weeks: 2026 ends in week 53, which goes on in 2027",
        local: false,
        rules: "weekly=2",
        table: &[
            ("2027-01-04T00:00:00", "weekly"),
            ("2027-01-03T23:59:59", "weekly"),
            ("2026-12-31T00:00:00", "-"),
            ("2026-12-28T00:00:00", "-"),
            ("2026-12-27T00:00:00", "-"),
        ],
    },
    Case {
        what: "and the last days of 2024 are in week 1 of 2025",
        local: false,
        rules: "weekly=2 yearly=1",
        table: &[
            ("2025-01-02T00:00:00", "weekly, yearly"),
            ("2024-12-30T00:00:00", "-"),
            ("2024-12-29T00:00:00", "weekly"),
        ],
    },
    Case {
        what: "rules add up",
        local: false,
        rules: "last=1 daily=2 monthly=2 yearly=9",
        table: &[
            ("2026-11-21T02:00:00", "last, daily, monthly, yearly"),
            ("2026-11-20T02:00:00", "daily"),
            ("2026-11-19T02:00:00", "-"),
            ("2026-10-19T02:00:00", "monthly"),
            ("2025-10-19T02:00:00", "yearly"),
            ("2025-10-18T02:00:00", "yearly"),
        ],
    },
    Case {
        what: "all of a kind",
        local: false,
        rules: "monthly=unlimited",
        table: &[
            ("2026-11-21T02:00:00", "monthly"),
            ("2026-11-20T02:00:00", "-"),
            ("2016-10-19T02:00:00", "monthly"),
            ("2016-10-18T02:00:00", "monthly"),
        ],
    },
    Case {
        what: "ages count from the newest, and what is exactly as old goes",
        local: false,
        rules: "within=1d2h",
        table: &[
            ("2026-11-21T04:00:00", "within 1d2h"),
            ("2026-11-20T02:00:00.001", "within 1d2h"),
            ("2026-11-20T02:00:00", "-"),
        ],
    },
    Case {
        what: "a month before 31 March is 3 March",
        local: false,
        rules: "within=1m",
        table: &[
            ("2026-03-31T12:00:00", "within 1m"),
            ("2026-03-03T12:00:01", "within 1m"),
            ("2026-03-03T12:00:00", "-"),
            ("2026-02-28T12:00:00", "-"),
        ],
    },
    Case {
        what: "a clock that was ahead: what is in the future stays and counts, but is no newest",
        local: false,
        rules: "within=2d last=1",
        table: &[
            ("2030-01-01T00:00:00", "within 2d, last"),
            ("2027-01-10T00:00:00", "within 2d"),
            ("2027-01-08T00:00:01", "within 2d"),
            ("2027-01-08T00:00:00", "-"),
        ],
    },
    Case {
        what: "everything in the future",
        local: false,
        rules: "within=1h",
        table: &[("2030-01-01T00:00:00", "within 1h"), ("2029-01-01T00:00:00", "within 1h")],
    },
    Case {
        what: "the newest of each day, for a while",
        local: false,
        rules: "within-daily=2d within-yearly=9y",
        table: &[
            ("2026-11-21T04:00:00", "daily within 2d, yearly within 9y"),
            ("2026-11-21T03:00:00", "-"),
            ("2026-11-20T03:00:00", "daily within 2d"),
            ("2026-11-19T03:00:00", "-"),
            ("2025-11-19T03:00:00", "yearly within 9y"),
            ("2025-11-19T02:00:00", "-"),
        ],
    },
    Case {
        what: "all tags of one of the lists; tags are not counted",
        local: false,
        rules: "last=1 tags=a,b tags=c",
        table: &[
            ("2026-11-21T04:00:00 a b", "tags a,b, last"),
            ("2026-11-21T03:00:00 b d a", "tags a,b"),
            ("2026-11-21T02:00:00 a", "-"),
            ("2026-11-21T01:00:00 c", "tags c"),
            ("2026-11-21T00:00:00", "-"),
        ],
    },
];

#[test]
fn rules_keep_what_the_tables_say() {
    for case in CASES {
        let zone = if case.local { berlin() } else { TimeZone::UTC };
        let (times, expected): (Vec<&str>, Vec<&str>) = case.table.iter().copied().unzip();
        assert_eq!(kept(&times, case.rules, &zone, NOW), expected, "{}", case.what);
        let backwards: Vec<&str> = times.iter().rev().copied().collect();
        assert_eq!(kept(&backwards, case.rules, &zone, NOW), expected, "{}", case.what);
    }
    assert!(kept(&[], "last=1", &TimeZone::UTC, NOW).is_empty());
}

#[test]
fn equal_times_are_in_the_order_of_ids() {
    let time = Time::from_millis(START_MS);
    let candidates = [3, 1, 2].map(|number| Candidate { time, id: id(number), tags: &[] });
    let verdicts = retain(&candidates, &rules("last=1"), &TimeZone::UTC, utc(NOW));
    let ids: Vec<BackupId> = verdicts.iter().map(|verdict| verdict.id).collect();
    assert_eq!(ids, [id(3), id(2), id(1)]);
    assert!(verdicts[0].reasons.len() == 1 && verdicts[1].reasons.is_empty());
}

#[test]
fn ages_and_limits_are_read_and_written() {
    for (text, age) in [
        ("1y2m3d4h", Age { years: 1, months: 2, days: 3, hours: 4 }),
        ("30d", Age::of_days(30)),
        ("4h3d", Age { days: 3, hours: 4, ..Age::default() }),
        ("0h", Age::default()),
    ] {
        assert_eq!(text.parse::<Age>().unwrap(), age);
        assert_eq!(age.to_string().parse::<Age>().unwrap(), age);
    }
    for text in ["", "1", "d", "1w", "-1d", "1d1d", "1 d", "1é", "999999d", "99999999999d"] {
        assert!(text.parse::<Age>().is_err(), "{text}");
    }
    assert_eq!("unlimited".parse::<Limit>().unwrap(), Limit::Unlimited);
    assert_eq!("7".parse::<Limit>().unwrap(), Limit::Newest(7));
    for text in ["-1", "", "all", "4294967296"] {
        assert!(text.parse::<Limit>().is_err(), "{text}");
    }
    // Ages that reach before all dates keep everything.
    assert_eq!(kept(&["2026-11-21T04:00:00"], "within=99999y", &berlin(), NOW), ["within 99999y"]);
    let document = r#"{"last":5,"weekly":"unlimited","within-daily":"14d","tags":["a,b"]}"#;
    let read: KeepRules = serde_json::from_str(document).unwrap();
    assert_eq!(read, rules("last=5 weekly=unlimited within-daily=14d tags=a,b"));
    assert_eq!(serde_json::to_string(&read).unwrap(), document);
    for wrong in [r#"{"last":-1}"#, r#"{"weekly":"some"}"#, r#"{"within":"1w"}"#, r#"{"x":1}"#] {
        assert!(serde_json::from_str::<KeepRules>(wrong).is_err(), "{wrong}");
    }
}

mod oracle {
    //! The same times in a repository of restic, and what its `forget --dry-run` would keep.

    use std::path::Path;
    use std::process::Command;

    use super::*;

    const ZONE: &str = "Europe/Berlin";

    fn restic(directory: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("restic");
        command.args(["--quiet", "--no-cache", "--repo", "repository"]).args(arguments);
        command.env("RESTIC_PASSWORD", "x").env("TZ", ZONE).env("GOMAXPROCS", "2");
        let output = command.current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn is_before_0_16(directory: &Path) -> bool {
        let version = restic(directory, &["version"]);
        let mut numbers = version.split_whitespace().nth(1).unwrap().split('.');
        let mut next = || numbers.next().unwrap().parse::<u32>().unwrap();
        (next(), next()) < (0, 16)
    }

    /// Numbers that look random, the same in every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }

        fn pick<T: Copy>(&mut self, of: &[T]) -> T {
            of[usize::try_from(self.below(of.len() as u64)).unwrap()]
        }
    }

    /// Times on the wall with gaps from seconds to years, among them days on which the clocks
    /// change and the turn of a year.
    fn times(random: &mut Random) -> Vec<DateTime> {
        let mut times: Vec<DateTime> = [
            "2024-10-27T01:40:00",
            "2024-10-27T03:10:00",
            "2025-03-30T01:30:00",
            "2024-12-30T00:00:00",
            "2020-12-31T23:59:30",
            "2021-01-03T23:58:00",
            "2021-01-03T23:59:00",
            "2021-01-04T00:00:00",
        ]
        .iter()
        .map(|time| time.parse().unwrap())
        .collect();
        let mut time: DateTime = "2025-06-01T12:00:00".parse().unwrap();
        for _ in 0..14 {
            let gap = random.pick(&[20, 4_000, 90_000, 700_000, 3_000_000, 40_000_000]);
            let seconds = i64::try_from(1 + random.below(gap)).unwrap();
            time = time.checked_sub(jiff::SignedDuration::from_secs(seconds)).unwrap();
            times.push(time);
        }
        times
    }

    #[test]
    fn restic_keeps_the_same() {
        let found = Command::new("restic").arg("version").output().is_ok();
        let required = std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_some();
        assert!(found || !required, "restic is missing");
        let Ok(zone) = std::fs::read(format!("/usr/share/zoneinfo/{ZONE}")) else {
            assert!(!required, "the time zones are missing");
            println!("skipped: no time zones are installed");
            return;
        };
        let zone = TimeZone::tzif(ZONE, &zone).unwrap();
        if !found {
            println!("skipped: restic is not installed");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let seed = u64::try_from(Time::now().millis()).unwrap() | 1;
        println!("seed {seed}");
        let mut random = Random(seed);
        restic(directory.path(), &["init"]);
        std::fs::write(directory.path().join("file"), "x").unwrap();
        let mut backups = Vec::new();
        for wall in times(&mut random) {
            let tags: &[&str] = random.pick(&[&["a"][..], &["a", "b"], &[]]);
            let text = wall.strftime("%Y-%m-%d %H:%M:%S").to_string();
            let mut arguments = vec!["backup", "file", "--time", &text];
            for tag in tags {
                arguments.extend(["--tag", tag]);
            }
            restic(directory.path(), &arguments);
            let time = zone.to_timestamp(wall).unwrap().as_millisecond();
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            backups.push((Time::from_millis(time), tags));
        }
        for _ in 0..10 {
            compare(directory.path(), &backups, &zone, &mut random);
        }
    }

    /// Random rules, for both.
    fn compare(
        directory: &Path,
        backups: &[(Time, Vec<String>)],
        zone: &TimeZone,
        random: &mut Random,
    ) {
        let names = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];
        let mut given = Vec::new();
        for name in names {
            if random.below(3) == 0 {
                given.push(format!("{name}={}", 1 + random.below(7)));
            }
        }
        for name in ["within", "within-hourly", "within-daily", "within-weekly", "within-monthly"] {
            if random.below(4) == 0 {
                let (years, months) = (random.below(2), random.below(3));
                let (days, hours) = (random.below(40), 1 + random.below(30));
                given.push(format!("{name}={years}y{months}m{days}d{hours}h"));
            }
        }
        if random.below(3) == 0 {
            given.push(random.pick(&["tags=a", "tags=a,b"]).to_owned());
        }
        if given.is_empty() {
            given.push("last=3".to_owned());
        }
        let text = given.join(" ");
        let candidates: Vec<Candidate<'_>> = backups
            .iter()
            .enumerate()
            .map(|(number, (time, tags))| Candidate { time: *time, id: id(number), tags })
            .collect();
        let verdicts = retain(&candidates, &rules(&text), zone, Time::now());
        let mut ours: Vec<Time> = verdicts
            .iter()
            .filter(|verdict| !verdict.reasons.is_empty())
            .map(|verdict| backups[(0..).find(|number| id(*number) == verdict.id).unwrap()].0)
            .collect();
        ours.sort();

        let flags =
            given.iter().map(|rule| format!("--keep-{}", rule.replacen("tags=", "tag=", 1)));
        let flags: Vec<String> = ["forget", "--dry-run", "--json", "--group-by", ""]
            .iter()
            .map(|text| (*text).to_owned())
            .chain(flags)
            .collect();
        let out = restic(directory, &flags.iter().map(String::as_str).collect::<Vec<_>>());
        let groups: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
        let keep = groups[0]["keep"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut theirs: Vec<Time> =
            keep.iter().map(|one| one["time"].as_str().unwrap().parse().unwrap()).collect();
        theirs.sort();
        // That the oldest stays while a rule has a number left is new in 0.16.
        if is_before_0_16(directory) {
            let oldest = backups.iter().map(|(time, _)| *time).min();
            ours.retain(|time| Some(*time) != oldest);
            theirs.retain(|time| Some(*time) != oldest);
        }
        assert_eq!(ours, theirs, "{text}");
    }
}
