//! Opens objects for reading.

use std::ops::Range;

use super::S3;
use crate::Key;
use crate::http::{Call, is_nothing, nothing, opened};
use crate::remote::{Attempt, Opened};

impl S3 {
    pub(super) fn open_object(
        &self,
        key: &Key,
        range: &Range<u64>,
        version: Option<&str>,
    ) -> Attempt<Option<Opened>> {
        if is_nothing(range) {
            return Ok(self.head(key)?.map(|_| nothing()));
        }
        let name = self.name(key);
        match self.client.send(&Call::new("GET", &name).part(range, version))? {
            Ok(response) => opened(response, range).map(Some),
            // What begins beyond the end.
            Err(refusal) if refusal.status == 416 => Ok(Some(nothing())),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) if refusal.status == 412 && version.is_some() => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}
