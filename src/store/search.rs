//! Looking for the files of a content before anybody is promised its bytes.

use std::collections::VecDeque;

use super::content::{Content, Inline, Place, Segment};
use super::error::Error;
use super::folder::BlobName;
use super::opened::{self, OpenFile};

impl Content {
    /// Looks for the files of a range, up to `files_max` of them.
    pub(super) fn find_files(&self, mut found: Search, end: u64, files_max: usize) -> Result<(), Error> {
        while found.position < end && found.files < files_max {
            let segments = self.segments(found.position, end, Inline::LeaveOut)?;
            found.look_at(self, &segments, None)?;
        }
        Ok(())
    }
}

/// How far a search for files has come.
pub(super) struct Search {
    position: u64,
    files: usize,
    /// The file that was looked at last: pieces of one often follow each other.
    last: Option<(BlobName, u64 /* bytes */)>,
}

impl Search {
    /// Begins at this byte.
    pub(super) fn at(position: u64) -> Self {
        Self { position, files: 0, last: None }
    }

    /// Looks at the next segments, the first of which may be open already.
    pub(super) fn look_at(
        &mut self,
        content: &Content,
        segments: &VecDeque<Segment>,
        mut open: Option<&OpenFile>,
    ) -> Result<(), Error> {
        let gap = |at: u64| Error::damaged(format_args!("content {} has a gap at {at}", content.id));
        if segments.is_empty() {
            return Err(gap(self.position));
        }
        for segment in segments {
            if segment.start > self.position || segment.start + segment.length <= self.position {
                return Err(gap(self.position));
            }
            self.position = segment.start + segment.length;
            let Place::File(name) = &segment.place else { continue };
            let needed_bytes = segment.blob_offset + segment.length;
            if self.last.as_ref().is_some_and(|(last, bytes)| last == name && *bytes >= needed_bytes) {
                continue;
            }
            match open.take() {
                Some(open) => open.check(&content.shared, needed_bytes)?,
                None => opened::check(&content.shared, name, needed_bytes)?,
            }
            self.files += 1;
            self.last = Some((name.clone(), needed_bytes));
        }
        Ok(())
    }
}
