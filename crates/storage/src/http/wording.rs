//! What a server said, so that it can be shown.

/// The most characters of a message.
const MAX_CHARACTERS: usize = 300;

/// One line without markup, without control characters, without user names, passwords and queries of
/// addresses, of at most 300 characters.
pub(crate) fn one_line(text: &str) -> String {
    let plain = without_markup(text);
    let words = plain.split(|c: char| c.is_whitespace() || c.is_control());
    let line = words.filter(|word| !word.is_empty()).map(bare).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_CHARACTERS {
        return line;
    }
    line.chars().take(MAX_CHARACTERS - 1).chain(['…']).collect()
}

/// The title of a page, or what stands outside of tags.
fn without_markup(text: &str) -> String {
    let text = text.trim();
    if !text.starts_with('<') {
        return text.to_owned();
    }
    let title = || {
        let (_, rest) = text.split_once("<title>")?;
        rest.split_once('<').map(|(title, _)| title.to_owned())
    };
    title().unwrap_or_else(|| {
        let outside = text.split('<').filter_map(|part| part.split_once('>'));
        outside.map(|(_, text)| text).collect::<Vec<_>>().join(" ")
    })
}

/// An address without what may be secret in it; other words as they are.
fn bare(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_line_without_secrets() {
        for (text, expected) in [
            ("slow\n\n down\t\0now", "slow down now"),
            ("see https://u:p@host/a?sig=secret#x .", "see https://host/a ."),
            ("<html><head><title>502 Bad Gateway</title></head>", "502 Bad Gateway"),
            ("<p>too <b>many</b></p>", "too many"),
            ("", ""),
        ] {
            assert_eq!(one_line(text), expected);
        }
        let long = one_line(&"ä".repeat(10_000));
        assert_eq!(long.chars().count(), 300);
        assert!(long.ends_with("ä…"));
    }
}
