//! Which backups the rules keep: a pure function of what manifests say.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::tz::TimeZone;
use lifeboat_repository::{
    BackupId, BackupName, BackupType, Candidate, KeepRules, Manifest, Reason, Source, Time, retain,
};

/// Backups with this tag go only when they are named.
pub(crate) const SAFETY: &str = "safety";

/// What the rules need to know of a backup.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) name: BackupName,
    pub(crate) host: String,
    pub(crate) label: Option<String>,
    pub(crate) backup_type: Option<BackupType>,
    pub(crate) tags: Vec<String>,
    /// The sources it holds.
    pub(crate) sources: Vec<String>,
    /// The databases that lie among the files of a source, and that source: they stay as long as it does. One may
    /// lie among those of several.
    pub(crate) placed: BTreeSet<(String, String)>,
    /// The sources that were taken out of it.
    pub(crate) forgotten: Vec<String>,
    /// Whether every source is of a kind that is known.
    pub(crate) understood: bool,
}

impl Item {
    pub(crate) fn of(name: &BackupName, manifest: &Manifest) -> Self {
        let placed = manifest.placed_databases();
        Self {
            name: name.clone(),
            host: manifest.host.clone(),
            label: manifest.label.clone(),
            backup_type: manifest.backup_type.clone(),
            tags: manifest.tags.clone(),
            sources: manifest.sources.iter().filter_map(Source::name).cloned().collect(),
            placed: placed.map(|(one, files)| (one.to_owned(), files.to_owned())).collect(),
            forgotten: manifest.forgotten.clone(),
            understood: !manifest.sources.contains(&Source::Unknown),
        }
    }

    /// Why no rule decides about it.
    fn exempt(&self) -> Option<Reason> {
        if self.tags.iter().any(|tag| tag == SAFETY) {
            Some(Reason::Protected(SAFETY))
        } else {
            (!self.understood).then_some(Reason::NotUnderstood)
        }
    }
}

/// Backups of one host and one type that were made of the same sources: rules count each group by
/// itself.
#[derive(Debug, Clone)]
pub struct ForgetGroup {
    /// The host.
    pub host: String,
    /// The type; `None`: backups without one.
    pub backup_type: Option<BackupType>,
    /// The names of the sources.
    pub sources: Vec<String>,
    /// Its backups, newest first.
    pub backups: Vec<ForgetVerdict>,
}

/// What becomes of a backup.
#[derive(Debug, Clone)]
pub struct ForgetVerdict {
    /// The backup.
    pub name: BackupName,
    /// The name given to it.
    pub label: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Why it stays, by the sources that stay in it. Empty: it goes.
    pub keep: BTreeMap<String, Vec<Reason>>,
    /// The sources that go.
    pub forget: Vec<String>,
}

impl ForgetVerdict {
    /// Whether the backup stays, perhaps without some of its sources.
    pub fn stays(&self) -> bool {
        !self.keep.is_empty()
    }

    /// Why it stays; each reason once.
    pub fn reasons(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for reason in self.keep.values().flatten() {
            let text = reason.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }
}

/// A group of which the rules would keep nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeepsNothing {
    pub(crate) host: String,
    pub(crate) source: String,
}

/// Decides about every source of every backup. `rules` are those of a host's source, in
/// backups of a type. Which databases lie among files says nothing about what a backup was made of: they come
/// and go.
///
/// A backup of another host than `own_host` goes as a whole or not at all: only its own host may
/// sign what is left of it.
///
/// Fails if the rules would keep no backup of a source in a group.
pub(crate) fn decide<'a>(
    items: &[Item],
    own_host: &str,
    rules: impl Fn(&str, Option<&BackupType>, &str) -> &'a KeepRules,
    drilled: &HashSet<BackupId>,
    zone: &TimeZone,
    now: Time,
) -> Result<Vec<ForgetGroup>, KeepsNothing> {
    type Group<'a> = (&'a str, BTreeSet<&'a String>, Option<&'a BackupType>);
    let mut groups: BTreeMap<Group<'_>, Vec<&Item>> = BTreeMap::new();
    for item in items {
        let named = item.sources.iter().chain(&item.forgotten);
        let placed: BTreeSet<&String> = item.placed.iter().map(|(database, _)| database).collect();
        let made_of = named.filter(|source| !placed.contains(source)).collect();
        let group = (item.host.as_str(), made_of, item.backup_type.as_ref());
        groups.entry(group).or_default().push(item);
    }
    let mut decided = Vec::new();
    for ((host, sources, backup_type), mut items) in groups {
        items.sort_by(|one, other| other.name.cmp(&one.name));
        let mut backups: Vec<ForgetVerdict> = items.iter().map(|item| undecided(item)).collect();
        let placed = items.iter().flat_map(|item| &item.placed);
        let placed: BTreeSet<&String> = placed.map(|(database, _)| database).collect();
        for source in sources.union(&placed).copied() {
            let rules = rules(host, backup_type, source);
            let reasons = of_source(&items, source, rules, drilled, zone, now);
            if !reasons.is_empty() && !reasons.iter().any(|(_, reasons)| by_rule(reasons)) {
                return Err(KeepsNothing { host: host.to_owned(), source: source.clone() });
            }
            for (number, reasons) in reasons {
                if reasons.is_empty() {
                    backups[number].forget.push(source.clone());
                } else {
                    backups[number].keep.insert(source.clone(), reasons);
                }
            }
        }
        for (item, verdict) in items.iter().zip(&mut backups) {
            keep_placed(item, verdict);
            if let Some(reason) = item.exempt() {
                verdict.keep = item
                    .sources
                    .iter()
                    .map(|source| (source.clone(), vec![reason.clone()]))
                    .collect();
                // What is not understood stays, even without a source that has a name.
                if verdict.keep.is_empty() {
                    verdict.keep.insert(String::new(), vec![reason]);
                }
            }
        }
        if host != own_host {
            backups.iter_mut().filter(|backup| backup.stays()).for_each(|one| one.forget.clear());
        }
        let sources = sources.into_iter().cloned().collect();
        let (host, backup_type) = (host.to_owned(), backup_type.cloned());
        decided.push(ForgetGroup { host, backup_type, sources, backups });
    }
    Ok(decided)
}

/// Files without the databases among them are no more than half of what they were.
fn keep_placed(item: &Item, verdict: &mut ForgetVerdict) {
    for (database, files) in &item.placed {
        if let Some(reasons) = verdict.keep.get(files).cloned()
            && let Some(at) = verdict.forget.iter().position(|source| source == database)
        {
            verdict.forget.remove(at);
            verdict.keep.insert(database.clone(), reasons);
        }
    }
}

fn undecided(item: &Item) -> ForgetVerdict {
    ForgetVerdict {
        name: item.name.clone(),
        label: item.label.clone(),
        tags: item.tags.clone(),
        keep: BTreeMap::new(),
        forget: Vec::new(),
    }
}

fn by_rule(reasons: &[Reason]) -> bool {
    reasons.iter().any(|reason| *reason != Reason::Drilled)
}

/// Why each backup of a group that holds a source keeps it, by the backup's place in the group.
/// Backups that no rule decides about are left out, and use up no number.
fn of_source(
    items: &[&Item],
    source: &String,
    rules: &KeepRules,
    drilled: &HashSet<BackupId>,
    zone: &TimeZone,
    now: Time,
) -> Vec<(usize, Vec<Reason>)> {
    let holding: Vec<(usize, &&Item)> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.exempt().is_none() && item.sources.contains(source))
        .collect();
    let candidates: Vec<Candidate<'_>> = holding
        .iter()
        .map(|(_, item)| Candidate { time: item.name.started, id: item.name.id, tags: &item.tags })
        .collect();
    let verdicts = retain(&candidates, rules, zone, now);
    // Both are in the order of times and ids, newest first.
    let mut reasons: Vec<(usize, Vec<Reason>)> = holding
        .iter()
        .zip(verdicts)
        .map(|((number, _), verdict)| (*number, verdict.reasons))
        .collect();
    let passed = holding.iter().position(|(_, item)| drilled.contains(&item.name.id));
    if let Some(newest) = passed.and_then(|at| reasons.get_mut(at)) {
        newest.1.push(Reason::Drilled);
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifeboat_repository::{Form, Limit};

    const NOW: &str = "2026-11-30T00:00:00Z";

    /// `11-21 app,web #tag !web` is a backup of that day, with a tag, from which `web` was taken; with `+app/etc`,
    /// that database lies among the files `etc`.
    fn items(text: &str) -> Vec<Item> {
        let item = |(number, line): (usize, &str)| {
            let mut words = line.split_whitespace();
            let day = words.next()?;
            let mut item = Item {
                name: BackupName {
                    started: format!("2026-{day}T02:00:00Z").parse().unwrap(),
                    id: format!("{number:016x}").parse().unwrap(),
                    revision: 1,
                    host: "pi".to_owned(),
                    form: Form::Sealed,
                },
                host: "pi".to_owned(),
                label: None,
                backup_type: None,
                tags: Vec::new(),
                sources: words.next()?.split(',').map(str::to_owned).collect(),
                placed: BTreeSet::new(),
                forgotten: Vec::new(),
                understood: true,
            };
            for word in words {
                match word.split_at(1) {
                    ("#", tag) => item.tags.push(tag.to_owned()),
                    ("!", source) => item.forgotten.push(source.to_owned()),
                    ("+", placed) => {
                        let (database, files) = placed.split_once('/').unwrap();
                        item.placed.insert((database.to_owned(), files.to_owned()));
                    }
                    ("@", host) => item.host = host.to_owned(),
                    ("=", name) => item.backup_type = Some(name.parse().unwrap()),
                    _ => item.understood = false,
                }
            }
            Some(item)
        };
        text.lines().enumerate().filter_map(item).collect()
    }

    fn last(number: u32) -> KeepRules {
        KeepRules { last: Limit::Newest(number), ..KeepRules::default() }
    }

    /// `1 app:last web:-` for each backup, by its number in the text.
    fn decided(text: &str, app: &KeepRules, other: &KeepRules, drilled: &[u64]) -> Vec<String> {
        let drilled = drilled.iter().map(|id| format!("{id:016x}").parse().unwrap()).collect();
        let rules = |_: &str, backup_type: Option<&BackupType>, source: &str| {
            if source == "app" && backup_type.is_none() { app } else { other }
        };
        let now = NOW.parse().unwrap();
        let groups = match decide(&items(text), "pi", rules, &drilled, &TimeZone::UTC, now) {
            Ok(groups) => groups,
            Err(nothing) => {
                return vec![format!("nothing of {} on {}", nothing.source, nothing.host)];
            }
        };
        let mut lines: Vec<String> = Vec::new();
        for backup in groups.iter().flat_map(|group| &group.backups) {
            let number = u64::from_str_radix(&backup.name.id.to_string(), 16).unwrap();
            let mut line = number.to_string();
            for (source, reasons) in &backup.keep {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                line += &format!(" {source}:{}", reasons.join("+"));
            }
            for source in &backup.forget {
                line += &format!(" {source}:-");
            }
            lines.push(line);
        }
        lines.sort();
        lines
    }

    #[test]
    fn each_group_is_counted_by_itself() {
        let text =
            "11-20 app\n11-21 app\n11-21 app,web\n11-22 app,web\n11-23 web,app\n11-20 app @nas";
        assert_eq!(
            decided(text, &last(1), &last(1), &[]),
            [
                "0 app:-",
                "1 app:last",
                "2 app:- web:-",
                "3 app:- web:-",
                "4 app:last web:last",
                "5 app:last"
            ]
        );
    }

    #[test]
    fn each_type_is_counted_by_itself() {
        let text = "11-20 app =full\n11-21 app =full\n11-22 app =full\n11-23 app\n11-24 app\n11-25 app =config";
        assert_eq!(
            decided(text, &last(1), &last(2), &[]),
            ["0 app:-", "1 app:last", "2 app:last", "3 app:-", "4 app:last", "5 app:last"]
        );
    }

    #[test]
    fn each_source_has_its_own_rules() {
        let text = "11-20 app,web\n11-21 app,web\n11-22 app,web";
        let first = decided(text, &last(2), &last(1), &[]);
        assert_eq!(first, ["0 app:- web:-", "1 app:last web:-", "2 app:last web:last"]);
        // Once a source was taken out, the backup still belongs to the group it was made in.
        let text = "11-21 app !web\n11-22 app,web\n11-23 web,app";
        let then = decided(text, &last(2), &last(1), &[]);
        assert_eq!(then, ["0 app:-", "1 app:last web:-", "2 app:last web:last"]);
    }

    #[test]
    fn databases_among_files_stay_with_them() {
        let text = "11-20 etc\n11-21 app,etc +app/etc\n11-22 app,etc +app/etc";
        assert_eq!(
            decided(text, &last(1), &last(2), &[]),
            ["0 etc:-", "1 app:last etc:last", "2 app:last etc:last"]
        );
        assert_eq!(
            decided(text, &last(2), &last(1), &[]),
            ["0 etc:-", "1 app:last etc:-", "2 app:last etc:last"]
        );
    }

    /// Whichever of the two is looked at first.
    #[test]
    fn a_database_among_files_of_two_sources_stays_with_either() {
        let named = KeepRules { tags: vec!["x".to_owned()], ..KeepRules::default() };
        let newest = last(1);
        for kept in ["app", "zoo"] {
            let text = "11-21 app,db,zoo +db/app +db/zoo #x\n11-22 app,db,zoo +db/app +db/zoo";
            let rules = |_: &str, _: Option<&BackupType>, source: &str| {
                if source == kept { &named } else { &newest }
            };
            let now = NOW.parse().unwrap();
            let groups = decide(&items(text), "pi", rules, &HashSet::new(), &TimeZone::UTC, now);
            let groups = groups.unwrap();
            let old = &groups[0].backups[1];
            assert!(old.keep.contains_key("db") && old.keep.contains_key(kept), "{old:?}");
            assert_eq!(old.forget, [if kept == "app" { "zoo" } else { "app" }]);
        }
    }

    #[test]
    fn only_its_own_host_takes_sources_out_of_a_backup() {
        let text = "11-20 app,web @nas\n11-21 app,web @nas\n11-22 app,web @nas";
        let decided = decided(text, &last(2), &last(1), &[]);
        assert_eq!(decided, ["0 app:- web:-", "1 app:last", "2 app:last web:last"]);
    }

    #[test]
    fn some_stay_whatever_the_rules_say() {
        let text =
            "11-20 app #safety\n11-21 app\n11-22 app ?\n11-23 app\n11-24 app\n11-25 app #safety";
        assert_eq!(
            decided(text, &last(1), &last(1), &[1, 3, 9]),
            [
                "0 app:tagged safety",
                "1 app:-",
                "2 app:not understood",
                "3 app:newest that passed a drill",
                "4 app:last",
                "5 app:tagged safety"
            ]
        );
    }

    #[test]
    fn rules_that_keep_nothing_are_refused() {
        let none = KeepRules { tags: vec!["x".to_owned()], ..KeepRules::default() };
        for text in ["11-20 app", "11-20 app\n11-21 app #safety", "11-20 app #x\n11-20 app,web"] {
            assert_eq!(decided(text, &none, &last(1), &[0]), ["nothing of app on pi"], "{text}");
        }
        assert_eq!(decided("11-20 app #x", &none, &last(1), &[]), ["0 app:tags x"]);
        assert_eq!(decided("11-20 app #safety", &none, &last(1), &[]), ["0 app:tagged safety"]);
        assert!(decided("", &none, &none, &[]).is_empty());
    }
}
