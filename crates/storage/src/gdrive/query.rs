//! What Drive is asked to search for.

/// A text as a query has it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What is in any of these folders, and not in the trash. There must be one.
pub(super) fn within(folders: &[String]) -> String {
    let parents: Vec<String> =
        folders.iter().map(|folder| format!("{} in parents", quoted(folder))).collect();
    format!("({}) and trashed = false", parents.join(" or "))
}

/// What has a name in any of these folders. Drive compares names without regard to case.
pub(super) fn named(name: &str, folders: &[String]) -> String {
    format!("name = {} and {}", quoted(name), within(folders))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let folders = ["a".to_owned(), "b'c".to_owned()];
        assert_eq!(
            named(r"pi's \ x", &folders),
            r"name = 'pi\'s \\ x' and ('a' in parents or 'b\'c' in parents) and trashed = false"
        );
    }
}
