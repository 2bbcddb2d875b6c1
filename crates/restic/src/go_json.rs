//! JSON byte for byte as Go's `encoding/json` writes it: equal trees must have equal ids, whoever wrote them.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

/// `value` as compact JSON.
pub(crate) fn encode(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    append(&mut bytes, value)?;
    Ok(bytes)
}

/// Appends `value` as compact JSON.
pub(crate) fn append(bytes: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(bytes, GoFormatter))
}

/// Escapes in strings, beside what JSON wants, what would mean something in HTML or ends a line in JavaScript.
struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        mut fragment: &str,
    ) -> io::Result<()> {
        while let Some(at) = fragment.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, rest) = fragment.split_at(at);
            let Some(character) = rest.chars().next() else { break };
            CompactFormatter.write_string_fragment(writer, before)?;
            write!(writer, "\\u{:04x}", u32::from(character))?;
            fragment = &rest[character.len_utf8()..];
        }
        CompactFormatter.write_string_fragment(writer, fragment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_like_go() {
        let text = "a<b>&\u{2028}\u{2029}\u{7f}\u{1}\n\"\\ü";
        let expected =
            r#""a\u003cb\u003e\u0026\u2028\u2029"#.to_owned() + "\u{7f}" + r#"\u0001\n\"\\ü""#;
        let bytes = encode(&text).unwrap();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), text);
        assert_eq!(encode(&["<", ""]).unwrap(), br#"["\u003c",""]"#);
    }
}
