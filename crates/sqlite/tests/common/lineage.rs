//! A base and the deltas that follow it, made and put together again.

use std::path::Path;

use lifeboat_ltx::{Checksum, Decoder, Header, PageCoding, Txid, TxidRange};
use lifeboat_sqlite::{
    HashKey, Image, PageArray, PageArrayWriter, Stage, apply_changes, count_rows, encode_base,
    encode_changes, integrity_check, pin, scan,
};
use rusqlite::Connection;

use super::value;

pub(crate) struct Lineage {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) files: Vec<Vec<u8>>,
    pub(crate) txid: Txid,
    pub(crate) checksum: Checksum,
}

impl Lineage {
    pub(crate) fn begin(database: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pin = pin(database, directory.path()).unwrap();
        let image = pin.image().unwrap();
        let (file, checksum) = base(&image, &directory.path().join("pages"));
        drop(pin);
        Self { directory, files: vec![file], txid: Txid::FIRST, checksum }
    }

    pub(crate) fn array(&self) -> PageArray {
        PageArray::open(&self.directory.path().join("pages")).unwrap()
    }

    /// Captures what changed; how many pages that were. Counts the rows of all tables on the way.
    pub(crate) fn capture(&mut self, database: &Path) -> u32 {
        let pin = pin(database, self.directory.path()).unwrap();
        let image = pin.image().unwrap();
        let array = self.array();
        let delta = self.directory.path().join("changes");
        let changes = scan(&image, &array, self.checksum, &delta, 2, &|_| ()).unwrap();
        if !changes.none() {
            self.txid = self.txid.next().unwrap();
            let range = TxidRange::single(self.txid);
            let mut header = Header::new(image.page_size(), image.page_count(), range);
            header.checksum_before = Some(self.checksum);
            header.checksum_after = Some(changes.checksum);
            let (pages, checksum) = (&changes.pages, changes.checksum);
            let encoded = encode_changes(
                &image,
                &header,
                PageCoding::Literal,
                pages,
                checksum,
                Vec::new(),
                &|_| (),
            );
            self.files.push(encoded.unwrap().out);
            self.checksum = changes.checksum;
        }
        for table in pin.schema().unwrap().tables {
            let counted = count_rows(&image, &array, &changes.pages, table.root).unwrap();
            let connection = Connection::open(database).unwrap();
            let name = table.name.replace('"', "\"\"");
            let expected: i64 = value(&connection, &format!("SELECT count(*) FROM \"{name}\""));
            assert_eq!(counted, u64::try_from(expected).ok(), "rows of {}", table.name);
        }
        drop(pin);
        apply_changes(&delta, &array).unwrap();
        changes.pages.len()
    }

    /// What a restore of the last state gives.
    pub(crate) fn restore(&self) -> Vec<u8> {
        let path = self.directory.path().join("staged");
        let mut stage = Stage::create(&path).unwrap();
        for file in &self.files {
            stage.apply(Decoder::new(file.as_slice()).unwrap(), &mut |_| ()).unwrap();
        }
        assert_eq!(stage.checksum(), self.checksum);
        stage.sync(0o644).unwrap();
        integrity_check(&path).unwrap();
        std::fs::read(&path).unwrap()
    }
}

/// The whole image as an LTX file, with its page array at `pages`. Its pages are compressed, those of
/// later files are not.
pub(crate) fn base(image: &Image<'_>, pages: &Path) -> (Vec<u8>, Checksum) {
    let writer = PageArrayWriter::create(pages, image.page_size(), HashKey::new([7; 192])).unwrap();
    let range = TxidRange::base(Txid::FIRST);
    let header = Header::new(image.page_size(), image.page_count(), range);
    let encoded =
        encode_base(image, &header, PageCoding::Lz4, Vec::new(), writer, 2, &|_| ()).unwrap();
    (encoded.out, encoded.checksum)
}
