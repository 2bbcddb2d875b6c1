//! Takes a key away.

use lifeboat_repository::{KeyEntry, KeyHolder};

use super::restic;
use crate::{Error, OpenRepository, Result};

/// The least of an id that is taken for one.
const MIN_ID_PREFIX: usize = 4;

/// A key that can be removed.
#[derive(Debug)]
pub struct Removal {
    /// The key.
    pub key: KeyEntry,
}

/// Finds the key that is meant, and refuses the one in use and the last one.
pub fn plan_removal(opened: &OpenRepository<'_>, wanted: &str) -> Result<Removal> {
    let repository = opened.repository();
    let mut keys = repository.keys(Some(opened.secrets()?))?;
    let ids: Vec<String> = keys.iter().map(|key| key.name.id.to_string()).collect();
    let at = match find(&ids, wanted).as_slice() {
        [at] => *at,
        [] => {
            let (wanted, location) = (wanted.to_owned(), repository.location());
            return Err(Error::NoKey { wanted, location });
        }
        several => {
            let candidates = several.iter().map(|at| ids[*at].clone()).collect();
            return Err(Error::Ambiguous { wanted: wanted.to_owned(), candidates });
        }
    };
    let current = repository.recipient()?.generation;
    let opens: Vec<Opens> = keys.iter().map(|key| Opens::of(key, current)).collect();
    let id = keys[at].name.id.short();
    match refusal(&opens, at) {
        Some(Refusal::InUse) => Err(Error::KeyInUse { id }),
        Some(Refusal::Last) => Err(Error::LastKey { id, generation: current }),
        None => Ok(Removal { key: keys.swap_remove(at) }),
    }
}

/// Removes it.
pub fn remove_key(opened: &OpenRepository<'_>, removal: &Removal) -> Result<()> {
    opened.repository().remove_key(removal.key.name)?;
    restic::sweep(opened)
}

/// The ids that begin with what was typed.
fn find(ids: &[String], wanted: &str) -> Vec<usize> {
    let wanted = wanted.to_ascii_lowercase();
    let fits = |id: &String| wanted.len() >= MIN_ID_PREFIX && id.starts_with(&wanted);
    (0..ids.len()).filter(|at| fits(&ids[*at])).collect()
}

/// What matters of a key when another is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opens {
    in_use: bool,
    /// It opens what is stored now.
    current: bool,
}

impl Opens {
    fn of(key: &KeyEntry, current: u32) -> Self {
        let readable = !matches!(key.holder, KeyHolder::Unreadable(_));
        Self { in_use: key.in_use, current: readable && key.name.generation == current }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    InUse,
    Last,
}

/// Why a key may not go.
fn refusal(keys: &[Opens], at: usize) -> Option<Refusal> {
    let others = keys.iter().enumerate().filter(|(other, _)| *other != at);
    if keys[at].current && !others.clone().any(|(_, key)| key.current) {
        Some(Refusal::Last)
    } else if keys[at].in_use {
        Some(Refusal::InUse)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Opens, Refusal, find, refusal};

    const IN_USE: Opens = Opens { in_use: true, current: true };
    const CURRENT: Opens = Opens { in_use: false, current: true };
    const FORMER: Opens = Opens { in_use: false, current: false };
    const FORMER_IN_USE: Opens = Opens { in_use: true, current: false };

    #[test]
    fn neither_the_one_in_use_nor_the_last_of_the_generation_may_go() {
        let cases = [
            (&[IN_USE][..], 0, Some(Refusal::Last)),
            (&[IN_USE, CURRENT], 0, Some(Refusal::InUse)),
            (&[IN_USE, CURRENT], 1, None),
            (&[FORMER, IN_USE], 0, None),
            (&[FORMER, IN_USE], 1, Some(Refusal::Last)),
            (&[FORMER_IN_USE, CURRENT], 1, Some(Refusal::Last)),
            (&[FORMER_IN_USE, CURRENT, CURRENT], 1, None),
            (&[FORMER_IN_USE, CURRENT], 0, Some(Refusal::InUse)),
        ];
        for (keys, at, expected) in cases {
            assert_eq!(refusal(keys, at), expected, "{keys:?} without {at}");
        }
    }

    #[test]
    fn ids_are_found_by_four_digits_or_more() {
        let ids = ["00ab12cd00000000", "00ab34ef00000000", "ff00000000000000"].map(str::to_owned);
        let cases = [
            ("00ab", &[0, 1][..]),
            ("00AB3", &[1]),
            ("ff00000000000000", &[2]),
            ("ff0", &[]),
            ("", &[]),
            ("abcd", &[]),
        ];
        for (wanted, expected) in cases {
            assert_eq!(find(&ids, wanted), expected, "{wanted}");
        }
    }
}
