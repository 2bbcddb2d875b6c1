//! The polynomial over GF(2) that says where a repository's files are cut.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::cipher::fill_random;
use crate::{Error, Result};

/// The degree that restic uses, and the only one that is accepted.
pub(crate) const DEGREE: u32 = 53;
/// About one in 27 of the candidates is irreducible: not to find one in ten thousand is a broken source
/// of random bytes.
const TRIES: usize = 10_000;

/// An irreducible polynomial over GF(2) of degree 53; bit `i` is the coefficient of `x^i`. Random for
/// every repository, so that the lengths of chunks tell nothing of what is in them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Polynomial(u64);

impl Polynomial {
    /// A random one.
    pub fn random() -> Result<Self> {
        for _ in 0..TRIES {
            let mut bytes = [0; 8];
            fill_random(&mut bytes)?;
            // Without the constant term it would have the factor x.
            let bits = u64::from_le_bytes(bytes) & ((1 << DEGREE) - 1) | 1 << DEGREE | 1;
            if let Some(polynomial) = Self::new(bits) {
                return Ok(polynomial);
            }
        }
        Err(Error::Machine {
            operation: "find an irreducible polynomial",
            source: std::io::Error::other("random bytes are not random"),
        })
    }

    /// The polynomial of these coefficients, if it is irreducible and of degree 53.
    #[must_use]
    pub fn new(bits: u64) -> Option<Self> {
        (degree(bits) == Some(DEGREE) && is_irreducible(bits)).then_some(Self(bits))
    }

    /// The coefficients.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Polynomial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polynomial").finish_non_exhaustive()
    }
}

/// Hex digits without leading zeros, as in restic's `config`.
impl Serialize for Polynomial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Polynomial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bits = u64::from_str_radix(&text, 16).ok();
        bits.and_then(Self::new)
            .ok_or_else(|| de::Error::custom("not an irreducible polynomial of degree 53"))
    }
}

/// `None` for the zero polynomial.
fn degree(bits: u64) -> Option<u32> {
    bits.checked_ilog2()
}

/// `x mod divisor`.
pub(crate) fn modulo(mut x: u64, divisor: u64) -> u64 {
    let Some(divisor_degree) = degree(divisor) else { return x };
    while let Some(shift) = degree(x).and_then(|degree| degree.checked_sub(divisor_degree)) {
        x ^= divisor << shift;
    }
    x
}

/// `a * b mod divisor`, where `a` and `b` are of lower degree than `divisor`, and that below 63.
fn multiply_modulo(mut a: u64, b: u64, divisor: u64) -> u64 {
    let Some(degree) = degree(divisor) else { return 0 };
    let mut product = 0;
    for bit in 0..degree {
        if b >> bit & 1 == 1 {
            product ^= a;
        }
        a <<= 1;
        if a >> degree & 1 == 1 {
            a ^= divisor;
        }
    }
    product
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, modulo(a, b));
    }
    a
}

/// Ben-Or's test: no factor of degree `i` is shared with `x^(2^i) - x`, the product of all irreducible
/// polynomials of degrees that divide `i`.
fn is_irreducible(bits: u64) -> bool {
    const X: u64 = 2;
    let Some(degree) = degree(bits) else { return false };
    let mut power = X;
    (1..=degree / 2).all(|_| {
        power = multiply_modulo(power, power, bits);
        greatest_common_divisor(bits, power ^ X) == 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_irreducible_ones() {
        // The one of restic's own tests, and one that restic's documentation shows.
        for bits in [0x3d_a335_8b4d_c173, 0x25_b468_838d_cb75] {
            assert_eq!(Polynomial::new(bits).map(Polynomial::bits), Some(bits));
        }
        let polynomial = Polynomial::random().unwrap();
        assert_eq!(Polynomial::new(polynomial.bits()), Some(polynomial));
    }

    #[test]
    fn refuses_others() {
        // Zero, of another degree, and products.
        for bits in [0, 1, 0b111, 1 << 53, 0x3d_a335_8b4d_c173 >> 1, 0x25_b468_838d_cb75 ^ 1] {
            assert_eq!(Polynomial::new(bits), None, "{bits:x}");
        }
        // x^53 is taken apart by x, and of each two neighbours (in the constant term) one has x or,
        // with an even number of terms, x + 1 as a factor.
        assert_eq!(Polynomial::new(0x3d_a335_8b4d_c173 ^ 0b110), None);
        for text in ["", "g", "0", "-3da3358b4dc173", "3da3358b4dc1731", "\u{e4}"] {
            assert!(serde_json::from_str::<Polynomial>(&format!("{text:?}")).is_err(), "{text}");
        }
    }

    /// Against division by every polynomial that could be a factor.
    #[test]
    fn agrees_with_trial_division() {
        for bits in 2..4096_u64 {
            let half = degree(bits).unwrap() / 2;
            let divisible = (2..1 << (half + 1)).any(|divisor| modulo(bits, divisor) == 0);
            assert_eq!(is_irreducible(bits), !divisible, "{bits:b}");
        }
    }
}
