//! What LTX files applied one after the other lead to, and whether they continue each other.

use lifeboat_ltx::{Checksum, DatabaseChecksum, Header, PageSize, Txid, TxidRange};

use crate::{Error, Result};

/// The state of a database that files are applied to, wherever its pages are kept.
///
/// For each file: [`begin`](Self::begin), [`page`](Self::page) for each page,
/// [`cut`](Self::cut) for each page that it cuts off, [`end`](Self::end).
#[derive(Debug, Default)]
pub(crate) struct Replay {
    page_size: Option<PageSize>,
    commit: u32,
    txid: Option<Txid>,
    checksum: DatabaseChecksum,
    /// Pages that the present file added.
    grown: u32,
    torn: bool,
}

impl Replay {
    /// Goes on from a database that is there: `commit` pages with this checksum.
    pub(crate) fn resume(page_size: PageSize, commit: u32, txid: Txid, checksum: Checksum) -> Self {
        Self {
            page_size: Some(page_size),
            commit,
            txid: Some(txid),
            checksum: DatabaseChecksum::resume(checksum),
            grown: 0,
            torn: false,
        }
    }

    /// Bytes in a page; `None` before the first file.
    pub(crate) fn page_size(&self) -> Option<PageSize> {
        self.page_size
    }

    /// Pages in the database.
    pub(crate) fn commit(&self) -> u32 {
        self.commit
    }

    /// The checksum of the database.
    pub(crate) fn checksum(&self) -> Checksum {
        self.checksum.value()
    }

    /// The last transaction applied.
    pub(crate) fn txid(&self) -> Option<Txid> {
        self.txid
    }

    /// Whether a file was begun and did not end.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Admits a file: a base first, then what continues the last one. One that is refused leaves
    /// everything as it was; from here on until its end the database is torn, and if the file
    /// fails, nothing more can be applied.
    pub(crate) fn begin(&mut self, header: &Header) -> Result<()> {
        self.check_continues(header)?;
        self.torn = true;
        self.page_size = Some(header.page_size);
        self.grown = 0;
        Ok(())
    }

    /// Takes a page of the file; `before` is asked for the checksum of the page that it replaces.
    pub(crate) fn page(
        &mut self,
        pgno: u32,
        checksum: Checksum,
        before: impl FnOnce() -> Result<Checksum>,
    ) -> Result<()> {
        if pgno <= self.commit {
            self.checksum.toggle(before()?);
        } else {
            self.grown += 1;
        }
        self.checksum.toggle(checksum);
        Ok(())
    }

    /// The pages that a file cuts off, each of which is to be handed to [`cut`](Self::cut).
    pub(crate) fn cut_off(&self, header: &Header) -> impl Iterator<Item = u32> + use<> {
        let lock = header.page_size.lock_page();
        (header.commit.saturating_add(1)..=self.commit).filter(move |pgno| *pgno != lock)
    }

    /// Takes the checksum of a page that was cut off.
    pub(crate) fn cut(&mut self, before: Checksum) {
        self.checksum.toggle(before);
    }

    /// The file was read to its end: whether it brought what it must, and led to what it states.
    pub(crate) fn end(&mut self, header: &Header, stated: Option<Checksum>) -> Result<()> {
        self.check_growth(header)?;
        self.check_result(header.range, stated)?;
        self.commit = header.commit;
        self.txid = Some(header.range.max());
        self.torn = false;
        Ok(())
    }

    fn check_continues(&self, header: &Header) -> Result<()> {
        let range = header.range;
        if self.torn {
            return Err(Error::Discontinuous {
                detail: format!("{range} comes after a file that failed"),
            });
        }
        match self.txid {
            None if range.is_base() => {}
            None => {
                return Err(Error::Discontinuous {
                    detail: format!("expected a base, found transactions {range}"),
                });
            }
            Some(last) => {
                let next = last.next();
                if next.is_none_or(|next| range.min() > next) || range.max() <= last {
                    return Err(Error::Discontinuous {
                        detail: format!("expected what follows {last}, found {range}"),
                    });
                }
            }
        }
        match self.page_size {
            Some(size) if size != header.page_size => {
                return Err(Error::Discontinuous {
                    detail: format!("expected pages of {size} bytes, found {}", header.page_size),
                });
            }
            _ => {}
        }
        let follows = self.txid.is_some_and(|last| last.next() == Some(range.min()));
        match header.checksum_before {
            Some(before) if follows && before != self.checksum() => Err(Error::Discontinuous {
                detail: format!(
                    "{range} follows a database with checksum {before}, this one has {}",
                    self.checksum()
                ),
            }),
            _ => Ok(()),
        }
    }

    /// A file that makes the database larger brings every page it adds.
    fn check_growth(&self, header: &Header) -> Result<()> {
        let lock = header.page_size.lock_page();
        let added = header.commit.saturating_sub(self.commit);
        let lock_page_added = lock > self.commit && lock <= header.commit;
        let expected = added - u32::from(lock_page_added);
        if self.grown == expected {
            return Ok(());
        }
        Err(Error::Discontinuous {
            detail: format!(
                "{} grows the database by {expected} pages but brings {}",
                header.range, self.grown
            ),
        })
    }

    fn check_result(&self, range: TxidRange, stated: Option<Checksum>) -> Result<()> {
        match stated {
            Some(after) if after != self.checksum() => Err(Error::Discontinuous {
                detail: format!(
                    "after {range} the database should have checksum {after}, it has {}",
                    self.checksum()
                ),
            }),
            _ => Ok(()),
        }
    }
}
