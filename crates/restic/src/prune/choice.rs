//! Which packs are worth writing anew.

use crate::PackId;

/// A pack of which some is needed and some is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) pack: PackId,
    pub(super) used_bytes: u64,
    pub(super) unused_bytes: u64,
}

/// Of the candidates those that have to be written anew so that at most `max_unused` percent of all is unused:
/// those with the largest unused shares first, since they cost the least for what they give. `used_bytes` are all
/// that is needed, in whichever pack.
pub(super) fn choose(candidates: &[Candidate], used_bytes: u64, max_unused: f64) -> Vec<PackId> {
    let allowed = allowed_bytes(used_bytes, max_unused);
    let mut unused: u128 = candidates.iter().map(|pack| u128::from(pack.unused_bytes)).sum();
    let mut by_share = candidates.to_vec();
    by_share.sort_by(|a, b| {
        let share = |one: &Candidate, other: &Candidate| {
            u128::from(one.unused_bytes) * u128::from(other.used_bytes)
        };
        share(b, a).cmp(&share(a, b)).then(a.pack.cmp(&b.pack))
    });
    let mut chosen = Vec::new();
    for pack in by_share {
        if unused <= allowed {
            break;
        }
        unused -= u128::from(pack.unused_bytes);
        chosen.push(pack.pack);
    }
    chosen
}

/// So much may be unused beside `used_bytes`.
fn allowed_bytes(used_bytes: u64, max_unused: f64) -> u128 {
    if max_unused >= 100.0 {
        return u128::MAX;
    }
    let share = max_unused.max(0.0) / (100.0 - max_unused.max(0.0));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share of what is there, about"
    )]
    let allowed = (used_bytes as f64 * share) as u128;
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(number: u8, used_bytes: u64, unused_bytes: u64) -> Candidate {
        Candidate { pack: PackId::from([number; 32]), used_bytes, unused_bytes }
    }

    #[test]
    fn follows_the_table() {
        let packs = [candidate(1, 90, 10), candidate(2, 10, 90), candidate(3, 50, 50)];
        for (used_bytes, max_unused, expected) in [
            (1_000_000, 5.0, &[][..]),
            (150, 0.0, &[2, 3, 1]),
            (150, 5.0, &[2, 3, 1]),
            (150, 10.0, &[2, 3]),
            (150, 40.0, &[2]),
            (150, 50.0, &[]),
            (150, 100.0, &[]),
            (0, 5.0, &[2, 3, 1]),
            (0, 100.0, &[]),
            (150, -1.0, &[2, 3, 1]),
        ] {
            let chosen = choose(&packs, used_bytes, max_unused);
            let chosen: Vec<u8> = chosen.iter().map(|pack| pack.as_bytes()[0]).collect();
            assert_eq!(chosen, expected, "{used_bytes} {max_unused}");
        }
        assert_eq!(choose(&[], 100, 0.0), []);
        let equal = [candidate(2, 5, 5), candidate(1, 5, 5)];
        assert_eq!(choose(&equal, 10, 0.0), [PackId::from([1; 32]), PackId::from([2; 32])]);
    }
}
