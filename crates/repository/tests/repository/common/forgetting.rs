//! Backups that are forgotten.

use lifeboat_repository::{
    BackupId, BackupName, ForgetStep, Known, Manifest, Repository, Result, Secrets, Time, Wish,
    forget, plan_forget,
};

use super::{Database, World, assert_restores, checked, host_key};

/// Backups of `app` and `web`, oldest first.
pub(crate) struct Backups {
    pub(crate) world: World,
    pub(crate) app: Database,
    pub(crate) web: Database,
    pub(crate) ids: Vec<BackupId>,
}

/// The newest first.
pub(crate) fn manifests(
    repository: &Repository,
    secrets: &Secrets,
) -> Result<Vec<(BackupName, Manifest)>> {
    let manifest = |name: BackupName| {
        let manifest = repository.manifest(&name, secrets)?.manifest;
        Ok((name, manifest))
    };
    repository.backups()?.into_iter().map(manifest).collect()
}

pub(crate) fn steps(
    repository: &Repository,
    secrets: &Secrets,
    wishes: &[Wish],
    now: Time,
) -> Result<Vec<ForgetStep>> {
    let manifests = manifests(repository, secrets)?;
    let known: Vec<Known<'_>> =
        manifests.iter().map(|(name, manifest)| Known { name, manifest: Some(manifest) }).collect();
    plan_forget(repository, &known, wishes, now)
}

/// Forgets, and finishes what a forget left that was killed.
pub(crate) fn forget_at(
    repository: &Repository,
    secrets: &Secrets,
    wishes: &[Wish],
    now: Time,
) -> Result<()> {
    forget(repository, &steps(repository, secrets, wishes, now)?, &host_key()).map(drop)
}

/// Clean, with every backup restored byte by byte.
pub(crate) fn assert_sound(
    repository: &Repository,
    secrets: &Secrets,
    databases: &[&Database],
    what: &str,
) {
    let report = checked(repository, secrets);
    assert!(report.is_clean(), "{what}: {report:?}");
    for name in repository.backups().unwrap() {
        assert_restores(repository, secrets, &name, databases);
    }
}
