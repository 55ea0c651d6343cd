//! The bytes of an object, pinned, and the reader that streams them.

use std::collections::VecDeque;
use std::fs::File;
use std::future::Future as _;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rusqlite::params;
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

use super::buffer::Buffer;
use super::change::{find, i64_of};
use super::damage::other_bytes;
use super::epoch::Pin;
use super::error::Error;
use super::folder::BlobName;
use super::opened::{OpenFile, broken};
use super::row;
use super::search::Search;
use super::shared::Shared;
use super::statement;
use super::verify::{self, Verified, Verifying};
use crate::model::{ByteRange, Checksum, PartNumber};

/// How many segments are looked up at once; each may bring the bytes of a small blob along.
const SEGMENTS_AT_ONCE: i64 = 16;

/// How many files are looked for before the first byte of an answer goes out. An object of more parts
/// than this may still break off, which ends the connection.
const FILES_FOUND_FIRST: usize = 256;

/// The bytes of one version of an object.
///
/// While it lives, or a reader made from it, a later overwrite or delete cannot take them away.
#[derive(Debug, Clone)]
pub struct Content {
    pub(super) shared: Arc<Shared>,
    _pin: Arc<Pin>,
    pub(super) id: i64,
    size_bytes: u64,
    parts: Option<u16>,
}

/// Where a part of a multipart object lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRange {
    /// Its bytes.
    pub range: ByteRange,
    /// How many parts the object has.
    pub parts: u16,
    /// The checksum of the part.
    pub checksum: Option<Checksum>,
}

/// Streams a range of an object's bytes.
#[derive(Debug)]
pub struct ContentReader {
    content: Content,
    position: u64,
    end: u64,
    segments: VecDeque<Segment>,
    file: Option<OpenFile>,
    reading: Option<JoinHandle<(Buffer, io::Result<()>)>>,
    verifying: Option<Verifying>,
    /// Whether every blob that is read whole is verified, and not only those that are sampled.
    always: bool,
}

/// A piece of a blob, at its place in the object.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) blob_offset: u64,
    pub(super) place: Place,
    /// The MD5 of the blob, if the piece is all of it.
    whole: Option<[u8; 16]>,
}

#[derive(Debug)]
pub(super) enum Place {
    Inline(Bytes),
    File(BlobName),
}

/// Whether the bytes of small blobs are wanted along with the segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inline {
    Read,
    LeaveOut,
}

impl Content {
    /// The content of a row that was read after `pin` was taken.
    pub(super) fn new(shared: Arc<Shared>, pin: Pin, id: i64, size_bytes: u64, parts: Option<u16>) -> Self {
        Self { shared, _pin: Arc::new(pin), id, size_bytes, parts }
    }

    /// The number that its rows have.
    pub(super) fn id(&self) -> i64 {
        self.id
    }

    /// How many bytes there are.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Begins to read a range, once what it needs was found: a file that is gone or too short is told
    /// now, while there is still somebody to tell it to. Of very many files the first ones are looked for.
    pub fn open(&self, range: ByteRange) -> Result<ContentReader, Error> {
        let mut reader = self.reader(range);
        reader.begin()?;
        Ok(reader)
    }

    /// Whether [`Content::open`] would find what it needs. Reads nothing and opens nothing.
    pub fn check(&self, range: ByteRange) -> Result<(), Error> {
        let found = Search::at(range.start.min(self.size_bytes));
        self.find_files(found, range.end.min(self.size_bytes), FILES_FOUND_FIRST)
    }

    /// The same for every file, however many there are.
    pub(super) fn check_all(&self, range: ByteRange) -> Result<(), Error> {
        let found = Search::at(range.start.min(self.size_bytes));
        self.find_files(found, range.end.min(self.size_bytes), usize::MAX)
    }

    /// Begins to read a range. What lies behind the end of the object is left out.
    pub fn reader(&self, range: ByteRange) -> ContentReader {
        ContentReader {
            content: self.clone(),
            position: range.start.min(self.size_bytes),
            end: range.end.min(self.size_bytes),
            segments: VecDeque::new(),
            file: None,
            reading: None,
            verifying: None,
            always: false,
        }
    }

    /// The same where something is made of the bytes that outlives them: every blob that is read whole is
    /// compared with what was written, whatever the settings say.
    pub fn verified_reader(&self, range: ByteRange) -> ContentReader {
        ContentReader { always: true, ..self.reader(range) }
    }

    /// Where part `number` lies; `None` if there is no such part.
    ///
    /// An object that was written in one request has one part, number 1. Parts of a multipart
    /// object are numbered from 1 without gaps, whatever numbers they were uploaded under.
    pub fn part_range(&self, number: PartNumber) -> Result<Option<PartRange>, Error> {
        let Some(parts) = self.parts else {
            let whole = PartRange { range: ByteRange::whole(self.size_bytes), parts: 1, checksum: None };
            return Ok((number.get() == 1).then_some(whole));
        };
        self.shared.readers.read(|connection| {
            find(connection, statement::FIND_OBJECT_PART, params![self.id, number.get()], |part| {
                let (start, size) = (row::number(part, 0)?, row::number(part, 1)?);
                let range = ByteRange { start, end: start + size };
                Ok(PartRange { range, parts, checksum: row::checksum(part, 2)? })
            })
        })
    }
}

impl ContentReader {
    /// How many bytes are still to come.
    pub fn remaining(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }

    /// The next bytes; `None` at the end. After an error there are none.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if self.remaining() == 0 {
            return Poll::Ready(None);
        }
        let chunk = ready!(self.poll_some(cx));
        match &chunk {
            Ok(bytes) => self.position += bytes.len() as u64,
            Err(_) => self.position = self.end,
        }
        Poll::Ready(Some(chunk))
    }

    /// The next bytes; `None` at the end. After an error there are none.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Looks for what the range needs, and opens its first file.
    fn begin(&mut self) -> Result<(), Error> {
        if self.remaining() == 0 {
            return Ok(());
        }
        self.segments = self.content.segments(self.position, self.end, Inline::Read)?;
        let mut found = Search::at(self.position);
        if let Some(Segment { place: Place::File(name), .. }) = self.segments.front() {
            self.file = Some(OpenFile::open(&self.content.shared, name)?);
        }
        found.look_at(&self.content, &self.segments, self.file.as_ref())?;
        self.content.find_files(found, self.end, FILES_FOUND_FIRST)
    }

    /// The next bytes, of a blob that is verified only those that were, in the end.
    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        loop {
            if let Some(verifying) = &mut self.verifying {
                match ready!(verifying.poll(cx))? {
                    Verified::SoFar => {}
                    Verified::Whole(last) => {
                        self.verifying = None;
                        return Poll::Ready(Ok(last));
                    }
                    Verified::Wrong => return Poll::Ready(Err(self.failed(other_bytes()))),
                }
            }
            let chunk = ready!(self.poll_read(cx))?;
            let Some(verifying) = &mut self.verifying else { return Poll::Ready(Ok(chunk)) };
            if let Some(chunk) = verifying.take(chunk) {
                return Poll::Ready(Ok(chunk));
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Error>> {
        if let Some(reading) = &mut self.reading {
            let done = ready!(Pinned::new(reading).poll(cx));
            self.reading = None;
            // The runtime drops blocking work only while it shuts down.
            let Ok((buffer, outcome)) = done else { return Poll::Ready(Err(Error::Closed)) };
            return Poll::Ready(match outcome {
                Ok(()) => Ok(Bytes::from_owner(buffer)),
                Err(error) => Err(self.failed(error)),
            });
        }
        let (offset, length) = match self.piece()? {
            Piece::Bytes(bytes) => return Poll::Ready(Ok(bytes)),
            Piece::InFile { offset, length } => (offset, length),
        };
        let Some(file) = &self.file else { return Poll::Ready(Err(Error::Closed)) };
        let mut buffer = self.content.shared.reading.take();
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(buffer.room().len());
        match read_cached(&file.file, &mut buffer, offset, length) {
            Some(Ok(())) => Poll::Ready(Ok(Bytes::from_owner(buffer))),
            Some(Err(error)) => Poll::Ready(Err(self.failed(error))),
            None => {
                let file = Arc::clone(&file.file);
                self.reading =
                    Some(tokio::task::spawn_blocking(move || read_waiting(&file, buffer, offset, length)));
                self.poll_read(cx)
            }
        }
    }

    /// Where the bytes at the position are.
    fn piece(&mut self) -> Result<Piece, Error> {
        while self.segments.front().is_some_and(|segment| segment.start + segment.length <= self.position) {
            self.segments.pop_front();
        }
        if self.segments.is_empty() {
            self.segments = self.content.segments(self.position, self.end, Inline::Read)?;
        }
        let id = self.content.id;
        let is_verified = || self.always || self.content.shared.sampler.takes();
        let gap = || Error::damaged(format_args!("content {id} has a gap at {}", self.position));
        let segment =
            self.segments.front().filter(|segment| segment.start <= self.position).ok_or_else(gap)?;
        let skipped = self.position - segment.start;
        let length = segment.length.checked_sub(skipped).filter(|length| *length > 0).ok_or_else(gap)?;
        let length = length.min(self.end - self.position);
        let name = match &segment.place {
            Place::Inline(bytes) => {
                let bounds = usize::try_from(skipped).ok().zip(usize::try_from(skipped + length).ok());
                let (from, to) = bounds.filter(|(_, to)| *to <= bytes.len()).ok_or_else(gap)?;
                let piece = bytes.slice(from..to);
                let whole = segment.whole.filter(|_| length == segment.length);
                if whole.is_some_and(|md5| is_verified() && !verify::are(&piece, md5)) {
                    return Err(Error::damaged(format_args!("content {id} {}", other_bytes())));
                }
                return Ok(Piece::Bytes(piece));
            }
            Place::File(name) => name,
        };
        if self.file.as_ref().is_none_or(|open| open.name != *name) {
            self.file = Some(OpenFile::open(&self.content.shared, name)?);
        }
        // Only who begins at the first byte of a blob and goes on to its last one can tell.
        let is_whole = skipped == 0 && length == segment.length;
        let is_verified = is_whole && (self.always || self.content.shared.sampler.takes());
        if let Some(md5) = segment.whole.filter(|_| is_verified) {
            self.verifying = Some(Verifying::new(md5, length));
        }
        Ok(Piece::InFile { offset: segment.blob_offset + skipped, length })
    }

    fn failed(&self, error: io::Error) -> Error {
        match &self.file {
            Some(open) => broken(&self.content.shared, &open.name, error),
            None => Error::Closed,
        }
    }
}

enum Piece {
    Bytes(Bytes),
    InFile { offset: u64, length: u64 },
}

impl Content {
    /// The segments from the one that holds `from`, as far as they begin before `to`.
    pub(super) fn segments(&self, from: u64, to: u64, inline: Inline) -> Result<VecDeque<Segment>, Error> {
        self.shared.readers.read(|connection| {
            let mut statement = connection.prepare_cached(statement::READ_SEGMENTS)?;
            let wanted = inline == Inline::Read;
            let range = params![self.id, i64_of(from), i64_of(to), SEGMENTS_AT_ONCE, wanted];
            let mut rows = statement.query(range)?;
            let mut segments = VecDeque::new();
            while let Some(row) = rows.next()? {
                let name: Option<String> = row.get(3)?;
                let place = match name {
                    None => Place::Inline(row.get::<_, Option<Vec<u8>>>(4)?.unwrap_or_default().into()),
                    Some(name) => Place::File(
                        BlobName::parse(&name)
                            .ok_or_else(|| Error::damaged(format_args!("the blob name {name:?}")))?,
                    ),
                };
                let (length, blob_offset) = (row::number(row, 1)?, row::number(row, 2)?);
                let is_whole = blob_offset == 0 && length == row::number(row, 5)?;
                let whole = if is_whole { row::md5(row, 6)? } else { None };
                segments.push_back(Segment {
                    start: row::number(row, 0)?,
                    length,
                    blob_offset,
                    place,
                    whole,
                });
            }
            Ok(segments)
        })
    }
}

/// Reads what is in the page cache; `None` if the disk would have to be waited for.
pub(super) fn read_cached(
    file: &File,
    buffer: &mut Buffer,
    offset: u64,
    length: usize,
) -> Option<io::Result<()>> {
    let room = &mut buffer.room()[..length];
    match rustix::io::preadv2(file, &mut [IoSliceMut::new(room)], offset, ReadWriteFlags::NOWAIT) {
        Ok(0) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
        Ok(count) => {
            buffer.advance(count);
            Some(Ok(()))
        }
        // The others are how kernels and file systems say that they do not know the flag.
        Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// Reads all of a range, however long that takes.
pub(super) fn read_waiting(
    file: &File,
    mut buffer: Buffer,
    offset: u64,
    length: usize,
) -> (Buffer, io::Result<()>) {
    let read = file.read_exact_at(&mut buffer.room()[..length], offset);
    if read.is_ok() {
        buffer.advance(length);
    }
    (buffer, read)
}
