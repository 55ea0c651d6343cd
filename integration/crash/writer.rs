//! One writer: its keys, what they hold, and what it does to them until the server is gone.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::Sender;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};

use super::BUCKET;
use super::content::{Content, Dice, PART_BYTES};
use super::http::{Answer, Connection};

/// Keys of a writer.
const KEYS: u64 = 8;

/// What a key may hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// What the server acknowledged last; `None` if that is nothing.
    pub(crate) acknowledged: Option<Content>,
    /// What it was asked for and has not acknowledged: at most one thing.
    pub(crate) asked: Vec<Option<Content>>,
}

/// What is done next.
enum Step {
    Put(String, Content),
    PutInParts(String, Content),
    Copy(String, String, Content),
    Delete(String),
    DeleteMany(Vec<String>),
}

/// A writer and its keys.
#[derive(Clone)]
pub(crate) struct Writer {
    dice: Dice,
    keys: BTreeMap<String, Held>,
}

impl Writer {
    /// A writer with keys of its own, which hold nothing yet, and a seed for what it does.
    pub(crate) fn new(number: u64, seed: u64) -> Self {
        let keys = (0..KEYS).map(|key| (format!("writer{number}/key{key}"), Held::default())).collect();
        Self { dice: Dice::new(seed), keys }
    }

    /// Its keys and what they may hold.
    pub(crate) fn keys(&mut self) -> impl Iterator<Item = (&String, &mut Held)> {
        self.keys.iter_mut()
    }

    /// Works until the connection breaks, or nobody listens any more; rings for each acknowledgement.
    pub(crate) fn write_until_cut_off(&mut self, mut connection: Connection, bell: &Sender<()>) {
        loop {
            let step = self.roll();
            for (key, state) in step.effects() {
                self.keys.entry(key).or_default().asked = vec![state];
            }
            if step.take(&mut connection).is_err() {
                return;
            }
            for (key, state) in step.effects() {
                self.keys.insert(key, Held { acknowledged: state, asked: Vec::new() });
            }
            if bell.send(()).is_err() {
                return;
            }
        }
    }

    /// Decides what to do next.
    fn roll(&mut self) -> Step {
        let key = self.any_key();
        let seed = self.dice.next();
        let mut put = |from: u64, to: u64| {
            let size = from + self.dice.below(to - from);
            let size = usize::try_from(size).expect("a few MiB");
            Content { seed, size, in_parts: false }
        };
        match seed % 100 {
            0..40 => Step::Put(key, put(0, 4_096)),
            40..60 => Step::Put(key, put(60_000, 300_000)),
            60..68 => Step::Put(key, put(1 << 20, 3 << 20)),
            68..71 => {
                let content = put(1, 100_000);
                let size = content.size + PART_BYTES;
                Step::PutInParts(key, Content { size, in_parts: true, ..content })
            }
            71..85 => {
                let source = self.any_key();
                match self.keys[&source].acknowledged.clone() {
                    Some(content) if source != key => Step::Copy(key, source, content),
                    _ => Step::Delete(source),
                }
            }
            85..95 => Step::Delete(key),
            _ => {
                let other = self.any_key();
                Step::DeleteMany(vec![key, other])
            }
        }
    }

    fn any_key(&mut self) -> String {
        let number = self.dice.below(KEYS);
        let number = usize::try_from(number).expect("a handful of keys");
        self.keys.keys().nth(number).expect("the number is below that of the keys").clone()
    }
}

impl Step {
    /// What the keys hold once this is acknowledged.
    fn effects(&self) -> Vec<(String, Option<Content>)> {
        match self {
            Self::Put(key, content) | Self::PutInParts(key, content) | Self::Copy(key, _, content) => {
                vec![(key.clone(), Some(content.clone()))]
            }
            Self::Delete(key) => vec![(key.clone(), None)],
            Self::DeleteMany(keys) => keys.iter().map(|key| (key.clone(), None)).collect(),
        }
    }

    /// Does it. An error is the end of the connection; an answer that refuses fails the test.
    fn take(&self, connection: &mut Connection) -> io::Result<()> {
        match self {
            Self::Put(key, content) => {
                let answer = ask(connection, &format!("PUT /{BUCKET}/{key}"), "", &content.bytes())?;
                assert_eq!(answer.header("etag"), Some(&content.etag()[..]), "{key}");
            }
            Self::PutInParts(key, content) => put_in_parts(connection, key, content)?,
            Self::Copy(key, source, _) => {
                let source = format!("x-amz-copy-source: {BUCKET}/{source}\r\n");
                ask(connection, &format!("PUT /{BUCKET}/{key}"), &source, b"")?;
            }
            Self::Delete(key) => drop(ask(connection, &format!("DELETE /{BUCKET}/{key}"), "", b"")?),
            Self::DeleteMany(keys) => {
                let objects: Vec<_> =
                    keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
                let body = format!("<Delete>{}</Delete>", objects.concat());
                let digest = BASE64_STANDARD.encode(Md5::digest(&body));
                let header = format!("Content-MD5: {digest}\r\n");
                let answer = ask(connection, &format!("POST /{BUCKET}?delete"), &header, body.as_bytes())?;
                let text = String::from_utf8_lossy(&answer.body);
                assert!(!text.contains("<Error>"), "{text}");
            }
        }
        Ok(())
    }
}

/// Uploads content in two parts, the second of which is small.
fn put_in_parts(connection: &mut Connection, key: &str, content: &Content) -> io::Result<()> {
    let answer = ask(connection, &format!("POST /{BUCKET}/{key}?uploads"), "", b"")?;
    let text = String::from_utf8_lossy(&answer.body);
    let id = text.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once("</UploadId>"));
    let id = id.unwrap_or_else(|| panic!("no upload id in {text}")).0;
    let bytes = content.bytes();
    let (one, two) = bytes.split_at(PART_BYTES);
    let mut parts = Vec::new();
    for (number, part) in [(1, one), (2, two)] {
        let request = format!("PUT /{BUCKET}/{key}?partNumber={number}&uploadId={id}");
        let answer = ask(connection, &request, "", part)?;
        let etag = answer.header("etag").unwrap_or_else(|| panic!("no ETag in {answer:?}"));
        parts.push(format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
    }
    let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat());
    let answer = ask(connection, &format!("POST /{BUCKET}/{key}?uploadId={id}"), "", body.as_bytes())?;
    let text = String::from_utf8_lossy(&answer.body);
    assert!(!text.contains("<Error>"), "{text}");
    Ok(())
}

/// Sends one request on the connection and reads its answer, which must be a success.
pub(crate) fn ask(connection: &mut Connection, line: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
    let head = format!("{line} HTTP/1.1\r\nHost: stage\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    connection.send(head.as_bytes())?;
    connection.send(body)?;
    let answer = connection.answer(true)?;
    assert!((200..300).contains(&answer.status), "{line}: {answer:?}");
    Ok(answer)
}
