//! Names as restic writes them into trees: quoted like Go's `strconv.Quote`, so that names that are no UTF-8
//! fit into JSON.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A name as it stands in a tree.
pub fn quote(name: &OsStr) -> String {
    let mut quoted = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        chunk.valid().chars().for_each(|character| push(&mut quoted, character));
        chunk.invalid().iter().for_each(|byte| push_byte(&mut quoted, *byte));
    }
    quoted
}

/// The name that stands in a tree as `text`; `None` if nothing is quoted like that.
pub fn unquote(text: &str) -> Option<OsString> {
    let mut name = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => unescape(&mut characters, &mut name)?,
            '"' | '\n' => return None,
            other => push_utf8(&mut name, other),
        }
    }
    Some(OsString::from_vec(name))
}

fn push(quoted: &mut String, character: char) {
    let short = match character {
        '"' => '"',
        '\\' => '\\',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        _ => return push_other(quoted, character),
    };
    quoted.push('\\');
    quoted.push(short);
}

fn push_other(quoted: &mut String, character: char) {
    let code = u32::from(character);
    let _infallible = match code {
        _ if is_printable(character) => {
            quoted.push(character);
            Ok(())
        }
        0..0x20 | 0x7f => write!(quoted, "\\x{code:02x}"),
        0..0x1_0000 => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}

fn push_byte(quoted: &mut String, byte: u8) {
    let _infallible = write!(quoted, "\\x{byte:02x}");
}

/// Letters, marks, numbers, punctuation, symbols and the space, as in Go's `strconv.IsPrint`.
///
/// The standard library escapes the rest in its debug form, where it also escapes what extends a character
/// unless one comes before it: hence the letter. Its Unicode may be newer or older than Go's; both read what
/// the other has quoted.
fn is_printable(character: char) -> bool {
    if character == '\'' {
        return true;
    }
    let mut buffer = [b'a'; 5];
    let bytes = character.encode_utf8(&mut buffer[1..]).len();
    let text = std::str::from_utf8(&buffer[..=bytes]).unwrap_or_default();
    text.escape_debug().nth(1) == Some(character)
}

fn unescape(characters: &mut std::str::Chars<'_>, name: &mut Vec<u8>) -> Option<()> {
    let byte = match characters.next()? {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '"' => b'"',
        'x' => u8::try_from(digits(characters, 2, 16, 0)?).ok()?,
        'u' => return push_code(name, digits(characters, 4, 16, 0)?),
        'U' => return push_code(name, digits(characters, 8, 16, 0)?),
        octal => u8::try_from(digits(characters, 2, 8, octal.to_digit(8)?)?).ok()?,
    };
    name.push(byte);
    Some(())
}

/// The number that `count` digits make after what `number` already holds.
fn digits(
    characters: &mut std::str::Chars<'_>,
    count: usize,
    radix: u32,
    number: u32,
) -> Option<u32> {
    (0..count).try_fold(number, |number, _| {
        number.checked_mul(radix)?.checked_add(characters.next()?.to_digit(radix)?)
    })
}

fn push_code(name: &mut Vec<u8>, code: u32) -> Option<()> {
    push_utf8(name, char::from_u32(code)?);
    Some(())
}

fn push_utf8(name: &mut Vec<u8>, character: char) {
    name.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_as_go_does() {
        for (name, quoted) in [
            (&b"plain name.txt"[..], "plain name.txt"),
            (b"say \"hi\" it's", "say \\\"hi\\\" it's"),
            (b"back\\slash", "back\\\\slash"),
            (b"\x07\x08\x0c\n\r\t\x0b", "\\a\\b\\f\\n\\r\\t\\v"),
            (b"\x01\x1f\x7f", "\\x01\\x1f\\x7f"),
            (b"caf\xe9", "caf\\xe9"),
            (b"\xff\xfe\xc3", "\\xff\\xfe\\xc3"),
            ("süß 日本 🚀".as_bytes(), "süß 日本 🚀"),
            ("e\u{301}".as_bytes(), "e\u{301}"),
            ("\u{301}".as_bytes(), "\u{301}"),
            ("a\u{a0}b\u{ad}\u{200b}\u{feff}".as_bytes(), "a\\u00a0b\\u00ad\\u200b\\ufeff"),
            ("\u{e000}\u{10ffff}\u{85}".as_bytes(), "\\ue000\\U0010ffff\\u0085"),
            ("\u{fffd}".as_bytes(), "\u{fffd}"),
        ] {
            assert_eq!(quote(OsStr::from_bytes(name)), quoted);
            assert_eq!(unquote(quoted).unwrap().as_bytes(), name);
        }
    }

    #[test]
    fn reads_what_go_accepts_and_nothing_else() {
        assert_eq!(unquote("\\101\\377\\000").unwrap().as_bytes(), b"A\xff\0");
        assert_eq!(unquote("\\xFf\\u00E9").unwrap().as_bytes(), b"\xff\xc3\xa9");
        for bad in [
            "\\",
            "\\q",
            "\\'",
            "\\x",
            "\\x1",
            "\\xg0",
            "\\x+1",
            "\\u12",
            "\\ud800",
            "\\U00110000",
            "\\Uffffffff",
            "\\400",
            "\\12",
            "\\8",
            "a\"b",
            "a\nb",
            "\\é",
        ] {
            assert_eq!(unquote(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_name_survives(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            let name = OsString::from_vec(name);
            prop_assert_eq!(unquote(&quote(&name)), Some(name));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Some(name) = unquote(&text) {
                prop_assert_eq!(unquote(&quote(&name)), Some(name));
            }
        }
    }
}
