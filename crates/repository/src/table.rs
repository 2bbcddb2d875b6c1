//! Files and transactions as tests write them down.

use std::collections::BTreeSet;
use std::time::SystemTime;

use lifeboat_ltx::Txid;
use lifeboat_storage::Entry;

use crate::document::key;
use crate::{LtxFile, LtxName, Time};

pub(crate) fn txid(number: u64) -> Txid {
    Txid::new(number).unwrap()
}

pub(crate) fn txids(numbers: &[u64]) -> BTreeSet<Txid> {
    numbers.iter().map(|number| txid(*number)).collect()
}

pub(crate) fn seconds(seconds: i64) -> Time {
    Time::from_millis(seconds * 1000)
}

/// Words like `9:1-4` or `0:2-2@60=5`: level, first and last transaction, seconds of the time, bytes;
/// at the second of its last transaction, with one byte, where nothing else is said.
pub(crate) fn files(text: &str) -> Vec<LtxFile> {
    text.split_whitespace().map(file).collect()
}

fn file(word: &str) -> LtxFile {
    let (word, size) = word.split_once('=').unwrap_or((word, "1"));
    let (word, time) = word.split_once('@').unwrap_or((word, ""));
    let (level, range) = word.split_once(':').unwrap();
    let (min, max) = range.split_once('-').unwrap();
    let (min, max) = (txid(min.parse().unwrap()), txid(max.parse().unwrap()));
    let time = time.parse().unwrap_or(i64::try_from(max.get()).unwrap());
    let name = LtxName { level: level.parse().unwrap(), min, max, time: seconds(time) };
    let key = key(word.replace(':', "/")).unwrap();
    let (size, modified) = (size.parse().unwrap(), SystemTime::UNIX_EPOCH);
    LtxFile { name, objects: vec![Entry { key, size, modified }] }
}

pub(crate) fn show_name(name: &LtxName) -> String {
    format!("{}:{}-{}", name.level, name.min.get(), name.max.get())
}

pub(crate) fn show<'a>(files: impl IntoIterator<Item = &'a LtxFile>) -> String {
    let names = files.into_iter().map(|file| show_name(&file.name));
    names.collect::<Vec<_>>().join(" ")
}
