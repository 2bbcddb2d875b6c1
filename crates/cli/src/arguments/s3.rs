use clap::Args;
use lifeboat::{ConfigSecret, StoreConfig};

/// A bucket without a URL and without a configuration.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "S3 options")]
pub(crate) struct S3Arguments {
    /// Bucket of the repository; the same as --repository s3://BUCKET/PREFIX
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "BUCKET",
        conflicts_with = "repository"
    )]
    s3_bucket: Option<String>,
    /// Prefix within the bucket
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "PREFIX",
        requires = "s3_bucket"
    )]
    s3_prefix: Option<String>,
    /// Region of the bucket [env: AWS_REGION]
    #[arg(long, global = true, hide_short_help = true, value_name = "REGION")]
    s3_region: Option<String>,
    /// URL of a store that is not Amazon's [env: AWS_ENDPOINT_URL]
    #[arg(long, global = true, hide_short_help = true, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// Id of the key [env: AWS_ACCESS_KEY_ID]
    #[arg(long, global = true, hide_short_help = true, value_name = "ID")]
    s3_access_key: Option<String>,
    /// Its secret, which all users of this machine can see here: better in AWS_SECRET_ACCESS_KEY
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "SECRET",
        requires = "s3_access_key"
    )]
    s3_secret_key: Option<String>,
}

impl S3Arguments {
    /// The URL that bucket and prefix are.
    pub(crate) fn url(&self) -> Option<String> {
        let prefix = self.s3_prefix.as_deref().unwrap_or_default().trim_matches('/');
        let bucket = self.s3_bucket.as_ref()?;
        Some(format!("s3://{bucket}/{prefix}").trim_end_matches('/').to_owned())
    }

    /// Whether a secret stands where every user of the machine can read it.
    pub(crate) fn shows_a_secret(&self) -> bool {
        self.s3_secret_key.is_some()
    }

    pub(crate) fn store(&self) -> StoreConfig {
        StoreConfig {
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            access_key: self.s3_access_key.clone(),
            secret_key: self.s3_secret_key.clone().map(ConfigSecret::new),
            ..StoreConfig::default()
        }
    }
}
