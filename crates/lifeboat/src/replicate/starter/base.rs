//! Writes new bases. What a base holds goes into the spool first; then the captures go on, while the base is
//! written of a pin of its own.

use std::path::PathBuf;

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_repository::{DatabaseAddress, LineageId, Time};
use lifeboat_sqlite::{Pin, pin};

use super::Starter;
use crate::Result;
use crate::capture::NewBase;
use crate::replicate::captures::Look;
use crate::replicate::message::{KeeperNews, Message};
use crate::replicate::replica::Replica;
use crate::state::Merging;

/// A pinned state that is in the spool.
struct Begun {
    pin: Pin,
    source: String,
    lineage: LineageId,
    txid: Txid,
    time: Time,
    checksum: Checksum,
    scratch: PathBuf,
    merging: Merging,
}

impl Starter<'_> {
    pub(super) fn base(&self, database: usize, mut replica: Replica, repository: usize) {
        let begun = match begin(&mut replica) {
            Ok(begun) => begun,
            Err(error) => return self.ready(database, Err(error)),
        };
        self.ready(database, Ok(replica));
        let Some(begun) = begun else { return };
        let news = self.write(begun, repository).unwrap_or_else(KeeperNews::Failing);
        self.tell(Message::Keeper { database, repository, news });
    }

    fn write(&self, begun: Begun, repository: usize) -> Result<KeeperNews> {
        let Begun { pin, source, lineage, txid, time, checksum, scratch, merging } = begun;
        let opened = self.context.open_one_of_several(repository)?;
        opened.require_writable()?;
        let address = DatabaseAddress::new(&self.context.host_name(), &source)?;
        let (lineage, ledger) = (address.lineage(lineage)?, merging.ledger(&opened.id()));
        let (repository, source) = (opened.repository(), source.as_str());
        let base = NewBase { repository, source, lineage, txid, time, checksum, scratch, ledger };
        let read = base.read(&pin, self.progress)?;
        drop(pin);
        let sent_bytes = base.store(read)?;
        Ok(KeeperNews::Based { txid, sent_bytes })
    }
}

/// Captures what there is; nothing where another lineage begins, which has a base of its own.
fn begin(replica: &mut Replica) -> Result<Option<Begun>> {
    let pin = pin(&replica.target.path, &replica.captures.files.scratch())?;
    replica.rest();
    let look = replica.captures.capture(&pin)?;
    replica.captures.save()?;
    let (state, files) = (&replica.captures.state, &replica.captures.files);
    let captured = &state.captured;
    let (Some(txid), Some(checksum)) = (captured.txid, captured.checksum) else { return Ok(None) };
    Ok((!matches!(look, Look::NewLineage(_))).then(|| Begun {
        pin,
        source: replica.target.name.clone(),
        lineage: state.lineage,
        txid,
        time: captured.time,
        checksum,
        scratch: files.scratch(),
        merging: files.merging(state.lineage),
    }))
}
