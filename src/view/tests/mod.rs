//! The view over a real store and a small server on this machine. Here: what the tests share.

mod bounds;
mod cold;
mod failures;
mod index;
mod production;
mod races;
mod ranges;
mod writes;

use bytes::Bytes;
use http::header::RANGE;
use http::{HeaderMap, HeaderValue};

use self::production::{Production, Served};
use super::*;
use crate::fallback::{ClientKind, ReleaseConfig, Rule};
use crate::model::{ByteRange, Metadata, Owner, Tags, WriteConditions};
use crate::store::{Content, DeleteObject, Durability, NewBucket, Options, PutObject};

/// A view of [`Production`], in a folder of its own.
struct Fixture {
    view: View,
    production: Production,
    store: Store,
    folder: tempfile::TempDir,
}

fn bucket() -> BucketName {
    BucketName::parse("stage").expect("a name")
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

/// Bytes that differ from place to place.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index.wrapping_mul(31) ^ (index >> 9)).to_le_bytes()[0]).collect()
}

/// Rules, with `PRODUCTION` in the place of the server's address.
fn rules(text: &str, production: &Production) -> Vec<Rule> {
    #[derive(serde::Deserialize)]
    struct Rules {
        fallback: Vec<Rule>,
    }
    let text = text.replace("PRODUCTION", &production.url());
    toml::from_str::<Rules>(&text).expect("rules").fallback
}

const CACHE: &str = "[[fallback]]\nmatch = \"**\"\nmode = \"cache\"\nto = \"PRODUCTION\"\n";

impl Fixture {
    async fn new() -> Self {
        Self::with(CACHE, Config::default()).await
    }

    async fn with(text: &str, config: Config) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options =
            Options { durability: Durability::Ephemeral, reserve_bytes: 0, ..Options::new(folder.path()) };
        let store = Store::open(options).expect("a store");
        let new = NewBucket { name: bucket(), region: "us-east-1".to_owned(), owner: Owner::anonymous() };
        store.create_bucket(new).await.expect("a new bucket");
        let production = Production::start().await;
        let view = view(&store, &production, (text, &[]), config);
        Self { view, production, store, folder }
    }

    /// Another view of the same store and server.
    fn seen_by(&self, text: &str, under_test: &[&str]) -> View {
        view(&self.store, &self.production, (text, under_test), Config::default())
    }

    async fn put(&self, name: &str, bytes: &[u8]) {
        let mut staging = self.store.stage(&[], None);
        staging.write(Bytes::copy_from_slice(bytes)).await.expect("room");
        let put = PutObject {
            bucket: bucket(),
            key: key(name),
            staged: staging.finish().await.expect("room"),
            metadata: Metadata::default(),
            tags: Tags::default(),
            owner: Owner::anonymous(),
            checksum: None,
            conditions: WriteConditions::default(),
        };
        self.store.put_object(put).await.expect("written");
    }

    async fn bury(&self, name: &str) {
        let conditions = WriteConditions::default();
        let delete = DeleteObject { key: key(name), version: None, conditions, tombstone: true };
        let deleted = self.store.delete_objects(&bucket(), vec![delete]).await.expect("deleted");
        assert!(deleted.iter().all(Result::is_ok));
    }

    fn found(&self, name: &str) -> Lookup {
        self.view.find(&bucket(), &key(name), None).expect("the index answers")
    }

    /// The object that is here, and its bytes.
    async fn here(&self, name: &str) -> Option<(Object, Vec<u8>)> {
        match self.found(name) {
            Lookup::Here(object, content) => {
                let bytes = read_here(&object, &content).await;
                Some((object, bytes))
            }
            Lookup::Absent | Lookup::Tombstone | Lookup::DeleteMarker { .. } | Lookup::NoBucket => None,
        }
    }

    /// A plain GET of a key that is not here.
    async fn get(&self, name: &str) -> Result<Got, Error> {
        self.ask(name, ReadMethod::Get, &HeaderMap::new()).await
    }

    async fn get_range(&self, name: &str, range: &'static str) -> Result<Got, Error> {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]);
        self.ask(name, ReadMethod::Get, &headers).await
    }

    async fn ask(&self, name: &str, method: ReadMethod, headers: &HeaderMap) -> Result<Got, Error> {
        let (bucket, key) = (bucket(), key(name));
        let client = ClientKind::Plain;
        let hops = Hops::default();
        let miss = Miss {
            bucket: &bucket,
            key: &key,
            method,
            asker: client.into(),
            headers,
            hops: &hops,
            may_write: false,
        };
        Ok(match self.view.miss(miss).await? {
            Reply::Absent(_) => Got::Absent,
            Reply::Redirect(redirect) => {
                Got::Redirect(redirect.location(Clock::System.now()).expect("an address"))
            }
            Reply::Proxied(mut answer) => {
                let mut bytes = Vec::new();
                while let Some(piece) = std::future::poll_fn(|cx| answer.body.poll_chunk(cx)).await {
                    bytes.extend_from_slice(&piece?);
                }
                Got::Proxied(answer.status.as_u16(), bytes)
            }
            Reply::Flying(flying) => Got::Flying(flying),
            Reply::Known(remote) => Got::Known(remote),
        })
    }

    async fn materialise(&self, name: &str) -> Result<bool, Error> {
        self.view.materialise(&bucket(), &key(name), &Hops::default()).await
    }

    /// Waits for the flight of a key, if there is one.
    async fn landed(&self, name: &str) {
        if let Some(flight) = self.view.0.flights.of(&bucket(), &key(name)) {
            flight.landed().await.expect("it lands");
        }
    }
}

/// A reply, with nothing borrowed.
#[derive(Debug)]
enum Got {
    Absent,
    Redirect(String),
    Proxied(u16, Vec<u8>),
    Flying(Flying),
    Known(Remote),
}

impl Got {
    fn flying(self) -> Flying {
        match self {
            Self::Flying(flying) => flying,
            Self::Absent | Self::Redirect(_) | Self::Proxied(..) | Self::Known(_) => {
                panic!("not in the air: {self:?}")
            }
        }
    }
}

fn view(store: &Store, production: &Production, (text, under_test): (&str, &[&str]), config: Config) -> View {
    let release = toml::from_str::<ReleaseConfig>(&format!("under_test = {under_test:?}")).expect("releases");
    let fallback = Fallback::new([(bucket(), rules(text, production))], release, |_| None).expect("rules");
    let once = upstream::Config { retries: 0, ..upstream::Config::default() };
    View::new(Parts {
        store: store.clone(),
        fallback: Arc::new(fallback),
        upstream: upstream::Client::new(once, Clock::System).expect("a client"),
        config,
        clock: Clock::System,
    })
}

async fn read_here(object: &Object, content: &Content) -> Vec<u8> {
    let mut reader = content.reader(ByteRange::whole(object.size_bytes));
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await {
        bytes.extend_from_slice(&piece.expect("readable"));
    }
    bytes
}

/// All bytes of a range, or those before the error.
async fn read_along(flying: &Flying, range: ByteRange) -> (Vec<u8>, Result<(), Error>) {
    let mut reader = flying.reader(range);
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await {
        match piece {
            Ok(piece) => {
                assert!(!piece.is_empty());
                bytes.extend_from_slice(&piece);
            }
            Err(error) => {
                assert_eq!(reader.remaining(), 0, "nothing comes after an error");
                return (bytes, Err(error));
            }
        }
    }
    (bytes, Ok(()))
}

async fn read_whole(flying: &Flying) -> Vec<u8> {
    let (bytes, outcome) = read_along(flying, ByteRange::whole(flying.object().size_bytes)).await;
    outcome.expect("all of it");
    bytes
}
