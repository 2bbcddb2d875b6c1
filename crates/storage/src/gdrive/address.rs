//! `gdrive://Folder Name/Sub` and `gdrive:id:FOLDERID`.

use std::fmt;

use crate::remote::Attempt;
use crate::{Cause, Failure};

/// The folder that holds all objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// By the names of folders, the first below the root.
    Names(Vec<String>),
    /// By its id.
    Id(String),
}

impl Address {
    pub(super) fn parse(url: &str) -> Attempt<Self> {
        let invalid = |what: &str| Failure::new(Cause::Invalid, what.to_owned());
        if let Some(id) = url.strip_prefix("gdrive:id:") {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if id.is_empty() || !id.bytes().all(is_allowed) {
                return Err(invalid("no folder has such an id"));
            }
            return Ok(Self::Id(id.to_owned()));
        }
        let Some(path) = url.strip_prefix("gdrive://") else {
            return Err(invalid("it begins with neither gdrive:// nor gdrive:id:"));
        };
        let names: Vec<String> =
            path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if names.is_empty() {
            return Err(invalid("it names no folder"));
        }
        if names.iter().any(|name| name == "." || name == "..") {
            return Err(invalid("a folder . or .. in it"));
        }
        if names.iter().any(|name| name.chars().any(char::is_control)) {
            return Err(invalid("a control character in it"));
        }
        Ok(Self::Names(names))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(names) => write!(formatter, "gdrive://{}", names.join("/")),
            Self::Id(id) => write!(formatter, "gdrive:id:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_or_have_an_id() {
        for (url, shown) in [
            ("gdrive://My backups/pi's", "gdrive://My backups/pi's"),
            ("gdrive:///a//b/", "gdrive://a/b"),
            ("gdrive:id:1a-B_c", "gdrive:id:1a-B_c"),
        ] {
            assert_eq!(Address::parse(url).unwrap().to_string(), shown);
        }
        for url in ["gdrive:", "gdrive://", "gdrive:id:", "gdrive:id:a/b", "gdrive://a/../b", "x"] {
            assert_eq!(Address::parse(url).unwrap_err().cause, Cause::Invalid, "{url}");
        }
    }
}
