//! An open repository.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use lifeboat_ltx::Txid;
use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{Child, Key, Storage, x25519};

use crate::create::{create, digest_of};
use crate::deletion::Deletion;
use crate::document::{key, put_document, to_json};
use crate::form::Layout;
use crate::init::{init, init_litestream, refuse_used};
use crate::lease::fences;
use crate::marker::Marker;
use crate::names::is_encoded_name;
use crate::unlock::unlock;
use crate::upload::LtxResealer;
use crate::{
    BackupId, BackupName, Credential, DatabaseAddress, Error, Form, Holder, HostKey, HostTrust,
    Judgement, LineageAddress, LineageId, LineageListing, LtxName, LtxWriter, Manifest, ObjectRef,
    Origin, PART_BYTES, Recipient, Result, Secrets, Signed, replica,
};

/// A repository, opened with what lies in the open: enough to write to it.
#[derive(Clone, Debug)]
pub struct Repository {
    storage: Arc<dyn Storage>,
    marker: Marker,
    /// Read when it is needed: with secrets, a repository can be read without it.
    recipient: OnceLock<(Recipient, x25519::Recipient)>,
    part_bytes: u64,
    /// It is a view of replicas that Litestream wrote by itself.
    is_replica: bool,
    trust: Option<Arc<dyn HostTrust>>,
    pub(crate) outbox: OnceLock<Arc<dyn Storage>>,
}

impl Repository {
    /// Makes a repository whose secrets `password` unlocks; `label` names the password in listings.
    /// [`Repository::init_for`] says what can go wrong.
    pub fn init(storage: Arc<dyn Storage>, password: &SecretString, label: &str) -> Result<Self> {
        Self::init_for(storage, &[(Holder::Password(password), label)])
    }

    /// Makes a repository whose secrets these holders can have; their labels name them in listings.
    ///
    /// The marker is written last: what a crash leaves before it is no repository, and is replaced.
    ///
    /// [`Error::AlreadyInitialized`], [`Error::PlainRestic`], [`Error::Overwrites`];
    /// [`Error::Corrupt`] if there is no marker, but data.
    pub fn init_for(storage: Arc<dyn Storage>, holders: &[(Holder<'_>, &str)]) -> Result<Self> {
        init(&storage, holders)?;
        Self::open(storage)
    }

    /// Makes a repository of form `litestream`, in which nothing is sealed.
    ///
    /// Errors as for [`Repository::init`].
    pub fn init_litestream(storage: Arc<dyn Storage>) -> Result<Self> {
        init_litestream(&storage)?;
        Self::open(storage)
    }

    /// Opens a repository, or the replicas of a place to which Litestream replicates by itself: these
    /// can only be read.
    ///
    /// [`Error::NoRepository`], [`Error::PlainRestic`], [`Error::UnknownFeature`];
    /// [`Error::Corrupt`] if there is no marker, but data.
    pub fn open(storage: Arc<dyn Storage>) -> Result<Self> {
        match Marker::read(&storage) {
            Err(Error::Storage(lifeboat_storage::Error::NotFound { .. })) => {
                refuse_used(&storage)?;
                match replica::find(&storage)? {
                    Some((view, marker)) => Ok(Self::new(Arc::new(view), marker, true)),
                    None => Err(Error::NoRepository { location: storage.location() }),
                }
            }
            Err(error) => Err(error),
            Ok(marker) => {
                if marker.look_before_create && !storage.check_before_creating() {
                    return Err(Error::Overwrites { location: storage.location() });
                }
                Ok(Self::new(storage, marker, false))
            }
        }
    }

    fn new(storage: Arc<dyn Storage>, marker: Marker, is_replica: bool) -> Self {
        let (recipient, outbox) = (OnceLock::new(), OnceLock::new());
        let part_bytes = PART_BYTES;
        Self { storage, marker, recipient, part_bytes, is_replica, trust: None, outbox }
    }

    /// Whether it is no repository, but replicas that Litestream wrote by itself.
    pub fn is_replica(&self) -> bool {
        self.is_replica
    }

    /// The node that LTX files of a lineage name; 0 where that is not known, see
    /// [`open_ltx`](crate::open_ltx).
    pub fn node_of(&self, lineage: &LineageAddress) -> u64 {
        if self.is_replica { 0 } else { lineage.id().node() }
    }

    /// Cuts sealed files into parts of another size than [`PART_BYTES`], and takes only such parts
    /// for whole files. For tests: the format knows one size.
    #[doc(hidden)]
    #[must_use]
    pub fn with_part_bytes(mut self, part_bytes: u64) -> Self {
        self.part_bytes = part_bytes;
        self
    }

    /// Reads manifests only if `trust` lets their keys sign for their hosts. Without it any key may.
    #[must_use]
    pub fn with_trust(mut self, trust: Arc<dyn HostTrust>) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Writes to another storage of the same objects from now on, which has an outbox of its own.
    pub(crate) fn write_to(&mut self, storage: Arc<dyn Storage>) {
        self.storage = storage;
        self.outbox = OnceLock::new();
    }

    /// Where it is, for messages.
    pub fn location(&self) -> String {
        self.storage.location()
    }

    /// The storage below.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// What it is.
    pub fn marker(&self) -> &Marker {
        &self.marker
    }

    /// How its objects are named and encoded.
    pub fn form(&self) -> Form {
        self.marker.form
    }

    /// Whom new objects are sealed for. It is read at the first call and kept.
    pub fn recipient(&self) -> Result<&Recipient> {
        Ok(&self.sealing()?.0)
    }

    fn sealing(&self) -> Result<&(Recipient, x25519::Recipient)> {
        if let Some(sealing) = self.recipient.get() {
            return Ok(sealing);
        }
        let current = Recipient::current(&self.storage)?;
        Ok(self.recipient.get_or_init(|| current))
    }

    /// The key to seal with, for whoever may write; `None` where nothing is sealed.
    pub(crate) fn sealing_key(&self) -> Result<Option<&x25519::Recipient>> {
        self.require_writable()?;
        if self.form().is_sealed() { Ok(Some(&self.sealing()?.1)) } else { Ok(None) }
    }

    /// Unlocks the secrets, and makes sure that they open what is sealed from now on.
    ///
    /// [`Error::WrongPassword`], [`Error::WrongIdentity`], [`Error::NoIdentity`],
    /// [`Error::RecipientChanged`].
    pub fn unlock<'a>(&self, with: impl Into<Credential<'a>>) -> Result<Secrets> {
        let secrets = self.unlock_to_read(with)?;
        self.require_own_recipient(&secrets)?;
        Ok(secrets)
    }

    /// Unlocks the secrets, whatever has become of the recipient: what was sealed for them before
    /// is still there to read.
    pub fn unlock_to_read<'a>(&self, with: impl Into<Credential<'a>>) -> Result<Secrets> {
        let current = match self.recipient() {
            Ok(current) => Some(current.recipient.as_str()),
            // That the storage fails says nothing about the recipient.
            Err(error @ Error::Storage(lifeboat_storage::Error::Storage { .. })) => {
                return Err(error);
            }
            Err(_) => None,
        };
        unlock(&self.storage, with.into(), current)
    }

    /// Refuses a recipient whose secret is not among these: what is sealed for it cannot be read.
    pub fn require_own_recipient(&self, secrets: &Secrets) -> Result<()> {
        let found = &self.recipient()?.recipient;
        if secrets.hold(found) {
            return Ok(());
        }
        Err(Error::RecipientChanged {
            location: self.location(),
            expected: secrets.newest().to_public().to_string(),
            found: found.clone(),
        })
    }

    /// Refuses a recipient that has come in the place of `former`, unless whoever wrapped its secret
    /// had that of `former` too. A person's key needs this: anyone can wrap secrets of their own for
    /// it.
    pub fn require_successor(&self, secrets: &Secrets, former: &str) -> Result<()> {
        let found = &self.recipient()?.recipient;
        if secrets.has_generation(former) && secrets.has_generation(found) {
            return Ok(());
        }
        Err(Error::RecipientChanged {
            location: self.location(),
            expected: former.to_owned(),
            found: found.clone(),
        })
    }

    /// Refuses to write where a writer must know more than this version does. Whatever writes asks
    /// this by itself too. A replica that Litestream wrote is [`Error::LitestreamReplica`].
    pub fn require_writable(&self) -> Result<()> {
        if self.is_replica {
            return Err(Error::LitestreamReplica { location: self.location() });
        }
        self.marker.require_writable(&self.location())
    }

    /// Databases of all hosts.
    pub fn databases(&self) -> Result<Vec<DatabaseAddress>> {
        let mut databases = Vec::new();
        for host in self.directories("databases")? {
            for name in self.directories(host.as_str())? {
                let (host, name) = (host.file_name(), name.file_name());
                if is_encoded_name(host) && is_encoded_name(name) {
                    databases.push(DatabaseAddress::encoded(host, name)?);
                }
            }
        }
        Ok(databases)
    }

    /// Lineages of a database, in no particular order.
    pub fn lineages(&self, database: &DatabaseAddress) -> Result<Vec<LineageAddress>> {
        self.directories(database.key().as_str())?
            .iter()
            .filter_map(|key| key.file_name().parse::<LineageId>().ok())
            .map(|id| database.lineage(id))
            .collect()
    }

    fn directories(&self, below: &str) -> Result<Vec<Key>> {
        let children = self.storage.list_names(Some(&key(below)?))?;
        let directories = children.into_iter().filter_map(|child| match child {
            Child::Directory(key) => Some(key),
            Child::Object(_) => None,
        });
        Ok(directories.collect())
    }

    /// What a lineage holds, without what a lease fences off.
    pub fn listing(&self, lineage: &LineageAddress) -> Result<LineageListing> {
        let entries = self.storage.list(Some(lineage.key()))?;
        let mut listing = LineageListing::of(lineage, entries, self.layout());
        listing.obey(lineage.id(), &fences(&self.storage, lineage.database())?);
        Ok(listing)
    }

    /// After how many bytes a sealed file is cut.
    pub(crate) fn part_bytes(&self) -> u64 {
        self.part_bytes
    }

    /// How LTX files lie in a lineage.
    pub(crate) fn layout(&self) -> Layout {
        Layout { form: self.form(), part_bytes: self.part_bytes }
    }

    /// Reads an object to its end and names it by its content.
    pub fn object(&self, object: &Key) -> Result<ObjectRef> {
        let digest = digest_of(&self.storage, object)?;
        let sha256 = digest.sha256_hex();
        Ok(ObjectRef { key: object.to_string(), size: digest.size, sha256 })
    }

    /// Begins a lineage.
    pub fn write_origin(&self, lineage: &LineageAddress, origin: &Origin) -> Result<()> {
        let key = lineage.origin(self.form())?;
        put_document(&self.storage, &key, &to_json(&key, origin)?, self.sealing_key()?)
    }

    /// Reads the origin of a lineage.
    pub fn origin(&self, lineage: &LineageAddress, secrets: &Secrets) -> Result<Origin> {
        Origin::read(&self.storage, self.form(), lineage, secrets)
    }

    /// Begins an LTX file, which will have about so many bytes.
    pub fn begin_ltx(
        &self,
        lineage: &LineageAddress,
        name: LtxName,
        bytes: u64,
    ) -> Result<LtxWriter> {
        match self.outbox_for(bytes)? {
            Some(outbox) => Ok(self.begin_ltx_in(outbox, lineage, name)?.sent_on(self.clone())),
            None => self.begin_ltx_in(self.storage.clone(), lineage, name),
        }
    }

    /// Begins an LTX file that is sealed for somebody else, and will have about so many bytes. `None` if nothing is
    /// sealed here.
    pub(crate) fn begin_reseal(
        &self,
        lineage: &LineageAddress,
        name: LtxName,
        bytes: u64,
    ) -> Result<Option<LtxResealer>> {
        let Some(recipient) = self.sealing_key()? else { return Ok(None) };
        let outbox = self.outbox_for(bytes)?;
        let waits = outbox.is_some();
        let storage = outbox.unwrap_or_else(|| self.storage.clone());
        let again = LtxResealer::begin(storage, lineage.key(), name, recipient, self.part_bytes())?;
        Ok(Some(if waits { again.sent_on(self.clone()) } else { again }))
    }

    /// Pins a transaction for a backup. Doing it again does no harm.
    pub fn write_pin(&self, lineage: &LineageAddress, txid: Txid, backup: BackupId) -> Result<()> {
        self.require_writable()?;
        create(&self.storage, &lineage.pin(txid, backup)?, &[])
    }

    /// Writes a manifest: from here on the backup exists.
    ///
    /// [`Error::UnknownFeature`] for one with a source of a kind that this version does not know.
    pub fn write_manifest(&self, manifest: &Manifest, host_key: &HostKey) -> Result<()> {
        manifest.write(&self.storage, self.sealing_key()?, host_key)
    }

    /// The names of all backups in their highest revision, newest first.
    pub fn backups(&self) -> Result<Vec<BackupName>> {
        let mut newest = BTreeMap::new();
        let form = self.form();
        for name in self.revisions()? {
            let revision = newest.entry((name.started, name.id, name.host.clone())).or_insert(0);
            *revision = name.revision.max(*revision);
        }
        let names = newest.into_iter().rev();
        Ok(names
            .map(|((started, id, host), revision)| BackupName { started, id, revision, host, form })
            .collect())
    }

    /// The names of all manifests, former revisions included.
    pub(crate) fn revisions(&self) -> Result<Vec<BackupName>> {
        let entries = self.storage.list(Some(&key("backups")?))?;
        let names = entries.iter().filter_map(|entry| BackupName::parse(&entry.key));
        Ok(names.filter(|name| name.form == self.form()).collect())
    }

    /// Announces what will be removed.
    pub(crate) fn write_deletion(&self, deletion: &Deletion) -> Result<()> {
        let key = deletion.key(self.form())?;
        put_document(&self.storage, &key, &to_json(&key, deletion)?, self.sealing_key()?)
    }

    /// Reads and verifies a manifest.
    ///
    /// [`Error::HostKeyChanged`] if its key is not trusted to sign for its host.
    pub fn manifest(&self, name: &BackupName, secrets: &Secrets) -> Result<Signed> {
        self.trusted(name, &name.key()?, secrets)
    }

    /// Reads the manifest of this name from a key, if whoever signed it may.
    pub(crate) fn trusted(
        &self,
        name: &BackupName,
        key: &Key,
        secrets: &Secrets,
    ) -> Result<Signed> {
        let signed = Manifest::read(&self.storage, key, name, secrets)?;
        let trust = self.trust.as_ref();
        match trust.map_or(Judgement::Trusted, |trust| trust.judge(name, &signed.key)) {
            Judgement::Trusted => Ok(signed),
            Judgement::Refused(expected) => {
                Err(Error::HostKeyChanged { host: name.host.clone(), expected, found: signed.key })
            }
        }
    }

    /// Reads a manifest whose signature fits, whoever made it: to show whose it is.
    pub fn manifest_of_anyone(&self, name: &BackupName, secrets: &Secrets) -> Result<Signed> {
        Manifest::read(&self.storage, &name.key()?, name, secrets)
    }
}
