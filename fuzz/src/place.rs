//! A repository in memory, made once: to unlock one takes a tenth of a second.

use std::sync::{Arc, LazyLock, Mutex};

use lifeboat_repository::{Repository, Secrets};
use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{Key, MemoryStorage, Storage, x25519};

/// A repository with its secrets.
pub struct Place {
    /// Below the repository.
    pub storage: Arc<dyn Storage>,
    /// The repository.
    pub repository: Repository,
    /// What opens its objects.
    pub secrets: Secrets,
    /// Whom its objects are sealed for.
    pub recipient: x25519::Recipient,
}

static PLACE: LazyLock<Mutex<Place>> = LazyLock::new(|| Mutex::new(Place::new()));

impl Place {
    fn new() -> Self {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let password = SecretString::from("password".to_owned());
        let repository = Repository::init(storage.clone(), &password, "fuzz").expect("in memory");
        let secrets = repository.unlock(&password).expect("the password just used");
        let recipient = repository.recipient().expect("just written").recipient.clone();
        let recipient = recipient.parse().expect("just written");
        Self { storage, repository, secrets, recipient }
    }

    /// Works with the repository while `objects` are in it.
    pub fn with(objects: &[(Key, Vec<u8>)], work: impl FnOnce(&Self)) {
        let place = PLACE.lock().expect("a panic ends the process");
        for (key, bytes) in objects {
            // One key may be given twice.
            let _ = place.storage.put(key, bytes);
        }
        work(&place);
        for (key, _) in objects {
            place.storage.remove(key).expect("in memory");
        }
    }

    /// For whom to seal, without working with the repository.
    pub fn recipient() -> x25519::Recipient {
        PLACE.lock().expect("a panic ends the process").recipient.clone()
    }
}
