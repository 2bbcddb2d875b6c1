//! Arguments of `lifeboat follow`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;

#[derive(Debug, Args)]
pub(crate) struct FollowArguments {
    /// The database: its name, or its path on the host it comes from
    #[arg(value_name = "DATABASE")]
    pub(crate) source: String,
    /// Where the copy is, or will be
    #[arg(short, long, value_name = "PATH")]
    pub(crate) target: PathBuf,
    /// How often to look for what is new
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Catch up and end; with 3 if the copy does not hold what is newest
    #[arg(long)]
    pub(crate) once: bool,
    /// Replace what is at the target, whatever it is; it is moved aside, not deleted
    #[arg(long)]
    pub(crate) force: bool,
    /// The host that the database comes from
    #[arg(long)]
    pub(crate) host: Option<String>,
}

/// A time such as `500ms` or `5m`.
fn interval(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    match Duration::try_from(duration) {
        Ok(duration) if duration >= Duration::from_millis(10) => Ok(duration),
        _ => Err("it must be 10ms or more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::interval;

    #[test]
    fn intervals() {
        for (text, expected) in [
            ("1s", Some(1000)),
            ("500ms", Some(500)),
            ("1h 5m", Some(3_900_000)),
            ("0s", None),
            ("-1s", None),
            ("1", None),
            ("soon", None),
        ] {
            assert_eq!(interval(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
    }
}
