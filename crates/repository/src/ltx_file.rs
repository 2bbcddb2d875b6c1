//! Names of LTX objects, and the parts of large ones.

use std::collections::BTreeMap;
use std::time::SystemTime;

use lifeboat_ltx::{Txid, TxidRange};
use lifeboat_storage::{Entry, Key};

use crate::document::key;
use crate::{Form, Result, Time};

/// A sealed LTX stream is cut after this many bytes.
pub const PART_BYTES: u64 = 256 << 20;
/// The most parts that names can number.
pub(crate) const MAX_PARTS: u32 = 9_999;

/// What the name of an LTX file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LtxName {
    /// 0 captures, 1 to 3 and 8 merges, 9 bases.
    pub level: u8,
    /// The first transaction.
    pub min: Txid,
    /// The last transaction.
    pub max: Txid,
    /// The time of the last transaction.
    pub time: Time,
}

/// Which part of a file an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The object is the file.
    Whole,
    /// One of several, from 1.
    Numbered { number: u32, last: bool },
}

impl LtxName {
    /// The transactions.
    pub fn range(&self) -> TxidRange {
        // Names with min > max are not parsed and not made.
        TxidRange::new(self.min, self.max).unwrap_or(TxidRange::single(self.max))
    }

    /// The key of the file, or of a part of it, below a lineage's key.
    pub(crate) fn key(&self, form: Form, lineage: &Key, part: Part) -> Result<Key> {
        let Self { level, min, max, time } = self;
        let part = match part {
            Part::Whole => String::new(),
            Part::Numbered { number, last } => {
                format!(".{number:04}{}", if last { ".last" } else { "" })
            }
        };
        let time =
            if form.names_have_times() { format!("-{}", time.name()) } else { String::new() };
        let suffix = form.ltx_suffix();
        key(format!("{lineage}/ltx/{level}/{min}-{max}{time}{suffix}{part}"))
    }

    /// Reads `<level>/<file>` of a key below a lineage's `ltx/`; `modified` is the object's time.
    pub(crate) fn parse(form: Form, path: &str, modified: SystemTime) -> Option<(Self, Part)> {
        let (level, file) = path.split_once('/')?;
        let level: u8 = match level.as_bytes() {
            [digit @ b'0'..=b'9'] => digit - b'0',
            _ => return None,
        };
        let (stem, part) = file.split_once(form.ltx_suffix())?;
        let mut fields = stem.splitn(3, '-');
        let min: Txid = fields.next()?.parse().ok()?;
        let max: Txid = fields.next()?.parse().ok()?;
        if min > max {
            return None;
        }
        let (time, part) = match (form, fields.next()) {
            (Form::Sealed, Some(time)) => (Time::from_name(time).ok()?, parse_part(part)?),
            (Form::Litestream, None) if part.is_empty() => {
                (Time::from_system(modified), Part::Whole)
            }
            _ => return None,
        };
        Some((Self { level, min, max, time }, part))
    }
}

fn parse_part(text: &str) -> Option<Part> {
    if text.is_empty() {
        return Some(Part::Whole);
    }
    let text = text.strip_prefix('.')?;
    let (digits, last) = match text.strip_suffix(".last") {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    Some(Part::Numbered { number, last })
}

/// A whole LTX file in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LtxFile {
    /// What its name says.
    pub name: LtxName,
    /// Its objects in the order of their bytes: one, or all parts.
    pub objects: Vec<Entry>,
}

impl LtxFile {
    /// Its sealed bytes.
    pub fn size(&self) -> u64 {
        self.objects.iter().map(|object| object.size).sum()
    }

    /// Its first object, which names it in messages.
    pub fn first_key(&self) -> &Key {
        &self.objects[0].key
    }
}

/// Puts the objects of a lineage's `ltx/` together: whole files, and objects of files that are not.
/// All parts of a file but the last have `part_bytes`.
pub(crate) fn assemble(
    objects: Vec<(LtxName, Part, Entry)>,
    part_bytes: u64,
) -> (Vec<LtxFile>, Vec<Entry>) {
    let mut by_name: BTreeMap<LtxName, Vec<(Part, Entry)>> = BTreeMap::new();
    for (name, part, entry) in objects {
        by_name.entry(name).or_default().push((part, entry));
    }
    let (mut whole, mut partial) = (Vec::new(), Vec::new());
    for (name, mut parts) in by_name {
        parts.sort_by_key(|(part, _)| *part);
        if parts[0].0 == Part::Whole {
            // The whole object is used alone; parts beside it are of no use.
            let (_, entry) = parts.remove(0);
            whole.push(LtxFile { name, objects: vec![entry] });
        } else if is_complete(&parts, part_bytes) {
            let objects = parts.into_iter().map(|(_, entry)| entry).collect();
            whole.push(LtxFile { name, objects });
            continue;
        }
        partial.extend(parts.into_iter().map(|(_, entry)| entry));
    }
    (whole, partial)
}

/// Parts 1 to k, of which k alone is the last and the others have their full size.
fn is_complete(parts: &[(Part, Entry)], part_bytes: u64) -> bool {
    let count = parts.len();
    count > 1
        && (1..).zip(parts).all(|(expected, (part, entry))| match part {
            Part::Whole => false,
            Part::Numbered { number, last } => {
                let is_last = expected as usize == count;
                let sized = if is_last { entry.size > 0 } else { entry.size == part_bytes };
                *number == expected && *last == is_last && sized
            }
        })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::{Entry, LtxName, Part, assemble};
    use crate::document::key;
    use crate::{Form, Time};

    fn parse(path: &str) -> Option<(LtxName, Part)> {
        LtxName::parse(Form::Sealed, path, SystemTime::UNIX_EPOCH)
    }

    fn object(path: &str, size: u64) -> (LtxName, Part, Entry) {
        let (name, part) = parse(path).unwrap();
        let key = key(format!("databases/h/n/0000000000000001/ltx/{path}")).unwrap();
        (name, part, Entry { key, size, modified: SystemTime::UNIX_EPOCH })
    }

    const STEM: &str = "9/0000000000000001-000000000000000a-20261121T024900.123Z.ltx.zst.age";

    #[test]
    fn names_are_read_as_they_are_written() {
        for suffix in ["", ".0001", ".0002.last", ".9999.last"] {
            let path = format!("{STEM}{suffix}");
            let (name, part) = parse(&path).unwrap();
            let lineage = key("databases/h/n/0000000000000001").unwrap();
            let written = name.key(Form::Sealed, &lineage, part).unwrap();
            assert_eq!(written.as_str(), format!("{lineage}/ltx/{path}"));
        }
        for suffix in [".1", ".0000", ".last", ".0001.first", "0001", ".0001.last.last", ".00001"] {
            assert!(parse(&format!("{STEM}{suffix}")).is_none(), "{suffix}");
        }
    }

    /// Litestream's own pattern, and nothing beside it; the time is the store's.
    #[test]
    fn plain_names_are_litestreams() {
        let modified = Time::from_millis(1_795_229_340_123);
        let parse = |path: &str| LtxName::parse(Form::Litestream, path, modified.system());
        let path = "0/0000000000000002-000000000000000a.ltx";
        let (name, part) = parse(path).unwrap();
        assert_eq!((name.min.get(), name.max.get(), name.time), (2, 10, modified));
        let lineage = key("databases/h/n/0000000000000001").unwrap();
        let written = name.key(Form::Litestream, &lineage, part).unwrap();
        assert_eq!(written.as_str(), format!("{lineage}/ltx/{path}"));
        for foreign in [
            STEM,
            "0/0000000000000002-000000000000000a-20261121T024900.123Z.ltx",
            "0/0000000000000002-000000000000000a.ltx.tmp",
            "0/0000000000000002-000000000000000a.ltx.0001",
            "0/000000000000000a-0000000000000002.ltx",
            "0/2-a.ltx",
            "10/0000000000000002-000000000000000a.ltx",
        ] {
            assert!(parse(foreign).is_none(), "{foreign}");
        }
        assert!(LtxName::parse(Form::Sealed, path, modified.system()).is_none());
    }

    #[test]
    fn a_file_is_whole_or_is_none() {
        let cases: &[(&[(&str, u64)], usize)] = &[
            (&[("", 9)], 1),
            (&[(".0001", 5), (".0002.last", 1)], 1),
            (&[(".0001", 5), (".0002.last", 5)], 1),
            (&[(".0001", 5), (".0002", 5), (".0003.last", 2)], 1),
            (&[("", 9), (".0001", 5)], 1),
            (&[(".0001", 4), (".0002.last", 1)], 0),
            (&[(".0001", 6), (".0002.last", 1)], 0),
            (&[(".0001", 5), (".0002.last", 0)], 0),
            (&[(".0001", 5)], 0),
            (&[(".0001.last", 5)], 0),
            (&[(".0002.last", 1)], 0),
            (&[(".0001", 5), (".0003.last", 1)], 0),
            (&[(".0001", 5), (".0002", 5)], 0),
            (&[(".0001", 5), (".0002.last", 5), (".0003.last", 5)], 0),
        ];
        for (parts, expected) in cases {
            let objects =
                parts.iter().map(|(suffix, size)| object(&format!("{STEM}{suffix}"), *size));
            let (whole, partial) = assemble(objects.collect(), 5);
            assert_eq!(whole.len(), *expected, "{parts:?}");
            let used: usize = whole.iter().map(|file| file.objects.len()).sum();
            assert_eq!(used + partial.len(), parts.len(), "{parts:?}");
        }
    }
}
