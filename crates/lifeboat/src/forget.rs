//! Drops backups that the rules do not keep, or that are named.

mod groups;

use std::collections::HashSet;

use jiff::tz::TimeZone;
use lifeboat_repository::{
    BackupId, BackupName, BackupType, ForgetReport, ForgetStep, GRACE, KeepRules, Known, Time,
    Wish, encode_name, has_tags, passed_drills, plan_forget as plan_steps,
};

pub use self::groups::{ForgetGroup, ForgetVerdict};
use self::groups::{Item, decide};
use crate::select::with_id;
use crate::{BackupEntry, Context, Error, OpenRepository, Result, backups};

/// What to forget.
#[derive(Debug, Clone, Default)]
pub struct ForgetRequest {
    /// Ids, or beginnings of them: these backups go, and no others, whatever the rules say.
    pub backups: Vec<String>,
    /// The rules; `None`: those of the configuration, of the source before those of the type before
    /// those of the repository, else [`KeepRules::usual`].
    pub rules: Option<KeepRules>,
    /// Only backups of this host.
    pub host: Option<String>,
    /// Only backups of one of these types.
    pub types: Vec<BackupType>,
    /// Only backups with all tags of one of these lists; the tags of a list are separated by commas.
    pub tags: Vec<String>,
}

/// What a forget will do. Nothing has been changed yet.
#[derive(Debug)]
pub struct ForgetPlan {
    /// What the rules say of each backup. Empty where backups are named.
    pub groups: Vec<ForgetGroup>,
    /// The backups that go.
    pub forget: Vec<BackupName>,
    /// The backups that go on without some of their sources, and these.
    pub revise: Vec<(BackupName, Vec<String>)>,
    /// Backups that stay because they cannot be read.
    pub unreadable: Vec<BackupName>,
    steps: Vec<ForgetStep>,
}

impl ForgetPlan {
    /// The backups that are gone after it was carried out.
    pub fn gone<'a>(&'a self, report: &'a ForgetReport) -> impl Iterator<Item = &'a BackupName> {
        self.forget.iter().filter(|name| !report.protected.contains(&name.id))
    }

    /// The backups that were to go and stay, because the store locks them.
    pub fn locked<'a>(&'a self, report: &'a ForgetReport) -> impl Iterator<Item = &'a BackupName> {
        self.forget.iter().filter(|name| report.protected.contains(&name.id))
    }

    /// Until when what it forgets can be brought back, unless a prune waits for less than [`GRACE`];
    /// `None` if it forgets nothing.
    pub fn undelete_until(&self) -> Option<Time> {
        let until = self.steps.iter().filter_map(|step| match step {
            ForgetStep::Keep(copy) => Some(copy.until(GRACE)),
            _ => None,
        });
        until.min()
    }
}

/// Decides which backups go.
///
/// [`Error::KeepsNothing`] if the rules would drop every backup of a source.
pub fn plan_forget(opened: &OpenRepository<'_>, request: &ForgetRequest) -> Result<ForgetPlan> {
    let entries = backups(opened)?;
    let (mut groups, mut wishes) = (Vec::new(), Vec::new());
    if request.backups.is_empty() {
        groups = decide_by_rules(opened, request, &entries)?;
        wishes.extend(groups.iter().flat_map(|group| &group.backups).filter_map(wish));
    } else {
        wishes.extend(named(opened, request, &entries)?.into_iter().map(Wish::Backup));
    }
    let known: Vec<Known<'_>> = entries
        .iter()
        .map(|entry| Known { name: &entry.name, manifest: entry.manifest.as_ref().ok() })
        .collect();
    let steps = plan_steps(opened.repository(), &known, &wishes, Time::now())?;
    let name_of = |id: BackupId| entries.iter().map(|entry| &entry.name).find(|name| name.id == id);
    let (mut forget, mut revise) = (Vec::new(), Vec::new());
    for wish in wishes {
        match wish {
            Wish::Backup(id) => forget.extend(name_of(id).cloned()),
            Wish::Sources(id, sources) => {
                revise.extend(name_of(id).map(|name| (name.clone(), sources)));
            }
        }
    }
    let unreadable = entries.iter().filter(|entry| entry.manifest.is_err());
    let unreadable =
        unreadable.map(|entry| entry.name.clone()).filter(|name| !forget.contains(name)).collect();
    Ok(ForgetPlan { groups, forget, revise, unreadable, steps })
}

/// Carries a plan out, but for what the store locks. The stored bytes stay until a prune.
pub fn forget(opened: &OpenRepository<'_>, plan: &ForgetPlan) -> Result<ForgetReport> {
    opened.require_removable()?;
    let key = &opened.context().host().key;
    Ok(lifeboat_repository::forget(opened.repository(), &plan.steps, key)?)
}

fn wish(verdict: &ForgetVerdict) -> Option<Wish> {
    let id = verdict.name.id;
    if !verdict.stays() {
        return Some(Wish::Backup(id));
    }
    (!verdict.forget.is_empty()).then(|| Wish::Sources(id, verdict.forget.clone()))
}

fn named(
    opened: &OpenRepository<'_>,
    request: &ForgetRequest,
    entries: &[BackupEntry],
) -> Result<Vec<BackupId>> {
    let host = request.host.as_deref().map(encode_name).transpose()?;
    let names: Vec<BackupName> = entries
        .iter()
        .map(|entry| entry.name.clone())
        .filter(|name| host.as_ref().is_none_or(|host| *host == name.host))
        .collect();
    let find = |wanted: &String| {
        let location = || opened.repository().location();
        let missing = || Error::NoBackup { wanted: wanted.clone(), location: location() };
        Ok(with_id(&names, wanted)?.ok_or_else(missing)?.id)
    };
    request.backups.iter().map(find).collect()
}

fn decide_by_rules(
    opened: &OpenRepository<'_>,
    request: &ForgetRequest,
    entries: &[BackupEntry],
) -> Result<Vec<ForgetGroup>> {
    let wanted = |item: &Item| {
        let tagged = |lists: &[String]| lists.iter().any(|list| has_tags(&item.tags, list));
        request.host.as_ref().is_none_or(|host| *host == item.host)
            && (request.tags.is_empty() || tagged(&request.tags))
            && (request.types.is_empty()
                || item.backup_type.as_ref().is_some_and(|of| request.types.contains(of)))
    };
    let readable = entries.iter().filter_map(|entry| {
        let manifest = entry.manifest.as_ref().ok()?;
        Some(Item::of(&entry.name, manifest))
    });
    let items: Vec<Item> = readable.filter(wanted).collect();
    let drilled: HashSet<BackupId> = passed_drills(opened.repository())?;
    let configured = Configured::of(opened);
    let rules = |host: &str, backup_type: Option<&BackupType>, source: &str| match &request.rules {
        Some(rules) => rules,
        None => configured.rules(host, backup_type, source),
    };
    let (own, zone) = (opened.context().host_name(), TimeZone::system());
    decide(&items, &own, rules, &drilled, &zone, Time::now())
        .map_err(|nothing| Error::KeepsNothing { host: nothing.host, source_name: nothing.source })
}

/// The rules of the configuration.
pub(crate) struct Configured<'a> {
    context: &'a Context,
    host: String,
    repository: Option<&'a KeepRules>,
    usual: KeepRules,
    by_type: Vec<(&'static str, KeepRules)>,
}

impl<'a> Configured<'a> {
    pub(crate) fn of(opened: &'a OpenRepository<'_>) -> Self {
        Self::with(opened.context(), opened.keep_rules())
    }

    fn with(context: &'a Context, repository: Option<&'a KeepRules>) -> Self {
        let (usual, by_type) = (KeepRules::usual(), KeepRules::usual_by_type());
        Self { context, host: context.host_name(), repository, usual, by_type }
    }

    /// What a name means is known for this host only; and only it may sign for its backups when a
    /// source is taken out.
    pub(crate) fn rules(
        &self,
        host: &str,
        backup_type: Option<&BackupType>,
        source: &str,
    ) -> &KeepRules {
        let config = self.context.config();
        let of_source = || config.keep_of(source).filter(|_| host == self.host);
        let of_type = || config.types.get(backup_type?.as_str())?.keep.as_ref();
        of_source()
            .or_else(of_type)
            .or(self.repository)
            .or_else(|| self.usual_of(backup_type?))
            .unwrap_or(&self.usual)
    }

    fn usual_of(&self, backup_type: &BackupType) -> Option<&KeepRules> {
        let mut known = self.by_type.iter();
        known.find(|(name, _)| *name == backup_type.as_str()).map(|(_, rules)| rules)
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_repository::{KeepRules, Limit};

    use super::Configured;
    use crate::{Context, Environment, Overrides};

    /// What each type of backup of a source keeps under a configuration: `last N`, `N days`, or nothing.
    fn kept(config: &str) -> [String; 4] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("lifeboat.toml"), config).unwrap();
        let environment = Environment::of([("HOME", home.path())], home.path());
        let context = Context::load(environment, Overrides::default()).unwrap();
        let repository = context.config().repositories.get("r");
        let repository = repository.and_then(|entry| entry.keep.as_ref());
        let configured = Configured::with(&context, repository);
        let host = context.host_name();
        ["full", "incremental", "config", "other"].map(|name| {
            let rules = configured.rules(&host, Some(&name.parse().unwrap()), "etc");
            match (rules.last, rules.within.days) {
                _ if *rules == KeepRules::usual() => "usual".to_owned(),
                (Limit::Newest(0), days) => format!("{days} days"),
                (Limit::Newest(last), 0) => format!("last {last}"),
                (Limit::Newest(last), days) => format!("last {last}, {days} days"),
                (Limit::Unlimited, _) => "all".to_owned(),
            }
        })
    }

    #[test]
    fn the_nearest_rules_count() {
        assert_eq!(kept(""), ["30 days", "7 days", "last 5, 90 days", "usual"]);
        let repository = "[repository.r]\nurl = 'r'\nkeep = 'last 3'\n";
        assert_eq!(kept(repository), ["last 3", "last 3", "last 3", "last 3"]);
        let of_type =
            format!("{repository}[type.config]\nkeep = '9 days'\n[type.full]\nsources = []\n");
        assert_eq!(kept(&of_type), ["last 3", "last 3", "9 days", "last 3"]);
        let of_source = format!("{of_type}[files.etc]\npaths = ['/etc']\nkeep = 'last 8'\n");
        assert_eq!(kept(&of_source), ["last 8", "last 8", "last 8", "last 8"]);
    }
}
