//! Which packs are read when not all of them are.

use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::cipher::fill_random;
use crate::{Error, Listed, PackId, Result};

/// As many parts as the first byte of an id tells apart.
const MOST_PARTS: u32 = 256;

/// A part of the packs, as restic takes it: `n/m`, `5%`, `1G`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subset {
    /// All of them.
    All,
    /// The `number`th of `parts`, by the first byte of the id: one after the other they are all.
    Part {
        /// From 1 on.
        number: u32,
        /// At most 256.
        parts: u32,
    },
    /// This percentage, others each time.
    Percentage(f64),
    /// About so many bytes, others each time.
    Bytes(u64),
}

impl Subset {
    /// Those of `packs` that are in it; at least one if there is any, but for parts.
    pub fn choose(&self, packs: &[Listed<PackId>]) -> Result<Vec<Listed<PackId>>> {
        let mut seed = [0; 16];
        fill_random(&mut seed)?;
        Ok(self.choose_by(seed, packs))
    }

    fn choose_by(&self, seed: [u8; 16], packs: &[Listed<PackId>]) -> Vec<Listed<PackId>> {
        match *self {
            Self::All => packs.to_vec(),
            Self::Part { number, parts } => {
                let is_in = |first: u8| u32::from(first) % parts.max(1) == number.saturating_sub(1);
                packs.iter().filter(|pack| is_in(pack.id.as_bytes()[0])).copied().collect()
            }
            Self::Percentage(percentage) => {
                let bytes: u64 = packs.iter().map(|pack| pack.size).sum();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    clippy::cast_sign_loss,
                    reason = "a share of what is there, about"
                )]
                let share = (bytes as f64 * percentage / 100.0) as u64;
                up_to(share, seed, packs)
            }
            Self::Bytes(bytes) => up_to(bytes, seed, packs),
        }
    }
}

/// Packs in an order that depends on `seed`, until there are so many bytes of them.
fn up_to(bytes: u64, seed: [u8; 16], packs: &[Listed<PackId>]) -> Vec<Listed<PackId>> {
    let place = |pack: &Listed<PackId>| -> [u8; 32] {
        Sha256::new().chain_update(seed).chain_update(pack.id.as_bytes()).finalize().into()
    };
    let mut shuffled = packs.to_vec();
    shuffled.sort_by_cached_key(place);
    let mut taken = 0;
    shuffled.retain(|pack| {
        let is_taken = taken == 0 || taken < bytes;
        taken += if is_taken { pack.size.max(1) } else { 0 };
        is_taken
    });
    shuffled
}

impl FromStr for Subset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let subset = if let Some((number, parts)) = text.split_once('/') {
            part(number, parts)
        } else if let Some(number) = text.strip_suffix('%') {
            percentage(number)
        } else {
            bytes(text)
        };
        subset.ok_or_else(|| Error::InvalidSubset { text: text.to_owned() })
    }
}

fn part(number: &str, parts: &str) -> Option<Subset> {
    let (number, parts) = (whole(number)?, whole(parts)?);
    let (number, parts) = (u32::try_from(number).ok()?, u32::try_from(parts).ok()?);
    let is_one = (1..=MOST_PARTS).contains(&parts) && (1..=parts).contains(&number);
    is_one.then_some(Subset::Part { number, parts })
}

fn percentage(number: &str) -> Option<Subset> {
    let percentage: f64 = number.parse().ok()?;
    (percentage > 0.0 && percentage <= 100.0).then_some(Subset::Percentage(percentage))
}

fn bytes(text: &str) -> Option<Subset> {
    let unit = text.chars().last()?.to_ascii_lowercase();
    let (shift, number) = match unit {
        'b' => (0, &text[..text.len() - 1]),
        'k' => (10, &text[..text.len() - 1]),
        'm' => (20, &text[..text.len() - 1]),
        'g' => (30, &text[..text.len() - 1]),
        't' => (40, &text[..text.len() - 1]),
        _ => (0, text),
    };
    let bytes = whole(number)?.checked_mul(1 << shift)?;
    (bytes > 0).then_some(Subset::Bytes(bytes))
}

/// Digits only: `parse` would take a sign.
fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn packs() -> Vec<Listed<PackId>> {
        (0..=255).map(|byte| Listed { id: PackId::from([byte; 32]), size: 10 }).collect()
    }

    #[test]
    fn reads_what_restic_takes() {
        for (text, subset) in [
            ("1/5", Subset::Part { number: 1, parts: 5 }),
            ("256/256", Subset::Part { number: 256, parts: 256 }),
            ("5%", Subset::Percentage(5.0)),
            ("0.5%", Subset::Percentage(0.5)),
            ("100%", Subset::Percentage(100.0)),
            ("10", Subset::Bytes(10)),
            ("10B", Subset::Bytes(10)),
            ("3k", Subset::Bytes(3 << 10)),
            ("50M", Subset::Bytes(50 << 20)),
            ("1G", Subset::Bytes(1 << 30)),
            ("2t", Subset::Bytes(2 << 40)),
        ] {
            assert_eq!(text.parse::<Subset>().unwrap(), subset);
        }
        for text in [
            "",
            "0/1",
            "2/1",
            "1/0",
            "1/257",
            "1/2/3",
            "/",
            "1/",
            "-1/2",
            "+1/2",
            "0%",
            "101%",
            "%",
            "-5%",
            "NaN%",
            "x%",
            "0",
            "0G",
            "G",
            "-1G",
            "+1G",
            "1.5G",
            "20000000T",
            "5x",
            "ä",
            "1ä",
            "1 G",
        ] {
            let error = text.parse::<Subset>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn parts_are_all_together_and_the_same_each_time() {
        let all = packs();
        assert_eq!(Subset::All.choose(&all).unwrap(), all);
        let mut seen = BTreeSet::new();
        for number in 1..=7 {
            let part = Subset::Part { number, parts: 7 };
            let chosen = part.choose(&all).unwrap();
            assert_eq!(chosen, part.choose(&all).unwrap());
            assert!(chosen.iter().all(|pack| u32::from(pack.id.as_bytes()[0]) % 7 == number - 1));
            seen.extend(chosen);
        }
        assert_eq!(Vec::from_iter(seen), all);
    }

    #[test]
    fn shares_are_as_large_as_told_and_others_each_time() {
        let all = packs();
        for (subset, count) in [
            (Subset::Percentage(50.0), 128),
            (Subset::Percentage(0.001), 1),
            (Subset::Percentage(100.0), 256),
            (Subset::Bytes(95), 10),
            (Subset::Bytes(1), 1),
            (Subset::Bytes(u64::MAX), 256),
        ] {
            assert_eq!(subset.choose_by([1; 16], &all).len(), count, "{subset:?}");
            assert!(subset.choose(&[]).unwrap().is_empty());
        }
        let half = |seed| Subset::Percentage(50.0).choose_by([seed; 16], &all);
        assert_eq!(half(1), half(1));
        assert_ne!(half(1), half(2));
    }
}
