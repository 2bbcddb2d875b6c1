//! Wrapping secrets for a passphrase.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::x25519::Identity;
use lifeboat_storage::{Error, encrypt_bytes, unwrap_with_passphrase, wrap_with_passphrase};

#[test]
fn opens_with_the_passphrase_alone() {
    let passphrase = SecretString::from("correct horse battery staple");
    let wrapped = wrap_with_passphrase(b"secret", &passphrase).unwrap();
    assert!(wrapped.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    let header = String::from_utf8_lossy(&wrapped);
    assert!(header.lines().nth(1).unwrap().ends_with(" 15"), "{header}");
    assert_eq!(unwrap_with_passphrase(&wrapped, &passphrase).unwrap(), b"secret");
    let wrong = unwrap_with_passphrase(&wrapped, &SecretString::from("battery staple"));
    assert!(matches!(wrong, Err(Error::WrongPassphrase)), "{wrong:?}");
}

#[test]
fn damage_is_no_wrong_passphrase() {
    let passphrase = SecretString::from("p");
    let wrapped = wrap_with_passphrase(b"secret", &passphrase).unwrap();
    let mut flipped = wrapped.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&flipped[..], &wrapped[..wrapped.len() - 1], b"", b"no age file"] {
        let result = unwrap_with_passphrase(damaged, &passphrase);
        assert!(matches!(result, Err(Error::Corrupt { .. })), "{result:?}");
    }
}

#[test]
fn a_file_for_recipients_is_told_apart() {
    let encrypted = encrypt_bytes(b"secret", &[Identity::generate().to_public()]).unwrap();
    let result = unwrap_with_passphrase(&encrypted, &SecretString::from("p"));
    assert!(matches!(result, Err(Error::NotForUs)), "{result:?}");
}

/// Otherwise whoever can write to the repository makes its reader allocate a terabyte.
#[test]
fn excessive_work_is_refused_before_it_is_done() {
    let passphrase = SecretString::from("p");
    let wrapped = wrap_with_passphrase(b"secret", &passphrase).unwrap();
    let at = wrapped.windows(4).position(|bytes| bytes == b" 15\n").unwrap();
    let mut greedy = wrapped;
    greedy[at + 1..at + 3].copy_from_slice(b"30");
    let result = unwrap_with_passphrase(&greedy, &passphrase);
    assert!(matches!(result, Err(Error::ExcessiveWork { required: 30, accepted: 20 })));
}
