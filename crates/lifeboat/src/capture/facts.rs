//! What a manifest says of a database besides its pages.

use std::collections::BTreeMap;

use lifeboat_sqlite::{Bitmap, Image, PageArray, Pin, count_rows};

use crate::Result;
use crate::state::Facts;

impl Facts {
    /// `array` describes every page of the image but those in `changed`.
    pub(crate) fn of(
        pin: &Pin,
        image: &Image<'_>,
        array: &PageArray,
        changed: &Bitmap,
    ) -> Result<Self> {
        // A schema that SQLite cannot read does not keep the pages from being stored.
        let schema = pin.schema().ok();
        let mut tables = BTreeMap::new();
        for table in schema.iter().flat_map(|schema| &schema.tables) {
            tables.insert(table.name.clone(), count_rows(image, array, changed, table.root)?);
        }
        Ok(Self {
            page_size: image.page_size().get(),
            page_count: image.page_count(),
            journal_mode: pin.journal_mode().to_string(),
            schema_sha256: schema.map(|schema| schema.sha256),
            tables,
        })
    }
}
