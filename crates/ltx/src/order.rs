//! Which page may follow which.

use crate::Header;

/// Watches the order of a file's pages: ascending, within the database, without the lock page, and for
/// a base without a gap.
#[derive(Clone, Debug)]
pub(crate) struct PageOrder {
    commit: u32,
    lock_page: u32,
    base: bool,
    last: u32,
}

impl PageOrder {
    pub(crate) fn new(header: &Header) -> Self {
        Self {
            commit: header.commit,
            lock_page: header.page_size.lock_page(),
            base: header.range.is_base(),
            last: 0,
        }
    }

    /// Whether `pgno` may come next; if not, what may.
    #[inline]
    pub(crate) fn admit(&mut self, pgno: u32) -> Result<(), String> {
        let fits = pgno > self.last
            && pgno <= self.commit
            && pgno != self.lock_page
            && (!self.base || pgno == self.after_last());
        if fits {
            self.last = pgno;
            Ok(())
        } else {
            Err(self.expected())
        }
    }

    /// Whether the file may end here; if not, what is missing.
    pub(crate) fn end(&self) -> Result<(), String> {
        if !self.base || self.is_complete() { Ok(()) } else { Err(self.expected()) }
    }

    /// Whether a base has its last page.
    fn is_complete(&self) -> bool {
        let last = if self.commit == self.lock_page { self.commit - 1 } else { self.commit };
        self.last == last
    }

    fn after_last(&self) -> u32 {
        let next = self.last.saturating_add(1);
        if next == self.lock_page { next + 1 } else { next }
    }

    fn expected(&self) -> String {
        let Self { commit, lock_page, base, last } = self;
        if *base && self.is_complete() {
            format!("the end of the pages after page {last} of {commit}")
        } else if *base {
            format!("page {} of {commit}, as a base holds every page", self.after_last())
        } else {
            format!("a page number above {last}, at most {commit}, other than {lock_page}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PageSize, Txid, TxidRange};

    fn order(commit: u32, range: TxidRange) -> PageOrder {
        PageOrder::new(&Header::new(PageSize::new(65_536).expect("valid"), commit, range))
    }

    /// Of pages of 64 KiB.
    const LOCK: u32 = 16_385;

    fn run(mut order: PageOrder, pages: impl IntoIterator<Item = u32>) -> Result<(), String> {
        pages.into_iter().try_for_each(|pgno| order.admit(pgno))?;
        order.end()
    }

    #[test]
    fn a_delta_holds_any_ascending_pages() {
        let delta = || order(20_000, TxidRange::single(Txid::new(2).expect("not zero")));
        assert_eq!(run(delta(), []), Ok(()));
        assert_eq!(run(delta(), [3, 4, LOCK - 1, LOCK + 1, 20_000]), Ok(()));
        for pages in [vec![0], vec![3, 3], vec![3, 2], vec![LOCK], vec![20_001], vec![u32::MAX]] {
            assert!(run(delta(), pages.clone()).is_err(), "{pages:?}");
        }
    }

    #[test]
    fn a_base_holds_all_pages_but_the_lock_page() {
        let base = |commit| order(commit, TxidRange::base(Txid::FIRST));
        assert_eq!(run(base(0), []), Ok(()));
        assert_eq!(run(base(3), 1..=3), Ok(()));
        assert_eq!(run(base(LOCK), 1..LOCK), Ok(()));
        assert_eq!(run(base(LOCK + 2), (1..=LOCK + 2).filter(|pgno| *pgno != LOCK)), Ok(()));
        assert!(run(base(3), [1, 3]).is_err());
        assert!(run(base(3), [2, 3]).is_err());
        assert!(run(base(3), 1..=2).is_err());
        assert!(run(base(3), 1..=4).is_err());
        assert!(run(base(LOCK + 2), 1..=LOCK + 2).is_err());
        assert!(run(base(LOCK + 1), 1..LOCK).is_err());
    }
}
