//! Buckets of Google Cloud Storage, over its XML API, which differs from S3 in names and in large objects.

mod source;
mod token;

use std::sync::Arc;

use self::source::Source;
use crate::refreshing::Refreshing;
use crate::s3::{Access, Authority, BucketAddress, Dialect, S3Options, open};
use crate::{Credentials, Environment, Result, Storage};

const ENDPOINT: &str = "https://storage.googleapis.com";

/// Objects in a bucket of Google Cloud Storage. Nothing is sent yet.
///
/// Who asks is, the first that is found: the credentials of the options, or the HMAC key of `GS_ACCESS_KEY_ID` and
/// `GS_SECRET_ACCESS_KEY`; the token `GOOGLE_ACCESS_TOKEN`; the account of the file
/// `GOOGLE_APPLICATION_CREDENTIALS`, or of that which `gcloud auth application-default login` writes; the account of
/// the machine.
pub fn gcs(
    address: &BucketAddress,
    environment: &Environment,
    options: &S3Options,
) -> Result<Arc<dyn Storage>> {
    open(address, Dialect::GCS, options, |http| {
        let keys = options.credentials.clone().or_else(|| hmac_key(environment));
        let authority = match keys {
            Some(keys) => Authority::Keys(Refreshing::fixed(keys)),
            None => {
                let (source, http) = (Source::find(environment)?, http.clone());
                Authority::Bearer(Refreshing::new(move || source.fetch(&http)))
            }
        };
        let endpoint = options.endpoint.clone().unwrap_or_else(|| ENDPOINT.to_owned());
        let region = options.region.clone().unwrap_or_else(|| "auto".to_owned());
        Ok(Access { dialect: Dialect::GCS, endpoint, region, authority })
    })
}

fn hmac_key(environment: &Environment) -> Option<Credentials> {
    let id = environment.get("GS_ACCESS_KEY_ID")?;
    Some(Credentials::new(id, environment.get("GS_SECRET_ACCESS_KEY")?, None))
}
