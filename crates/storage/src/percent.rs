//! `%2F` and the like.

/// Percent-encodes all but `A-Z a-z 0-9 - . _ ~` and what is named besides: what signatures are made over.
pub(crate) fn encode(text: &str, besides: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || besides.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}

/// What was percent-encoded; `None` if it was not, or is no UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (text, encoded) in
            [("a/b c", "a%2Fb%20c"), ("ä%", "%C3%A4%25"), ("-._~09", "-._~09"), ("", "")]
        {
            assert_eq!(encode(text, b""), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(text));
        }
        assert_eq!(encode("a/b c", b"/"), "a/b%20c");
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }
}
