//! What one name has to look like: the patterns of Go's `filepath.Match`, on bytes.
//!
//! `*` any bytes, `?` a character, `[a-z]` and `[^a-z]` a character of some or of none, `\` takes the next
//! byte as it is. A byte that is not part of any character counts as a replacement character (U+FFFD).

/// A pattern for one name: pieces that have to follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    pieces: Vec<Piece>,
}

/// What has to be there at one place, or anywhere after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Piece {
    anywhere: bool,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    AnyCharacter,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// A pattern that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Glob {
    pub(super) fn parse(pattern: &[u8]) -> Result<Self, Malformed> {
        let mut pieces = vec![Piece::default()];
        let mut rest = pattern;
        while let Some((first, after)) = rest.split_first() {
            let token = match first {
                b'*' => {
                    pieces.push(Piece { anywhere: true, tokens: Vec::new() });
                    rest = after;
                    continue;
                }
                b'?' => {
                    rest = after;
                    Token::AnyCharacter
                }
                b'[' => {
                    let (class, after) = parse_class(after)?;
                    rest = after;
                    class
                }
                b'\\' => {
                    let (escaped, after) = after.split_first().ok_or(Malformed)?;
                    rest = after;
                    Token::Byte(*escaped)
                }
                byte => {
                    rest = after;
                    Token::Byte(*byte)
                }
            };
            if let Some(piece) = pieces.last_mut() {
                piece.tokens.push(token);
            }
        }
        Ok(Self { pieces })
    }

    /// Whether a name looks so. Each piece is taken where it first fits, as Go does it: what follows a `*`
    /// can only gain from that, but for the last piece, which has to end where the name ends.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let mut rest = name;
        for (index, piece) in self.pieces.iter().enumerate() {
            let is_last = index + 1 == self.pieces.len();
            let latest = if piece.anywhere { rest.len() } else { 0 };
            let fitting = (0..=latest)
                .filter_map(|start| piece.strip(&rest[start..]))
                .find(|after| after.is_empty() || !is_last);
            match fitting {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }
}

impl Piece {
    /// What comes after it in a name that begins with it.
    fn strip<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = name;
        for token in &self.tokens {
            let length = match token {
                Token::Byte(byte) => usize::from(rest.first() == Some(byte)),
                Token::AnyCharacter => first_character(rest)?.1,
                Token::Class { negated, ranges } => {
                    let (character, length) = first_character(rest)?;
                    let range =
                        ranges.iter().find(|(low, high)| (*low..=*high).contains(&character));
                    if range.is_some() == *negated { 0 } else { length }
                }
            };
            if length == 0 {
                return None;
            }
            rest = &rest[length..];
        }
        Some(rest)
    }
}

/// The class after a `[`, and what follows its `]`.
fn parse_class(pattern: &[u8]) -> Result<(Token, &[u8]), Malformed> {
    let negated = pattern.first() == Some(&b'^');
    let mut rest = &pattern[usize::from(negated)..];
    let mut ranges = Vec::new();
    loop {
        if let (Some((b']', after)), false) = (rest.split_first(), ranges.is_empty()) {
            return Ok((Token::Class { negated, ranges }, after));
        }
        let (low, after) = parse_character(rest)?;
        let (high, after) = match after.split_first() {
            Some((b'-', after)) => parse_character(after)?,
            _ => (low, after),
        };
        ranges.push((low, high));
        rest = after;
    }
}

/// A character of a class.
fn parse_character(pattern: &[u8]) -> Result<(char, &[u8]), Malformed> {
    let text = match pattern.split_first() {
        None | Some((b'-' | b']', _)) => return Err(Malformed),
        Some((b'\\', after)) => after,
        Some(_) => pattern,
    };
    match first_character(text) {
        None | Some((char::REPLACEMENT_CHARACTER, 1)) => Err(Malformed),
        Some((character, length)) => Ok((character, &text[length..])),
    }
}

/// The first character of a text and its length in bytes.
pub(super) fn first_character(text: &[u8]) -> Option<(char, usize)> {
    let longest = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(longest) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&longest[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(character) => Some((character, character.len_utf8())),
        None if text.is_empty() => None,
        None => Some((char::REPLACEMENT_CHARACTER, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Glob::parse(pattern.as_bytes()).unwrap().matches(name.as_bytes())
    }

    #[test]
    fn names_match_as_in_go() {
        // The table of Go's own test of filepath.Match is about the same ground.
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("", "", true),
            ("", "a", false),
            ("*", "abc", true),
            ("*", "", true),
            ("*c", "abc", true),
            ("*c", "abcd", false),
            ("a*", "a", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**~", "a~", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("ab[^c]", "ab", false),
            ("[!a]", "!", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "a", false),
            ("[*]", "*", true),
            ("[*]", "a", false),
            ("[z-a]", "m", false),
            ("*x", "xxx", true),
            ("*.swp", ".swp", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_byte_that_is_no_character_is_a_replacement_character() {
        let name = b"a\xffb";
        for (pattern, expected) in
            [("a?b", true), ("a[^x]b", true), ("a[\u{fffd}]b", true), ("a??b", false)]
        {
            let glob = Glob::parse(pattern.as_bytes()).unwrap();
            assert_eq!(glob.matches(name), expected, "{pattern}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in [
            "[", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[^", "[^bc", "a[", "[a", "\\", "a\\",
            "*[", "[^]a]",
        ] {
            assert_eq!(Glob::parse(pattern.as_bytes()), Err(Malformed), "{pattern}");
        }
        assert_eq!(Glob::parse(b"[\xff]"), Err(Malformed));
    }
}
