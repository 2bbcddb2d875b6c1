//! Whose container it is.

use std::fmt;

use age::secrecy::SecretString;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::remote::Attempt;
use crate::{Cause, Environment, Failure};

const SUFFIX: &str = "core.windows.net";

/// What shows that we may.
pub(super) enum Proof {
    /// A key, with which requests are signed.
    Key(Vec<u8>),
    /// A query that goes with each request.
    Sas(SecretString),
}

/// An account, and where its blobs are.
pub(super) struct Account {
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) proof: Proof,
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

fn refused(what: &str) -> Failure {
    Failure::new(Cause::Unauthenticated, what.to_owned())
}

impl Account {
    /// That of the environment; an endpoint that is given comes before what the environment says.
    pub(super) fn find(environment: &Environment, endpoint: Option<&str>) -> Attempt<Self> {
        for [name, key, sas] in [
            ["AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY", "AZURE_ACCOUNT_SAS"],
            ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"],
        ] {
            let Some(name) = environment.get(name) else { continue };
            let proof = proof(environment.get(key), environment.get(sas))?
                .ok_or_else(|| refused(&format!("there is neither {key} nor {sas}")))?;
            let suffix = environment.get("AZURE_ENDPOINT_SUFFIX");
            let suffix = suffix.as_deref().unwrap_or(SUFFIX);
            let own = || format!("https://{name}.blob.{suffix}");
            let endpoint = endpoint.map_or_else(own, str::to_owned);
            return Ok(Self { name, endpoint, proof });
        }
        match environment.get("AZURE_STORAGE_CONNECTION_STRING") {
            Some(text) => Self::of_connection_string(&text, endpoint),
            None => Err(refused("there is no account: AZURE_ACCOUNT_NAME is not set")),
        }
    }

    fn of_connection_string(text: &str, endpoint: Option<&str>) -> Attempt<Self> {
        let field = |wanted: &str| {
            let fields = text.split(';').filter_map(|field| field.trim().split_once('='));
            let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            values.next().map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
        };
        let proof = proof(field("AccountKey"), field("SharedAccessSignature"))?;
        let proof = proof.ok_or_else(|| {
            refused("the connection string has neither AccountKey nor SharedAccessSignature")
        })?;
        let protocol = field("DefaultEndpointsProtocol").unwrap_or_else(|| "https".to_owned());
        let suffix = field("EndpointSuffix").unwrap_or_else(|| SUFFIX.to_owned());
        let name = field("AccountName");
        let own = name.as_ref().map(|name| format!("{protocol}://{name}.blob.{suffix}"));
        let endpoint = endpoint.map(str::to_owned).or_else(|| field("BlobEndpoint")).or(own);
        let endpoint = endpoint.ok_or_else(|| {
            refused("the connection string has no AccountName and no BlobEndpoint")
        })?;
        Ok(Self { name: name.unwrap_or_default(), endpoint, proof })
    }
}

fn proof(key: Option<String>, sas: Option<String>) -> Attempt<Option<Proof>> {
    if let Some(key) = key {
        let key = BASE64_STANDARD.decode(key.trim());
        return Ok(Some(Proof::Key(key.map_err(|_| refused("the account's key is no base64"))?)));
    }
    Ok(sas.map(|sas| Proof::Sas(SecretString::from(sas.trim().trim_start_matches('?').to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &'static str)]) -> Attempt<Account> {
        let variables: Vec<(String, &str)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let environment = Environment::new(move |name| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        });
        Account::find(&environment, None)
    }

    #[test]
    fn an_account_has_a_proof_and_an_endpoint() {
        let restic =
            find(&[("AZURE_ACCOUNT_NAME", "a"), ("AZURE_ACCOUNT_KEY", "c2VjcmV0")]).unwrap();
        assert_eq!(restic.endpoint, "https://a.blob.core.windows.net");
        assert!(matches!(&restic.proof, Proof::Key(key) if key == b"secret"));
        assert!(!format!("{restic:?}").contains("c2VjcmV0"));
        let own = find(&[
            ("AZURE_STORAGE_ACCOUNT", "b"),
            ("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=x"),
            ("AZURE_ENDPOINT_SUFFIX", "core.chinacloudapi.cn"),
        ]);
        let own = own.unwrap();
        assert_eq!(own.endpoint, "https://b.blob.core.chinacloudapi.cn");
        assert!(matches!(own.proof, Proof::Sas(_)));
        let text = "DefaultEndpointsProtocol=http;AccountName=dev;AccountKey=c2VjcmV0;\
                    BlobEndpoint=http://127.0.0.1:10000/dev;";
        let string = find(&[("AZURE_STORAGE_CONNECTION_STRING", text)]).unwrap();
        assert_eq!((&*string.name, &*string.endpoint), ("dev", "http://127.0.0.1:10000/dev"));
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_secret() {
        for (variables, words) in [
            (&[][..], "AZURE_ACCOUNT_NAME"),
            (&[("AZURE_ACCOUNT_NAME", "a")][..], "AZURE_ACCOUNT_SAS"),
            (&[("AZURE_ACCOUNT_NAME", "a"), ("AZURE_ACCOUNT_KEY", "hush!")][..], "no base64"),
            (&[("AZURE_STORAGE_CONNECTION_STRING", "AccountName=a")][..], "AccountKey"),
            (&[("AZURE_STORAGE_CONNECTION_STRING", "AccountKey=aHVzaA==")][..], "AccountName"),
        ] {
            let failure = find(variables).unwrap_err();
            assert_eq!(failure.cause, Cause::Unauthenticated);
            assert!(failure.message.contains(words), "{failure:?}");
            assert!(!failure.message.contains("hush") && !failure.message.contains("aHVzaA"));
        }
    }
}
