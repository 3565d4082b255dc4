//! Random numbers from a seed: the same everywhere and for ever, so that a seed is a bug report.

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `least` to `most`, both included.
    pub(crate) const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// True in so many of a hundred cases.
    pub(crate) const fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    /// One of these.
    pub(crate) fn choose<T: Copy>(&mut self, of: &[T], otherwise: T) -> T {
        let count = of.len().max(1) as u64;
        let index = usize::try_from(self.next() % count).unwrap_or_default();
        of.get(index).copied().unwrap_or(otherwise)
    }

    /// One of these by weight; the last one if all weights are 0.
    pub(crate) fn weighted<T: Copy>(&mut self, of: &[(u64, T)], otherwise: T) -> T {
        let total: u64 = of.iter().map(|(weight, _)| weight).sum();
        let mut at = self.next() % total.max(1);
        for (weight, one) in of {
            if at < *weight {
                return *one;
            }
            at -= weight;
        }
        otherwise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same() {
        let mut random = Random::new(1);
        assert_eq!(random.next(), 0x910a_2dec_8902_5cc1);
        let mut again = Random::new(1);
        again.next();
        assert_eq!(random.between(3, 9), again.between(3, 9));
    }

    #[test]
    fn what_has_no_weight_is_never_taken() {
        let mut random = Random::new(7);
        for _ in 0..100 {
            assert_eq!(random.weighted(&[(0, 'a'), (1, 'b'), (0, 'c')], 'd'), 'b');
            assert!((3..=5).contains(&random.between(3, 5)));
        }
    }
}
