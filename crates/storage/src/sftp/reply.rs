//! Answers of the server.

use super::attributes::Attributes;
use super::decode::{Cursor, Decoded, Malformed};
use super::request::{VERSION, kind};

/// An answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(Status),
    Handle(Vec<u8>),
    Data(Vec<u8>),
    Names(Vec<Name>),
    Attributes(Attributes),
    /// Of an extension, in its own form.
    Extended(Vec<u8>),
}

/// Yes or no, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u32,
    /// The server's words.
    pub(super) message: String,
}

/// What directories hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: Vec<u8>,
    pub(super) attributes: Attributes,
}

/// Handles are at most this long by the draft.
const MAX_HANDLE_BYTES: usize = 256;

/// The identifier of the request, and the answer. What follows an answer in its packet is ignored,
/// as by others: later versions add to them.
pub(super) fn decode(packet: &[u8]) -> Decoded<(u32, Reply)> {
    let mut cursor = Cursor::new(packet);
    let kind = cursor.byte()?;
    let id = cursor.number()?;
    let reply = match kind {
        kind::STATUS => Reply::Status(status(&mut cursor)?),
        kind::HANDLE => match cursor.string()? {
            handle if handle.len() <= MAX_HANDLE_BYTES => Reply::Handle(handle.to_vec()),
            _ => return Err(Malformed("a handle is longer than 256 bytes")),
        },
        kind::DATA => Reply::Data(cursor.string()?.to_vec()),
        kind::NAME => Reply::Names(names(&mut cursor)?),
        kind::ATTRS => Reply::Attributes(Attributes::decode(&mut cursor)?),
        kind::EXTENDED_REPLY => Reply::Extended(packet[5..].to_vec()),
        _ => return Err(Malformed("an answer of an unknown kind")),
    };
    Ok((id, reply))
}

fn status(cursor: &mut Cursor<'_>) -> Decoded<Status> {
    let code = cursor.number()?;
    // Servers of the first drafts leave the text out.
    let message = if cursor.is_empty() { &[][..] } else { cursor.string()? };
    Ok(Status { code, message: String::from_utf8_lossy(message).into_owned() })
}

/// Bounded by the packet: each name takes bytes of it.
fn names(cursor: &mut Cursor<'_>) -> Decoded<Vec<Name>> {
    let mut names = Vec::new();
    for _ in 0..cursor.number()? {
        let name = cursor.string()?.to_vec();
        // The line that `ls -l` would print.
        cursor.string()?;
        names.push(Name { name, attributes: Attributes::decode(cursor)? });
    }
    if names.is_empty() { Err(Malformed("an answer without names")) } else { Ok(names) }
}

/// The names of the extensions that a server greets with.
pub(super) fn decode_greeting(packet: &[u8]) -> Decoded<Vec<String>> {
    let mut cursor = Cursor::new(packet);
    if cursor.byte()? != kind::VERSION {
        return Err(Malformed("its first packet is no greeting"));
    }
    if cursor.number()? != VERSION {
        return Err(Malformed("it speaks another version of SFTP than 3"));
    }
    let mut extensions = Vec::new();
    while !cursor.is_empty() {
        extensions.push(String::from_utf8_lossy(cursor.string()?).into_owned());
        cursor.string()?;
    }
    Ok(extensions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(kind: u8, rest: &[&[u8]]) -> Vec<u8> {
        [&[kind, 0, 0, 0, 7], rest.concat().as_slice()].concat()
    }

    fn string(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    const FILE: &[u8] = &[
        0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0x81, 0x80, 0, 0, 0,
        1, 0, 0, 0, 2,
    ];

    fn samples() -> Vec<Vec<u8>> {
        vec![
            packet(kind::STATUS, &[&[0, 0, 0, 4], &string(b"Failure"), &string(b"")]),
            packet(kind::HANDLE, &[&string(b"\0\0\0\x01")]),
            packet(kind::DATA, &[&string(b"some bytes")]),
            packet(kind::NAME, &[&[0, 0, 0, 1], &string(b"name"), &string(b"-rw name"), FILE]),
            packet(kind::ATTRS, &[FILE]),
            packet(kind::EXTENDED_REPLY, &[&[1, 2, 3]]),
        ]
    }

    #[test]
    fn each_answer_is_read() {
        let replies: Vec<_> = samples().iter().map(|packet| decode(packet).unwrap()).collect();
        let mut cursor = Cursor::new(FILE);
        let attributes = Attributes::decode(&mut cursor).unwrap();
        assert!(cursor.is_empty());
        assert_eq!(
            (attributes.size, attributes.kind()),
            (Some(9), Some(crate::sftp::attributes::Kind::File))
        );
        let expected = [
            Reply::Status(Status { code: 4, message: "Failure".to_owned() }),
            Reply::Handle(b"\0\0\0\x01".to_vec()),
            Reply::Data(b"some bytes".to_vec()),
            Reply::Names(vec![Name { name: b"name".to_vec(), attributes }]),
            Reply::Attributes(attributes),
            Reply::Extended(vec![1, 2, 3]),
        ];
        for (found, expected) in replies.into_iter().zip(expected) {
            assert_eq!(found, (7, expected));
        }
    }

    /// Except for an extension's, whose form is its own, no answer is taken for a shorter one.
    #[test]
    fn an_answer_cut_short_is_refused() {
        for sample in samples().iter().filter(|sample| sample[0] != kind::EXTENDED_REPLY) {
            let needed = if sample[0] == kind::STATUS { sample.len() - 4 } else { sample.len() };
            for bytes in (0..needed).filter(|bytes| sample[0] != kind::STATUS || *bytes != 9) {
                assert!(decode(&sample[..bytes]).is_err(), "{bytes} of {sample:?}");
            }
        }
    }

    #[test]
    fn lengths_beyond_the_packet_are_refused() {
        for kind in [kind::HANDLE, kind::DATA] {
            assert!(decode(&packet(kind, &[&[0xff; 4], b"few"])).is_err());
        }
        assert!(decode(&packet(kind::NAME, &[&[0xff; 4]])).is_err());
        assert!(decode(&packet(kind::NAME, &[&[0; 4]])).is_err());
        assert!(decode(&packet(kind::HANDLE, &[&string(&[1; 257])])).is_err());
        assert!(decode(&packet(kind::ATTRS, &[&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]])).is_err());
        assert!(decode(&packet(99, &[])).is_err());
    }

    #[test]
    fn greetings() {
        let greeting =
            |version: u8, rest: &[u8]| [&[kind::VERSION, 0, 0, 0, version], rest].concat();
        let extension = [string(b"fsync@openssh.com"), string(b"1")].concat();
        assert_eq!(decode_greeting(&greeting(3, &extension)).unwrap(), ["fsync@openssh.com"]);
        assert_eq!(decode_greeting(&greeting(3, &[])).unwrap(), [""; 0]);
        assert!(decode_greeting(&greeting(6, &extension)).is_err());
        assert!(decode_greeting(&greeting(3, &extension[..20])).is_err());
        assert!(decode_greeting(&greeting(3, &extension[..21])).is_err());
        assert!(decode_greeting(b"Welcome").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            kind in prop_oneof![Just(2_u8), 101..=105_u8, Just(201), any::<u8>()],
            rest in proptest::collection::vec(prop_oneof![Just(0), Just(1_u8), any::<u8>()], 0..200),
        ) {
            let packet = [&[kind], rest.as_slice()].concat();
            if let Ok((_, Reply::Names(names))) = decode(&packet) {
                prop_assert!(names.len() <= packet.len() / 12);
            }
            let _ = decode_greeting(&packet);
        }
    }
}
