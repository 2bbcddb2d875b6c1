//! What Drive is asked to search for: always in one folder.
//!
//! It answers `'A' in parents or 'B' in parents` with what is in some of them or with nothing, and with
//! `incompleteSearch: false`; rclone has met that for years, and asks again where a whole group is empty.

/// A text as a query has it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What is in a folder, and not in the trash.
pub(super) fn within(folder: &str) -> String {
    format!("{} in parents and trashed = false", quoted(folder))
}

/// What has a name in a folder. Drive compares names without regard to case.
pub(super) fn named(name: &str, folder: &str) -> String {
    format!("name = {} and {}", quoted(name), within(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        assert_eq!(
            named(r"pi's \ x", "b'c"),
            r"name = 'pi\'s \\ x' and 'b\'c' in parents and trashed = false"
        );
    }
}
