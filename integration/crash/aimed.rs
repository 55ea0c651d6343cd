//! Work that a kill is aimed at: an object that is composed of others (GCS), or completed of parts (S3),
//! again and again. Whoever kills hears when a request has been sent, and strikes before it is answered.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use md5::{Digest as _, Md5};

use super::content::{Content, Dice, PART_BYTES};
use super::http::Connection;
use super::writer::ask;

/// The bucket of this work: the writers compare the listing of theirs.
pub(crate) const BUCKET: &str = "aimed";
/// Objects that others are composed of.
const SOURCES: u64 = 16;
/// Objects that an object is composed of at most.
const COMPOSED_MAX: u64 = 32;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Compose,
    Complete,
}

/// An object that was made, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Made {
    /// Of these sources, one behind the other.
    Composed(Vec<u64>),
    /// Of so many copies of the large source, and a part of its own.
    Completed { copies: usize, tail: Content },
}

/// One object that is made again and again.
#[derive(Debug, Clone)]
pub(crate) struct Aim {
    kind: Kind,
    dice: Dice,
    /// What the server acknowledged last.
    pub(crate) acknowledged: Option<Made>,
    /// What it may be instead, as the last request was not answered or may have been taken back.
    #[expect(clippy::option_option, reason = "nothing was asked, or that nothing be there, or this")]
    pub(crate) asked: Option<Option<Made>>,
}

fn source(number: u64) -> Content {
    Content { seed: 7_000 + number, size: 80_000 + usize::try_from(number).expect("a few"), in_parts: false }
}

fn large() -> Content {
    Content { seed: 8_000, size: PART_BYTES, in_parts: false }
}

/// Puts what is made of into the bucket.
pub(crate) fn put_sources(address: SocketAddr) {
    let mut connection = Connection::open(address);
    let mut put = |key: &str, content: &Content| {
        let line = format!("PUT /{BUCKET}/{key}");
        ask(&mut connection, &line, "", &content.bytes()).expect("the server lives");
    };
    (0..SOURCES).for_each(|number| put(&format!("source{number}"), &source(number)));
    put("large", &large());
}

impl Made {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Composed(sources) => sources.iter().flat_map(|number| source(*number).bytes()).collect(),
            Self::Completed { copies, tail } => [large().bytes().repeat(*copies), tail.bytes()].concat(),
        }
    }

    /// The ETag, where it is known from outside.
    fn etag(&self) -> Option<String> {
        let Self::Completed { copies, tail } = self else { return None };
        let part = Md5::digest(large().bytes());
        let digests = [part.repeat(*copies), Md5::digest(tail.bytes()).to_vec()].concat();
        Some(format!("\"{}-{}\"", hex::encode(Md5::digest(digests)), copies + 1))
    }
}

impl Aim {
    /// An object that is not there yet.
    pub(crate) fn new(kind: Kind, seed: u64) -> Self {
        Self { kind, dice: Dice::new(seed), acknowledged: None, asked: None }
    }

    fn key(&self) -> &'static str {
        match self.kind {
            Kind::Compose => "composed",
            Kind::Complete => "completed",
        }
    }

    /// Makes it until the connection breaks or nobody listens; rings when a request was sent, and when it
    /// was answered.
    pub(crate) fn make_until_cut_off(&mut self, mut connection: Connection, bell: &Sender<()>) {
        loop {
            let made = self.roll();
            let Ok(request) = self.prepare(&mut connection, &made) else { return };
            self.asked = Some(Some(made.clone()));
            if connection.send(&request).is_err() {
                return;
            }
            let is_heard = bell.send(()).is_ok();
            let Ok(answer) = connection.answer(true) else { return };
            let text = answer.text();
            assert!(answer.status == 200 && !text.contains("<Error>"), "{:?}: {answer:?}", self.kind);
            self.acknowledged = Some(made);
            self.asked = None;
            if !is_heard || bell.send(()).is_err() {
                return;
            }
        }
    }

    fn roll(&mut self) -> Made {
        match self.kind {
            Kind::Compose => {
                let count = 1 + self.dice.below(COMPOSED_MAX);
                Made::Composed((0..count).map(|_| self.dice.below(SOURCES)).collect())
            }
            Kind::Complete => {
                let copies = usize::try_from(1 + self.dice.below(3)).expect("a few");
                let size = usize::try_from(1 + self.dice.below(200_000)).expect("a few");
                let tail = Content { seed: self.dice.next(), size, in_parts: false };
                Made::Completed { copies, tail }
            }
        }
    }

    /// Does what comes before; gives the request that makes the object.
    fn prepare(&self, connection: &mut Connection, made: &Made) -> io::Result<Vec<u8>> {
        let key = self.key();
        let (line, body) = match made {
            Made::Composed(sources) => {
                let names: Vec<_> =
                    sources.iter().map(|number| format!(r#"{{"name":"source{number}"}}"#)).collect();
                let body = format!(r#"{{"sourceObjects":[{}]}}"#, names.join(","));
                (format!("POST /storage/v1/b/{BUCKET}/o/{key}/compose"), body)
            }
            Made::Completed { copies, tail } => {
                let answer = ask(connection, &format!("POST /{BUCKET}/{key}?uploads"), "", b"")?;
                let text = answer.text();
                let id = between(&text, "<UploadId>", "</UploadId>");
                let mut parts = Vec::new();
                for number in 1..=copies + 1 {
                    let line = format!("PUT /{BUCKET}/{key}?partNumber={number}&uploadId={id}");
                    let etag = if number > *copies {
                        let answer = ask(connection, &line, "", &tail.bytes())?;
                        answer.header("etag").expect("an ETag").to_owned()
                    } else {
                        let copied =
                            ask(connection, &line, &format!("x-amz-copy-source: {BUCKET}/large\r\n"), b"")?;
                        between(&copied.text(), "<ETag>", "</ETag>").replace("&quot;", "\"")
                    };
                    parts.push(format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"));
                }
                let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat());
                (format!("POST /{BUCKET}/{key}?uploadId={id}"), body)
            }
        };
        let head = format!(
            "{line} HTTP/1.1\r\nHost: stage\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(head.into_bytes())
    }

    /// Reads it and compares every byte; then nothing is in doubt any more.
    pub(crate) fn verify(&mut self, address: SocketAddr, when: &str) {
        let mut connection = Connection::open(address);
        let request = format!("GET /{BUCKET}/{} HTTP/1.1\r\nHost: stage\r\n\r\n", self.key());
        connection.send(request.as_bytes()).expect("the server reads");
        let answer = connection.answer(true).expect("an answer");
        let fits = |state: &Option<Made>| match (answer.status, state) {
            (404, None) => true,
            (200, Some(made)) => {
                answer.body == made.bytes()
                    && made.etag().is_none_or(|etag| answer.header("etag") == Some(&etag))
            }
            _ => false,
        };
        let states = [Some(self.acknowledged.clone()), self.asked.take()];
        let Some(state) = states.iter().flatten().find(|state| fits(state)) else {
            let got = (answer.status, answer.body.len(), answer.header("etag"));
            panic!("{when}: {} is {got:?}, and may be one of {states:?}", self.key());
        };
        self.acknowledged.clone_from(state);
    }
}

fn between(text: &str, from: &str, to: &str) -> String {
    let found = text.split_once(from).and_then(|(_, rest)| rest.split_once(to));
    found.unwrap_or_else(|| panic!("no {from} in {text}")).0.to_owned()
}
