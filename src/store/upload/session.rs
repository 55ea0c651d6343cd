//! Uploads in one piece that may be interrupted: their parts are what has arrived so far.

use std::sync::Arc;

use rusqlite::Connection;

use super::find;
use super::{Part, UploadRef};
use crate::model::PartNumber;
use crate::store::content::Content;
use crate::store::error::Error;
use crate::store::object::{self, Object};
use crate::store::shared::Shared;

/// The parts of an upload, in order, with their bytes pinned.
pub(in crate::store) fn open_parts(
    shared: &Arc<Shared>,
    upload: &UploadRef,
) -> Result<Vec<(Part, Content)>, Error> {
    // Before the rows are read: what they name cannot go from here on.
    let pin = shared.pins.pin();
    let found = shared.readers.read_state(|connection| {
        let found = find::find(connection, upload)?;
        find::parts(connection, found.sequence, None, usize::from(PartNumber::MAX))
    })?;
    // To read them all may take long, and the sweep of everything else shall not wait for it.
    let pins = pin.split(found.iter().map(|found| found.content_id));
    let opened = found.into_iter().zip(pins).map(|(found, pin)| {
        let content = Content::new(Arc::clone(shared), pin, found.content_id, found.part.size_bytes, None);
        (found.part, content)
    });
    Ok(opened.collect())
}

/// The object that an upload became, for as long as that is the current one.
pub(in crate::store) fn completed(
    connection: &Connection,
    upload: &UploadRef,
) -> Result<Option<Object>, Error> {
    let current = object::current(connection, &upload.bucket, &upload.key)?;
    let made_by = current.row.as_ref().and_then(|row| row.upload_id.as_deref());
    if made_by != Some(upload.id.as_str()) {
        return Ok(None);
    }
    object::find_row(connection, &upload.bucket, &upload.key)
}
