//! Containers of Azure Blob Storage.
//!
//! Requests of each operation: an object of up to one block is 1 `PUT`, a larger one a `PUT` for each block and one
//! more; a read is 1 `GET`, a stat 1 `HEAD`, a listing 1 `GET` for 5,000 names with their times, a removal 2 `HEAD`
//! and 1 `DELETE`. What an upload that was cut off leaves behind ends by itself within a week.

mod account;
mod client;
mod listing;
mod refusal;
mod signature;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use self::account::Account;
use self::client::Client;
use self::refusal::Refusal;
use crate::http::{Body, Call, Http, Response, is_nothing, nothing, opened, parse_http_date};
use crate::random::random_hex_for;
use crate::remote::{
    Attempt, Depth, NewObject, Opened, Page, Remote, RemoteStorage, pieces, send_pieces,
};
use crate::times::{parse_rfc3339, rfc3339};
use crate::{
    BucketAddress, Cause, CreateNew, Entry, Environment, Error, Failure, HttpOptions, Key,
    Patience, RemoteOptions, Result, Storage, xml,
};

/// Where an object's own time is kept, as Litestream does.
const TIMESTAMP: &str = "litestreamtimestamp";
/// The store takes no more blocks.
const MAX_BLOCKS: u64 = 50_000;

/// How a container is reached, and how objects are put into it.
#[derive(Clone, Debug)]
pub struct AzblobOptions {
    /// The URL of the account's blobs; `https://ACCOUNT.blob.core.windows.net`, or what the environment's connection
    /// string says, if this is `None`.
    pub endpoint: Option<String>,
    /// `Cool`: the tier of what is stored; the account's if this is `None`.
    pub access_tier: Option<String>,
    /// What is larger is sent in blocks of this many bytes.
    pub block_bytes: u64,
    /// As many blocks of one object are sent at once.
    pub blocks_at_once: NonZeroUsize,
    /// How the host is talked to.
    pub http: HttpOptions,
    /// How the storage behaves.
    pub remote: RemoteOptions,
}

impl Default for AzblobOptions {
    /// Blocks of 16 MiB, three at once.
    fn default() -> Self {
        Self {
            endpoint: None,
            access_tier: None,
            block_bytes: 16 << 20,
            blocks_at_once: const { NonZeroUsize::new(3).unwrap() },
            http: HttpOptions::default(),
            remote: RemoteOptions::default(),
        }
    }
}

/// Objects in a container of Azure Blob Storage. Nothing is sent yet.
///
/// The account is, the first that is found: `AZURE_ACCOUNT_NAME` with `AZURE_ACCOUNT_KEY` or `AZURE_ACCOUNT_SAS`;
/// `AZURE_STORAGE_ACCOUNT` with `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN`; `AZURE_STORAGE_CONNECTION_STRING`.
pub fn azblob(
    address: &BucketAddress,
    environment: &Environment,
    options: &AzblobOptions,
) -> Result<Arc<dyn Storage>> {
    let location = address.location("azblob");
    let container = Http::new(&options.http)
        .and_then(|http| Azblob::new(address, location.clone(), environment, options, http));
    let remote = container.map_err(|failure| Error::Storage {
        operation: "open",
        object: "the container".to_owned(),
        location,
        source: failure.into(),
    })?;
    Ok(Arc::new(RemoteStorage::new(remote, options.remote.clone())))
}

/// Objects in a container, below a prefix.
#[derive(Debug)]
struct Azblob {
    client: Client,
    location: String,
    /// `""`, or what ends in `/`.
    prefix: String,
    access_tier: Option<String>,
    block_bytes: u64,
    blocks_at_once: NonZeroUsize,
}

impl Azblob {
    fn new(
        address: &BucketAddress,
        location: String,
        environment: &Environment,
        options: &AzblobOptions,
        http: Http,
    ) -> Attempt<Self> {
        let account = Account::find(environment, options.endpoint.as_deref())?;
        Ok(Self {
            client: Client::new(http, account, &address.bucket)?,
            location,
            prefix: address.prefix(),
            access_tier: options.access_tier.clone(),
            block_bytes: options.block_bytes.max(1),
            blocks_at_once: options.blocks_at_once,
        })
    }

    fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    fn head(&self, key: &Key) -> Attempt<Option<Response>> {
        match self.client.send(&Call::new("HEAD", &self.name(key)))? {
            Ok(response) => Ok(Some(response)),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) => Err(refusal.failure),
        }
    }

    /// Sends what creates an object, on the condition that there is none; `None` if there is one.
    fn create_new(&self, call: Call<'_>) -> Attempt<Option<Result<Response, Refusal>>> {
        match self.client.send(&call.header("if-none-match", "*"))? {
            Err(refusal) if refusal.is_taken() => Ok(None),
            other => Ok(Some(other)),
        }
    }

    /// What is stored beside an object.
    fn with_properties<'a>(&self, call: Call<'a>, modified: Option<SystemTime>) -> Call<'a> {
        let call = match modified {
            Some(modified) => call.header(format!("x-ms-meta-{TIMESTAMP}"), rfc3339(modified)),
            None => call,
        };
        match &self.access_tier {
            Some(tier) => call.header("x-ms-access-tier", tier),
            None => call,
        }
    }

    fn create_of_blocks(&self, object: &NewObject<'_>, patience: &Patience) -> Attempt<bool> {
        let NewObject { key, content, modified } = *object;
        let name = &*self.name(key);
        let ranges = pieces(content.size(), self.block_bytes, MAX_BLOCKS);
        // Blocks of several writers lie together until one of them makes an object of its own.
        let writer = random_hex_for::<8>("name for an upload")?;
        let ids: Vec<String> = (0..ranges.len())
            .map(|at| BASE64_STANDARD.encode(format!("{writer}-{at:05}")))
            .collect();
        send_pieces(&ranges, self.blocks_at_once, patience, |at, range| {
            let call = Call::new("PUT", name)
                .query("comp", "block")
                .query("blockid", &ids[at])
                .body(Body::Content(content, range.clone()));
            self.client.send(&call)?.map_err(|refusal| refusal.failure)
        })?;
        let latest: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
        let list =
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{latest}</BlockList>");
        let call =
            Call::new("PUT", name).query("comp", "blocklist").body(Body::Bytes(list.into_bytes()));
        match self.create_new(self.with_properties(call, modified))? {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            // An object that was made meanwhile takes all blocks of others with it.
            Some(Err(refusal)) if refusal.code == "InvalidBlockList" => {
                Err(Failure::new(Cause::Interrupted, refusal.failure.message))
            }
            Some(Err(refusal)) => Err(refusal.failure),
        }
    }
}

impl Remote for Azblob {
    fn location(&self) -> String {
        self.location.clone()
    }

    fn create_new(&self) -> CreateNew {
        CreateNew::Refused
    }

    fn create(&self, object: &NewObject<'_>, patience: &Patience) -> Attempt<bool> {
        let NewObject { key, content, modified } = *object;
        let name = self.name(key);
        if content.size() > self.block_bytes {
            return self.create_of_blocks(object, patience);
        }
        let call = Call::new("PUT", &name)
            .header("x-ms-blob-type", "BlockBlob")
            .body(Body::Content(content, 0..content.size()));
        match self.create_new(self.with_properties(call, modified))? {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(refusal)) => Err(refusal.failure),
        }
    }

    fn open(&self, key: &Key, range: Range<u64>, version: Option<&str>) -> Attempt<Option<Opened>> {
        if is_nothing(&range) {
            return Ok(self.head(key)?.map(|_| nothing()));
        }
        let name = self.name(key);
        match self.client.send(&Call::new("GET", &name).part(&range, version))? {
            Ok(response) => opened(response, &range).map(Some),
            // What begins beyond the end.
            Err(refusal) if refusal.status == 416 => Ok(Some(nothing())),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) if refusal.status == 412 && version.is_some() => Ok(None),
            Err(refusal) => Err(refusal.failure),
        }
    }

    fn stat(&self, key: &Key) -> Attempt<Option<Entry>> {
        let Some(head) = self.head(key)? else { return Ok(None) };
        let size = head.length().ok_or_else(|| xml::missing("the size of an object"))?;
        let given = head.header(&format!("x-ms-meta-{TIMESTAMP}")).and_then(parse_rfc3339);
        let modified = given
            .or_else(|| parse_http_date(head.header("last-modified")?))
            .ok_or_else(|| xml::missing("the time of an object"))?;
        Ok(Some(Entry { key: key.clone(), size, modified }))
    }

    fn list(&self, directory: Option<&Key>, depth: Depth, from: Option<&str>) -> Attempt<Page> {
        let prefix = match directory {
            None => self.prefix.clone(),
            Some(directory) => format!("{}{directory}/", self.prefix),
        };
        let mut call = Call::new("GET", "")
            .query("restype", "container")
            .query("comp", "list")
            .query("include", "metadata")
            .query("prefix", &prefix);
        if let Some(from) = from {
            call = call.query("marker", from);
        }
        if depth == Depth::Children {
            call = call.query("delimiter", "/");
        }
        let response = self.client.send(&call)?.map_err(|refusal| refusal.failure)?;
        listing::parse(&response.text(listing::MAX_BYTES)?, &self.prefix)
    }

    fn remove(&self, key: &Key) -> Attempt<()> {
        match self.client.send(&Call::new("DELETE", &self.name(key)))? {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_missing() => Ok(()),
            Err(refusal) => Err(refusal.failure),
        }
    }
}
