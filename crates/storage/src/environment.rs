//! Where settings come from that nobody wrote down for us.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

type LookUp = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Looks up environment variables. Not read globally, so that a test has its own.
#[derive(Clone)]
pub struct Environment {
    look_up: Arc<LookUp>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Environment")
    }
}

impl Environment {
    /// That of this process. Variables that are no UTF-8 are as if they were not set.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// What a function says.
    #[must_use]
    pub fn new(look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { look_up: Arc::new(look_up) }
    }

    /// The value of a variable; `None` if it is not set, or empty.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.look_up)(name).filter(|value| !value.is_empty())
    }

    /// The value of the first of these variables that has one.
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A file in the user's home directory.
    pub(crate) fn in_home(&self, path: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.get("HOME")?).join(path))
    }
}
