//! What Amazon's own tools find out about an account and a region.

mod credentials;
mod metadata;
mod process;
mod profile;

use crate::refreshing::Refreshing;
use crate::remote::Attempt;
use crate::{Cause, Environment, Failure};

pub use self::credentials::Credentials;
use self::metadata::Metadata;
use self::profile::Profile;

/// Where credentials come from.
#[derive(Debug)]
enum Source {
    Fixed(Credentials),
    Process(String),
    Metadata(Metadata),
    Nowhere,
}

/// What the environment and the files of Amazon's tools say.
#[derive(Debug)]
pub(crate) struct AwsSettings {
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    source: Source,
}

impl AwsSettings {
    /// Reads the environment and the files that it leads to, but asks nobody.
    pub(crate) fn find(environment: &Environment) -> Attempt<Self> {
        let profile = Profile::find(environment)?;
        let setting = |names: &[&str], key| environment.first(names).or_else(|| profile.get(key));
        Ok(Self {
            region: setting(&["AWS_REGION", "AWS_DEFAULT_REGION"], "region"),
            endpoint: setting(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], "endpoint_url"),
            source: source(environment, &profile)?,
        })
    }

    /// Those given, or those that these settings lead to, fetched when they are first needed.
    pub(crate) fn credentials(
        self,
        given: Option<Credentials>,
    ) -> Attempt<Refreshing<Credentials>> {
        if let Some(given) = given {
            return Ok(Refreshing::fixed(given));
        }
        match self.source {
            Source::Fixed(credentials) => Ok(Refreshing::fixed(credentials)),
            Source::Process(command) => Ok(Refreshing::new(move || process::run(&command))),
            Source::Metadata(metadata) => metadata.credentials(),
            Source::Nowhere => Err(Failure::new(
                Cause::Unauthenticated,
                "there are no credentials: AWS_ACCESS_KEY_ID is not set, and there is no profile",
            )),
        }
    }
}

fn source(environment: &Environment, profile: &Profile) -> Attempt<Source> {
    if let Some(id) = environment.get("AWS_ACCESS_KEY_ID") {
        let Some(secret) = environment.get("AWS_SECRET_ACCESS_KEY") else {
            let message = "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not";
            return Err(Failure::new(Cause::Unauthenticated, message));
        };
        let token = environment.get("AWS_SESSION_TOKEN");
        return Ok(Source::Fixed(Credentials::new(id, secret, token)));
    }
    if let Some(id) = profile.get("aws_access_key_id") {
        let secret = profile.get("aws_secret_access_key").ok_or_else(|| {
            profile.refused("has an aws_access_key_id and no aws_secret_access_key")
        })?;
        return Ok(Source::Fixed(Credentials::new(id, secret, profile.get("aws_session_token"))));
    }
    if let Some(command) = profile.get("credential_process") {
        return Ok(Source::Process(command));
    }
    for key in ["role_arn", "sso_session", "sso_start_url"] {
        if profile.get(key).is_some() {
            return Err(profile.refused(&format!(
                "has {key}, which is not followed here: a credential_process can do that"
            )));
        }
    }
    Ok(Metadata::find(environment).map_or(Source::Nowhere, Source::Metadata))
}
