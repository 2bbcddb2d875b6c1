//! Where credentials, region and endpoint come from.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use lifeboat_storage::{Cause, Environment, Failure, Patience, S3Options, s3};

use crate::front::{answer, serve};
use crate::proxy::Head;
use crate::s3::{address, options};

const EMPTY: &[u8] = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

/// An endpoint that lists nothing, and remembers who asked.
fn endpoint() -> (SocketAddr, Arc<Mutex<Vec<Head>>>) {
    let seen: Arc<Mutex<Vec<Head>>> = Arc::default();
    let shared = Arc::clone(&seen);
    let address = serve(move |head, _| {
        shared.lock().unwrap().push(head.clone());
        let is_old = head.header("authorization").unwrap().contains("Credential=EXPIRED/");
        if is_old {
            return answer(400, &[], b"<Error><Code>ExpiredToken</Code></Error>");
        }
        answer(200, &[], EMPTY)
    });
    (address, seen)
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Environment::new(move |name| {
        variables.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone())
    })
}

/// The id and the region with which a listing is asked for, and the token.
fn asked_with(variables: &[(&str, &str)]) -> Result<(String, Option<String>), Failure> {
    let (server, seen) = endpoint();
    let url = format!("http://{server}");
    let mut all = vec![("AWS_ENDPOINT_URL", &*url)];
    all.extend(variables);
    let options = S3Options { endpoint: None, region: None, credentials: None, ..options(server) };
    let listed =
        s3(&address(""), &environment(&all), &options).and_then(|storage| storage.list(None));
    if let Err(error) = listed {
        assert!(!format!("{error:?}").contains("secret-key"), "{error:?}");
        let failure = Failure::of(&error).unwrap();
        return Err(Failure::new(failure.cause, failure.message.clone()));
    }
    let seen = seen.lock().unwrap();
    let head = seen.last().unwrap();
    let credential = head.header("authorization").unwrap().split("Credential=").nth(1).unwrap();
    let parts: Vec<&str> = credential.split('/').collect();
    let token = head.header("x-amz-security-token").map(str::to_owned);
    Ok((format!("{} {}", parts[0], parts[2]), token))
}

#[test]
fn the_environment_comes_first() {
    let found = asked_with(&[
        ("AWS_ACCESS_KEY_ID", "ID"),
        ("AWS_SECRET_ACCESS_KEY", "secret-key"),
        ("AWS_SESSION_TOKEN", "a-token"),
        ("AWS_REGION", "eu-1"),
        ("AWS_PROFILE", ""),
    ]);
    assert_eq!(found.unwrap(), ("ID eu-1".to_owned(), Some("a-token".to_owned())));
    let found = asked_with(&[("AWS_ACCESS_KEY_ID", "ID"), ("AWS_SECRET_ACCESS_KEY", "secret-key")]);
    assert_eq!(found.unwrap(), ("ID us-east-1".to_owned(), None));
}

#[test]
fn profiles_are_read_from_both_files() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    let config = "[default]\nregion = eu-2\n[profile work]\nregion=eu-3\n\
                  credential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"PROCESS\", \
                  \"SecretAccessKey\": \"secret-key\", \"SessionToken\": \"t\"}'\n\
                  [profile broken]\ncredential_process = echo '{\"SecretAccessKey\": \"secret-key\"}'\n\
                  [profile sso]\nsso_session = x\n";
    let credentials = "[default]\naws_access_key_id = FILE\naws_secret_access_key = secret-key\n\
                       [half]\naws_access_key_id = FILE\n";
    fs::write(home.path().join(".aws/config"), config).unwrap();
    fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
    let home = home.path().to_str().unwrap();
    let of = |profile: &str| asked_with(&[("HOME", home), ("AWS_PROFILE", profile)]);
    assert_eq!(of("").unwrap(), ("FILE eu-2".to_owned(), None));
    assert_eq!(of("work").unwrap(), ("PROCESS eu-3".to_owned(), Some("t".to_owned())));
    for (profile, words) in [
        ("missing", "in none of the files"),
        ("half", "no aws_secret_access_key"),
        ("broken", "no AccessKeyId"),
        ("sso", "sso_session"),
    ] {
        let failure = of(profile).unwrap_err();
        assert_eq!(failure.cause, Cause::Unauthenticated);
        assert!(failure.message.contains(words), "{failure:?}");
    }
}

/// The credentials of a metadata service, of which the first are refused as expired.
fn documents() -> impl Fn() -> Vec<u8> + Send + Sync + Clone {
    let count = Arc::new(AtomicU32::new(0));
    move || {
        let id = if count.fetch_add(1, Ordering::Relaxed) == 0 { "EXPIRED" } else { "MACHINE" };
        let document = format!(
            r#"{{"AccessKeyId":"{id}","SecretAccessKey":"secret-key","Token":"t","Expiration":"2999-01-01T00:00:00Z"}}"#
        );
        answer(200, &[], document.as_bytes())
    }
}

#[test]
fn a_machine_has_credentials_and_gets_others() {
    let document = documents();
    let metadata = serve(move |head, _| {
        let session = head.header("x-aws-ec2-metadata-token");
        match (&*head.method, &*head.path) {
            ("PUT", "/latest/api/token") => answer(200, &[], b"session-token"),
            _ if session != Some("session-token") => answer(401, &[], b""),
            ("GET", "/latest/meta-data/iam/security-credentials/") => answer(200, &[], b"role"),
            ("GET", "/latest/meta-data/iam/security-credentials/role") => document(),
            _ => answer(404, &[], b""),
        }
    });
    let url = format!("http://{metadata}/");
    let found = asked_with(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]).unwrap();
    assert_eq!(found, ("MACHINE us-east-1".to_owned(), Some("t".to_owned())));
}

#[test]
fn a_container_has_credentials() {
    let document = documents();
    let metadata = serve(move |head, _| match head.header("authorization") {
        Some("the-token") => document(),
        _ => answer(403, &[], b""),
    });
    let url = format!("http://{metadata}/credentials");
    let container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-token"),
    ];
    assert_eq!(asked_with(&container).unwrap().0, "MACHINE us-east-1");
    let failure = asked_with(&container[..1]).unwrap_err();
    assert_eq!(failure.cause, Cause::Unauthenticated);
}

#[test]
fn nobody_has_credentials() {
    let failure = asked_with(&[("AWS_EC2_METADATA_DISABLED", "true")]).unwrap_err();
    assert_eq!(failure.cause, Cause::Unauthenticated);
    assert!(failure.message.contains("AWS_ACCESS_KEY_ID"), "{failure:?}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let failure = asked_with(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)]).unwrap_err();
    assert_eq!(failure.cause, Cause::Unauthenticated);
    assert_eq!(options(closed).remote.patience, Patience::NONE);
}
