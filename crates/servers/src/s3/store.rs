//! A bucket in memory, behind the protocol of S3 as others implemented it: `s3s` parses requests and verifies
//! their signatures, this keeps objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use http_body_util::BodyExt;
use s3s::dto::*;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

pub const BUCKET: &str = "bucket";

/// How the store differs from Amazon's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits {
    /// It knows no conditions on what is created, and says so.
    pub no_conditions: bool,
    /// It refuses what is to be locked and has no checksum.
    pub wants_checksums: bool,
    /// It takes no notice of conditions on what is created, and replaces what is there.
    pub ignores_conditions: bool,
    /// Whoever asks may neither remove, nor create what is not conditional on nothing being there.
    pub append_only: bool,
    /// Such a one may remove locks.
    pub removable_locks: bool,
}

#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Arc<Vec<u8>>,
    pub modified: SystemTime,
    pub metadata: BTreeMap<String, String>,
    pub storage_class: Option<String>,
    pub retained_until: Option<String>,
    tag: String,
}

#[derive(Debug)]
struct Unfinished {
    object: Object,
    begun: SystemTime,
    parts: BTreeMap<i32, (String, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, (String, Unfinished)>,
    tags: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Store {
    traits: Traits,
    state: Arc<Mutex<State>>,
}

/// As many names are on a page, so that there are several.
const PAGE: usize = 100;

impl Store {
    pub fn new(traits: Traits) -> Self {
        Self { traits, ..Self::default() }
    }

    /// The same objects, for those for whom it differs in other ways.
    pub fn seen_with(&self, traits: Traits) -> Self {
        Self { traits, state: self.state.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn object(&self, name: &str) -> Option<Object> {
        self.state().objects.get(name).cloned()
    }

    pub fn names(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// Puts an object there, whatever was there before.
    pub fn plant(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let object = object(state.tag(), bytes.to_vec(), None);
        state.objects.insert(name.to_owned(), object);
    }

    /// Ends the locks of objects whose names contain this.
    pub fn end_locks(&self, part: &str) {
        let mut state = self.state();
        let objects = state.objects.iter_mut().filter(|(name, _)| name.contains(part));
        objects.for_each(|(_, object)| object.retained_until = None);
    }

    pub fn unfinished(&self) -> usize {
        self.state().uploads.len()
    }

    /// Makes unfinished uploads, and their parts, this old.
    pub fn age_uploads(&self, begun: SystemTime) {
        self.state().uploads.values_mut().for_each(|(_, upload)| upload.begun = begun);
    }

    fn conditions(&self, none_match: Option<&IfNoneMatch>, taken: bool) -> S3Result<()> {
        match none_match {
            _ if self.traits.ignores_conditions => Ok(()),
            None if self.traits.append_only => Err(s3_error!(AccessDenied, "only what is new")),
            None => Ok(()),
            Some(_) if self.traits.no_conditions => Err(s3_error!(NotImplemented, "no conditions")),
            Some(_) if taken => Err(s3_error!(PreconditionFailed)),
            Some(_) => Ok(()),
        }
    }

    fn require_checksum(&self, locked: bool, checksum: Option<&String>) -> S3Result<()> {
        if self.traits.wants_checksums && locked && checksum.is_none() {
            return Err(s3_error!(InvalidRequest, "Content-MD5 or a checksum is required"));
        }
        Ok(())
    }
}

impl State {
    fn tag(&mut self) -> String {
        self.tags += 1;
        format!("tag-{}", self.tags)
    }
}

fn object(tag: String, bytes: Vec<u8>, metadata: Option<Metadata>) -> Object {
    Object {
        bytes: Arc::new(bytes),
        modified: SystemTime::now(),
        metadata: metadata.unwrap_or_default().into_iter().collect(),
        storage_class: None,
        retained_until: None,
        tag,
    }
}

fn rfc3339(time: &Timestamp) -> String {
    let mut text = Vec::new();
    time.format(TimestampFormat::DateTime, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

async fn bytes(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let Some(body) = body else { return Ok(Vec::new()) };
    match Body::from(body).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        // A checksum that differs is found here too.
        Err(error) => Err(s3_error!(InternalError, "{error}")),
    }
}

fn here(bucket: &str) -> S3Result<()> {
    if bucket == BUCKET { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
}

/// As stores encode names when they are asked to: like a form.
fn encode(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*/".contains(&byte);
    let encoded = name.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        here(&input.bucket)?;
        let bytes = bytes(input.body).await?;
        let mut state = self.state();
        self.conditions(input.if_none_match.as_ref(), state.objects.contains_key(&input.key))?;
        let locked = input.object_lock_retain_until_date;
        self.require_checksum(locked.is_some(), input.checksum_sha256.as_ref())?;
        let mut object = object(state.tag(), bytes, input.metadata);
        object.storage_class = input.storage_class.map(|class| class.as_str().to_owned());
        object.retained_until = locked.as_ref().map(rfc3339);
        let e_tag = Some(ETag::Strong(object.tag.clone()));
        state.objects.insert(input.key, object);
        Ok(S3Response::new(PutObjectOutput { e_tag, ..Default::default() }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        here(&input.bucket)?;
        let object = self.object(&input.key).ok_or_else(|| s3_error!(NoSuchKey))?;
        if let Some(wanted) = input.if_match.as_ref().and_then(ETagCondition::as_etag)
            && wanted.value() != object.tag
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let size = object.bytes.len() as u64;
        let mut output = GetObjectOutput {
            e_tag: Some(ETag::Strong(object.tag.clone())),
            last_modified: Some(object.modified.into()),
            ..Default::default()
        };
        let range = match input.range {
            None => 0..size,
            Some(range) => {
                let range = range.check(size).map_err(|_| s3_error!(InvalidRange))?;
                let (first, last) = (range.start, range.end - 1);
                output.content_range = Some(format!("bytes {first}-{last}/{size}"));
                range
            }
        };
        let part = object.bytes[range.start as usize..range.end as usize].to_vec();
        output.content_length = Some(part.len() as i64);
        output.body = Some(Body::from(part).into());
        Ok(S3Response::new(output))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        here(&input.bucket)?;
        let object = self.object(&input.key).ok_or_else(|| s3_error!(NoSuchKey))?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(object.bytes.len() as i64),
            e_tag: Some(ETag::Strong(object.tag)),
            last_modified: Some(object.modified.into()),
            metadata: Some(object.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        here(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        here(&input.bucket)?;
        let is_lock = input.key.contains("/locks/") && self.traits.removable_locks;
        if self.traits.append_only && !is_lock {
            return Err(s3_error!(AccessDenied, "not authorized to perform: s3:DeleteObject"));
        }
        let mut state = self.state();
        if state.objects.get(&input.key).is_some_and(|object| object.retained_until.is_some()) {
            return Err(s3_error!(AccessDenied, "protected by object lock"));
        }
        state.objects.remove(&input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        here(&input.bucket)?;
        let prefix = input.prefix.unwrap_or_default();
        let from = input.continuation_token.unwrap_or_default();
        let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
        let mut output = ListObjectsV2Output {
            encoding_type: input.encoding_type.clone(),
            is_truncated: Some(false),
            ..Default::default()
        };
        let shown =
            |name: &str| if input.encoding_type.is_some() { encode(name) } else { name.to_owned() };
        let (mut contents, mut prefixes): (Vec<s3s::dto::Object>, Vec<String>) = Default::default();
        let mut last = String::new();
        for (name, object) in &self.state().objects {
            let Some(rest) = name.strip_prefix(&prefix) else { continue };
            let directory = delimiter.as_ref().and_then(|delimiter| {
                Some(format!("{prefix}{}{delimiter}", rest.split_once(delimiter.as_str())?.0))
            });
            let sorted = directory.clone().unwrap_or_else(|| name.clone());
            if sorted <= from || directory.as_ref().is_some_and(|it| prefixes.contains(it)) {
                continue;
            }
            if contents.len() + prefixes.len() == PAGE {
                output.is_truncated = Some(true);
                output.next_continuation_token = Some(last);
                break;
            }
            last = sorted;
            match directory {
                Some(directory) => prefixes.push(directory),
                None => contents.push(s3s::dto::Object {
                    key: Some(shown(name)),
                    size: Some(object.bytes.len() as i64),
                    last_modified: Some(object.modified.into()),
                    e_tag: Some(ETag::Strong(object.tag.clone())),
                    ..Default::default()
                }),
            }
        }
        output.contents = Some(contents);
        let prefixes = prefixes.iter().map(|it| CommonPrefix { prefix: Some(shown(it)) });
        output.common_prefixes = Some(prefixes.collect());
        Ok(S3Response::new(output))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        here(&input.bucket)?;
        let mut state = self.state();
        let tag = state.tag();
        let mut object = object(tag.clone(), Vec::new(), input.metadata);
        object.storage_class = input.storage_class.map(|class| class.as_str().to_owned());
        object.retained_until = input.object_lock_retain_until_date.as_ref().map(rfc3339);
        let upload = Unfinished { object, begun: SystemTime::now(), parts: BTreeMap::new() };
        state.uploads.insert(tag.clone(), (input.key, upload));
        let output = CreateMultipartUploadOutput { upload_id: Some(tag), ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let bytes = bytes(input.body).await?;
        let mut state = self.state();
        let tag = state.tag();
        let (_, upload) =
            state.uploads.get_mut(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let locked = upload.object.retained_until.is_some();
        self.require_checksum(locked, input.checksum_sha256.as_ref())?;
        upload.parts.insert(input.part_number, (tag.clone(), bytes));
        let checksum_sha256 = input.checksum_sha256;
        let e_tag = Some(ETag::Strong(tag));
        let output = UploadPartOutput { e_tag, checksum_sha256, ..Default::default() };
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let mut state = self.state();
        let taken = state.objects.contains_key(&input.key);
        self.conditions(input.if_none_match.as_ref(), taken)?;
        let (_, upload) =
            state.uploads.get(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let wanted = input.multipart_upload.and_then(|it| it.parts).unwrap_or_default();
        let mut bytes = Vec::new();
        for part in &wanted {
            let number = part.part_number.unwrap_or_default();
            let (tag, part_bytes) =
                upload.parts.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
            if part.e_tag.as_ref().is_none_or(|it| it.value() != tag) {
                return Err(s3_error!(InvalidPart));
            }
            let locked = upload.object.retained_until.is_some();
            self.require_checksum(locked, part.checksum_sha256.as_ref())?;
            bytes.extend(part_bytes);
        }
        let (key, upload) = state.uploads.remove(&input.upload_id).unwrap();
        let modified = SystemTime::now();
        let object = Object { bytes: Arc::new(bytes), modified, ..upload.object };
        let e_tag = Some(ETag::Strong(object.tag.clone()));
        state.objects.insert(key, object);
        Ok(S3Response::new(CompleteMultipartUploadOutput { e_tag, ..Default::default() }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let removed = self.state().uploads.remove(&request.input.upload_id);
        removed.ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        let prefix = input.prefix.unwrap_or_default();
        let from =
            (input.key_marker.unwrap_or_default(), input.upload_id_marker.unwrap_or_default());
        let mut uploads: Vec<(String, String, SystemTime)> = self
            .state()
            .uploads
            .iter()
            .map(|(id, (key, upload))| (key.clone(), id.clone(), upload.begun))
            .filter(|(key, id, _)| key.starts_with(&prefix) && (key.clone(), id.clone()) > from)
            .collect();
        uploads.sort();
        // One on a page.
        let is_truncated = uploads.len() > 1;
        uploads.truncate(1);
        let last = uploads.last().filter(|_| is_truncated).cloned();
        let shown = uploads.into_iter().map(|(key, id, begun)| MultipartUpload {
            key: Some(encode(&key)),
            upload_id: Some(id),
            initiated: Some(begun.into()),
            ..Default::default()
        });
        Ok(S3Response::new(ListMultipartUploadsOutput {
            encoding_type: input.encoding_type,
            is_truncated: Some(is_truncated),
            uploads: Some(shown.collect()),
            next_key_marker: last.as_ref().map(|(key, ..)| encode(key)),
            next_upload_id_marker: last.map(|(_, id, _)| id),
            ..Default::default()
        }))
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let state = self.state();
        let upload = state.uploads.get(&request.input.upload_id);
        let (_, upload) = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let parts = upload.parts.keys().map(|number| Part {
            part_number: Some(*number),
            last_modified: Some(upload.begun.into()),
            ..Default::default()
        });
        Ok(S3Response::new(ListPartsOutput {
            parts: Some(parts.collect()),
            is_truncated: Some(false),
            ..Default::default()
        }))
    }
}
