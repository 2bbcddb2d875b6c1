//! Chance that repeats itself.

/// The same seed, the same course (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// From `LIFEBOAT_SEED`, else from `usual`. It is printed, for whoever looks at a failure.
    #[allow(clippy::print_stdout, reason = "tells how to see a failure again")]
    pub(crate) fn new(usual: u64) -> Self {
        let given = std::env::var("LIFEBOAT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(usual);
        println!("LIFEBOAT_SEED={seed}");
        Self(seed)
    }

    /// A number from 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % end as u64).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn choose<'a>(&mut self, among: &[&'a str]) -> &'a str {
        among[self.below(among.len())]
    }
}
