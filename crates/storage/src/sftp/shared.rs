//! What a storage and its uploads have in common: an address, and the connection to it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::address::SftpAddress;
use super::connection::Connection;
use super::failure::Failure;
use super::options::SftpOptions;
use super::problem::NoConnection;
use crate::{Error, Key};

pub(super) struct Shared {
    address: SftpAddress,
    options: SftpOptions,
    current: Mutex<Option<Arc<Connection>>>,
}

impl Shared {
    pub(super) fn new(address: SftpAddress, options: SftpOptions) -> Self {
        Self { address, options, current: Mutex::default() }
    }

    pub(super) fn address(&self) -> &SftpAddress {
        &self.address
    }

    pub(super) fn location(&self) -> String {
        self.address.to_string()
    }

    /// The directory of the storage on the server.
    pub(super) fn root(&self) -> &str {
        self.address.path()
    }

    /// What is below it, on the server.
    pub(super) fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.root().trim_end_matches('/'))
    }

    pub(super) fn path_of(&self, directory: Option<&Key>) -> String {
        directory.map_or_else(|| self.root().to_owned(), |key| self.path(key.as_str()))
    }

    pub(super) fn error(
        &self,
        operation: &'static str,
        object: &str,
        source: impl Into<io::Error>,
    ) -> Error {
        let (object, location) = (object.to_owned(), self.location());
        Error::Storage { operation, object, location, source: source.into() }
    }

    /// The connection that there is.
    pub(super) fn current(&self) -> Option<Arc<Connection>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone().filter(|connection| !connection.is_lost())
    }

    /// The connection, made if there is none or it was lost. Others that need it wait meanwhile.
    pub(super) fn connection(&self) -> Result<Arc<Connection>, NoConnection> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = current.as_ref().filter(|connection| !connection.is_lost()) {
            return Ok(Arc::clone(connection));
        }
        // First the program of the lost one: it may hold what the new one needs.
        *current = None;
        let connection = Connection::open(&self.address, &self.options)?;
        *current = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Does what may be done twice, once more if the connection is lost meanwhile.
    pub(super) fn retrying<T>(
        &self,
        operation: impl Fn(&Arc<Connection>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match operation(&self.connection()?) {
            Err(Failure::Connection(_)) => operation(&self.connection()?),
            result => result,
        }
    }
}
