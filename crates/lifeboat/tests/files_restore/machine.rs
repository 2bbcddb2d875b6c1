//! A machine with files, and restores of them.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat::{
    BackupReport, Context, Error, FilesRestoreReport, FilesRestoreRequest, Meant, OpenRepository,
    Selection, Silent, StoredSource, meant, plan_files_restore, restore_files,
};

use crate::common::{Machine, back_up};

/// A machine whose files lie in `files`, and to which they may be restored at `out`.
///
/// Not in memory: not every such file system keeps all that files have.
pub(crate) struct Files {
    pub(crate) machine: Machine,
    directory: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        let files = Self { machine: Machine::new(), directory: tempfile::tempdir().unwrap() };
        fs::create_dir(files.root()).unwrap();
        files
    }

    /// The directory that is backed up.
    pub(crate) fn root(&self) -> PathBuf {
        self.base().join("files")
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    /// Where a restore to a directory of this name puts what lies in [`Files::root`].
    pub(crate) fn restored_root(&self, name: &str) -> PathBuf {
        below(&self.base().join(name), &self.root())
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn context(&self) -> Context {
        self.machine.context()
    }

    pub(crate) fn back_up(&self) -> BackupReport {
        let report = back_up(&self.context(), self.root().to_str().unwrap()).unwrap();
        assert!(report.failures.is_empty() && !report.is_partial(), "{report:?}");
        report
    }

    /// Restores to a directory of this name.
    pub(crate) fn restore_to(&self, name: &str) -> FilesRestoreReport {
        self.restore(&FilesRestoreRequest { target: Some(self.base().join(name)), ..usual() })
    }

    pub(crate) fn restore(&self, request: &FilesRestoreRequest) -> FilesRestoreReport {
        self.try_restore(None, request).unwrap()
    }

    pub(crate) fn try_restore(
        &self,
        source: Option<&str>,
        request: &FilesRestoreRequest,
    ) -> Result<FilesRestoreReport, Error> {
        let context = self.context();
        let opened = context.open_repository()?;
        let plan = plan_files_restore(&opened, stored(&opened, source), request, &Silent)?;
        restore_files(&opened, &plan, &Silent)
    }

    /// Restores to a new directory and expects to find everything there as it is here.
    #[track_caller]
    pub(crate) fn assert_round_trip(&self, name: &str) {
        let report = self.restore_to(name);
        assert_eq!(report.problem_count, 0, "{report:?}");
        let (found, expected) =
            (crate::look::look(&self.restored_root(name)), crate::look::look(&self.root()));
        crate::look::assert_same(&found, &expected, name);
    }
}

/// The one source of the newest backup, or the one that is named.
pub(crate) fn stored(opened: &OpenRepository<'_>, source: Option<&str>) -> StoredSource {
    let selection = Selection { source: source.map(str::to_owned), ..Selection::default() };
    match meant(opened, &selection, &Silent).unwrap() {
        Meant::Stored(stored) => *stored,
        Meant::Database => panic!("{source:?} is not stored"),
    }
}

pub(crate) fn below(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path.strip_prefix("/").unwrap())
}

/// A request to restore everything where it was.
pub(crate) fn usual() -> FilesRestoreRequest {
    FilesRestoreRequest::default()
}
