//! The files of Amazon's tools.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::remote::Attempt;
use crate::{Cause, Environment, Failure};

/// The settings of one profile, from both files; those of the credentials file come first.
#[derive(Default)]
pub(super) struct Profile {
    name: String,
    settings: BTreeMap<String, String>,
}

/// Among the settings are secrets.
impl fmt::Debug for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Profile").field(&self.name).finish()
    }
}

impl Profile {
    /// The profile `AWS_PROFILE`, or `default`, which need not exist.
    pub(super) fn find(environment: &Environment) -> Attempt<Self> {
        let given = environment.get("AWS_PROFILE");
        let name = given.clone().unwrap_or_else(|| "default".to_owned());
        let file = |variable, path| {
            environment.get(variable).map(PathBuf::from).or_else(|| environment.in_home(path))
        };
        let mut profile = Self { name, settings: BTreeMap::new() };
        let mut exists = false;
        for (path, word) in [
            (file("AWS_CONFIG_FILE", ".aws/config"), "profile "),
            (file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"), ""),
        ] {
            let Some(path) = path else { continue };
            let text = match fs::read_to_string(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let message = format!("{}: {error}", path.display());
                    return Err(Failure::new(Cause::Unauthenticated, message));
                }
                Ok(text) => text,
            };
            let plain = profile.name.clone();
            let section = section(&text, &[&plain, &format!("{word}{plain}")]);
            exists |= section.is_some();
            profile.settings.extend(section.into_iter().flatten());
        }
        if given.is_some() && !exists {
            return Err(profile.refused("is in none of the files"));
        }
        Ok(profile)
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.settings.get(key).filter(|value| !value.is_empty()).cloned()
    }

    pub(super) fn refused(&self, what: &str) -> Failure {
        Failure::new(Cause::Unauthenticated, format!("the AWS profile {:?} {what}", self.name))
    }
}

/// The settings of the section with one of these names; `None` if there is none.
fn section(text: &str, names: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut settings = None;
    let mut is_inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let words: Vec<&str> = header.0.split_whitespace().collect();
            is_inside = names.contains(&&*words.join(" "));
            if is_inside {
                settings.get_or_insert_with(BTreeMap::new);
            }
            continue;
        }
        // What is indented belongs to the setting before it.
        if !is_inside || line.starts_with([' ', '\t']) {
            continue;
        }
        if let (Some((key, value)), Some(settings)) = (trimmed.split_once('='), &mut settings) {
            settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_its_settings() {
        let text = "# c\n[default]\nregion = a\n[ profile  x ]\nRegion=b\ns3 =\n  region = z\nempty =\n[y]\nregion=c\n";
        let of =
            |names: &[&str]| section(text, names).map(|settings| settings.get("region").cloned());
        assert_eq!(of(&["default"]), Some(Some("a".to_owned())));
        assert_eq!(of(&["x", "profile x"]), Some(Some("b".to_owned())));
        assert_eq!(of(&["y"]), Some(Some("c".to_owned())));
        assert_eq!(of(&["z"]), None);
    }
}
