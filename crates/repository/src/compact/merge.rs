//! Makes one file of several, and reads it back.

use std::collections::HashMap;
use std::io::{self, Write};

use lifeboat_ltx::{Decoder, compact};
use lifeboat_storage::{Error as StorageError, Key};

use super::batches::batches;
use super::copies::{LocalCopies, NoCopies};
use super::plan::Merge;
use crate::document::key;
use crate::fetch::{open_copy, open_ltx_frugally};
use crate::ltx_file::Part;
use crate::read_back::{Ends, ends, read_to_end};
use crate::{
    Error, LineageAddress, LtxFile, LtxName, LtxReader, LtxStream, LtxWriter, ObjectRef,
    Repository, Result, Secrets,
};

/// What became of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// It was written and read back.
    Made {
        /// The file.
        file: LtxFile,
        /// Its objects: what manifests say of them.
        objects: Vec<ObjectRef>,
    },
    /// Somebody else had written it; it was read.
    AlreadyThere(LtxFile),
    /// It was not made. The next plan may be another.
    Skipped(NotMerged),
}

/// Why a merge was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMerged {
    /// One of its inputs is gone, or was not made.
    Gone,
    /// An input can only be fetched, and there are no secrets to open it.
    NoSecrets,
    /// Another upload has its name, and is not whole or cannot be opened without secrets.
    NameTaken,
}

/// Merges files of a lineage, stores the result, and reads it back.
///
/// Inputs are taken from `copies`, else fetched and opened with the secrets. What is too much for
/// the memory at once is merged in several steps, whose results are files of the lineage, too. The
/// inputs stay: they may be announced for removal now, and not earlier.
///
/// Damage of an input, or of what was read back, is an error ([`Error::is_damage`]) that names the
/// object, and the inputs must stay.
pub fn merge(
    repository: &Repository,
    lineage: &LineageAddress,
    merge: &Merge,
    secrets: Option<&Secrets>,
    copies: &dyn LocalCopies,
) -> Result<MergeOutcome> {
    let expected = HashMap::new();
    Merger { repository, lineage, secrets, copies, expected: &expected }.merge(merge)
}

/// Merges files of one lineage.
pub(super) struct Merger<'a> {
    pub(super) repository: &'a Repository,
    pub(super) lineage: &'a LineageAddress,
    pub(super) secrets: Option<&'a Secrets>,
    pub(super) copies: &'a dyn LocalCopies,
    /// What manifests say of objects.
    pub(super) expected: &'a HashMap<String, ObjectRef>,
}

/// Inputs that are open, and what explains their errors.
type Inputs = (Vec<Decoder<LtxStream>>, Vec<LtxReader>);

impl Merger<'_> {
    pub(super) fn merge(&self, merge: &Merge) -> Result<MergeOutcome> {
        let mut inputs = merge.inputs.clone();
        loop {
            let sizes: Vec<u64> = inputs.iter().map(LtxFile::size).collect();
            let batches = batches(&sizes);
            if batches.len() < 2 {
                return self.write(merge.name, &inputs);
            }
            let mut next = Vec::new();
            for batch in batches {
                match &inputs[batch] {
                    [single] => next.push(single.clone()),
                    several => {
                        let (first, last) = (several[0].name, several[several.len() - 1].name);
                        let level = merge.name.level;
                        let name = LtxName { level, min: first.min, ..last };
                        match self.write(name, several)? {
                            MergeOutcome::Made { file, .. } | MergeOutcome::AlreadyThere(file) => {
                                next.push(file);
                            }
                            skipped => return Ok(skipped),
                        }
                    }
                }
            }
            inputs = next;
        }
    }

    fn write(&self, name: LtxName, inputs: &[LtxFile]) -> Result<MergeOutcome> {
        let mut written = self.write_from(name, inputs, self.copies);
        // A copy may be damaged where the stored file is not.
        let is_copied = || inputs.iter().any(|input| self.copy_of(input).is_some());
        if let (Err(error), Some(_)) = (&written, self.secrets)
            && error.is_damage()
            && !error.is_gone()
            && is_copied()
        {
            written = self.write_from(name, inputs, &NoCopies);
        }
        match written {
            Err(error) if error.is_gone() => Ok(MergeOutcome::Skipped(NotMerged::Gone)),
            Err(Error::Storage(StorageError::Exists { .. })) => self.find(name, inputs),
            written => written,
        }
    }

    fn write_from(
        &self,
        name: LtxName,
        inputs: &[LtxFile],
        copies: &dyn LocalCopies,
    ) -> Result<MergeOutcome> {
        let (decoders, readers) = match self.open(inputs, copies)? {
            Ok(inputs) => inputs,
            Err(reason) => return Ok(MergeOutcome::Skipped(reason)),
        };
        let object = self.key_of(name)?;
        let bytes = inputs.iter().map(LtxFile::size).sum();
        let writer = self.repository.begin_ltx(self.lineage, name, bytes)?;
        let copy = copies.keep(self.lineage, name.range());
        let coding = self.repository.form().page_coding();
        let (output, header, _) =
            compact(decoders, Output { writer, copy }, coding).map_err(|error| match error {
                lifeboat_ltx::Error::Input { number, source } => {
                    readers[number - 1].explain(*source)
                }
                lifeboat_ltx::Error::NotContiguous { .. } => {
                    Error::Ltx { key: object, source: error }
                }
                error => LtxWriter::explain(error),
            })?;
        let Output { writer, copy } = output;
        let sealed = writer.finish()?;
        let objects = sealed.publish()?;
        let file = self.stored(name, &objects)?;
        let made_of = Ends { before: header.checksum_before, after: header.checksum_after };
        self.read_back(&file, &objects, made_of)?;
        if let Some(mut copy) = copy
            && copy.flush().is_ok()
        {
            copies.kept(self.lineage, name.range());
        }
        Ok(MergeOutcome::Made { file, objects })
    }

    /// Opens all inputs; says why where one cannot be had.
    fn open(
        &self,
        inputs: &[LtxFile],
        copies: &dyn LocalCopies,
    ) -> Result<Result<Inputs, NotMerged>> {
        let node = self.repository.node_of(self.lineage);
        let (mut decoders, mut readers) = (Vec::new(), Vec::new());
        for input in inputs {
            let copy = copies.open(self.lineage, input.name.range());
            let (decoder, reader) = match (copy, self.secrets()) {
                (Some(copy), _) => open_copy(copy, input, node, &self.key_of(input.name)?)?,
                (None, _) if input.objects.is_empty() => return Ok(Err(NotMerged::Gone)),
                (None, None) => return Ok(Err(NotMerged::NoSecrets)),
                (None, Some(secrets)) => {
                    let storage = self.repository.storage();
                    open_ltx_frugally(storage, input, node, self.expected, secrets)?
                }
            };
            decoders.push(decoder);
            readers.push(reader);
        }
        Ok(Ok((decoders, readers)))
    }

    /// What was written, as a listing shows it.
    fn stored(&self, name: LtxName, objects: &[ObjectRef]) -> Result<LtxFile> {
        let storage = self.repository.storage();
        let stored = objects.iter().map(|object| {
            let key = key(&object.key)?;
            let stored = storage.stat(&key)?;
            stored.ok_or_else(|| Error::corrupt(&key, "it was written and is not there"))
        });
        Ok(LtxFile { name, objects: stored.collect::<Result<_>>()? })
    }

    /// Reads what was written. Without secrets at least the sealed bytes must be those sent.
    fn read_back(&self, file: &LtxFile, objects: &[ObjectRef], made_of: Ends) -> Result<()> {
        let Some(secrets) = self.secrets() else {
            for (entry, sent) in file.objects.iter().zip(objects) {
                let found = self.repository.object(&entry.key)?;
                if found != *sent {
                    let detail = format!(
                        "expected SHA-256 {} of {} bytes, found {} of {}",
                        sent.sha256, sent.size, found.sha256, found.size
                    );
                    return Err(Error::corrupt(&entry.key, detail));
                }
            }
            return Ok(());
        };
        let sent = objects.iter().map(|object| (object.key.clone(), object.clone())).collect();
        let found = read_to_end(self.repository, secrets, self.lineage, file, &sent)?;
        found.expect(file.first_key(), made_of)
    }

    /// A file that somebody else has written under the name.
    fn find(&self, name: LtxName, inputs: &[LtxFile]) -> Result<MergeOutcome> {
        let taken = Ok(MergeOutcome::Skipped(NotMerged::NameTaken));
        let files = self.repository.listing(self.lineage)?.files;
        let Some(file) = files.into_iter().find(|file| file.name == name) else { return taken };
        let (Some(secrets), Some(first), Some(last)) =
            (self.secrets(), inputs.first(), inputs.last())
        else {
            return taken;
        };
        let of = |input| ends(self.repository, secrets, self.lineage, input);
        let made_of = match (of(first), of(last)) {
            (Ok(first), Ok(last)) => Ends { before: first.before, after: last.after },
            (Err(error), _) | (_, Err(error)) if error.is_gone() => {
                return Ok(MergeOutcome::Skipped(NotMerged::Gone));
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let found = read_to_end(self.repository, secrets, self.lineage, &file, &HashMap::new())?;
        found.expect(file.first_key(), made_of)?;
        Ok(MergeOutcome::AlreadyThere(file))
    }

    fn key_of(&self, name: LtxName) -> Result<Key> {
        name.key(self.repository.form(), self.lineage.key(), Part::Whole)
    }

    fn copy_of(&self, input: &LtxFile) -> Option<LtxStream> {
        self.copies.open(self.lineage, input.name.range())
    }

    /// Nothing is needed to read what is not sealed.
    fn secrets(&self) -> Option<&Secrets> {
        static NONE: Secrets = Secrets::none();
        self.secrets.or_else(|| (!self.repository.form().is_sealed()).then_some(&NONE))
    }
}

/// Takes the bytes of a merge, for the repository and for a copy.
struct Output {
    writer: LtxWriter,
    /// Given up at its first error: the merge does without.
    copy: Option<Box<dyn Write + Send>>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        if let Some(copy) = &mut self.copy
            && copy.write_all(&bytes[..written]).is_err()
        {
            self.copy = None;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
