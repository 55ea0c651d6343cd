//! The client against servers that misbehave in every way that production might.

mod bodies;
mod budget;
mod lists;
mod reads;
mod redirects;
mod server;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Answer, Body, Client, Config, Error, Hops, Names, Read};
use crate::clock::Clock;
use crate::fallback::{Place, ReadMethod, S3Upstream, Upstream, UrlPrefix};
use crate::model::{ObjectKey, Timestamp};

/// Far longer than anything here takes, so that no test passes by a time-out.
const LONG: Duration = Duration::from_mins(1);

/// For tests that wait for a time-out.
const SHORT: Duration = Duration::from_millis(50);

/// Nothing times out, nothing is tried again, nothing is remembered, no breaker.
fn patient() -> Config {
    Config {
        connect_timeout: LONG,
        head_timeout: LONG,
        request_timeout: None,
        stall_timeout: LONG,
        rate_min_bytes: 0,
        retries: 0,
        connections_max: 16,
        head_connections_max: 16,
        list_connections_max: 16,
        breaker_failures: 0,
        breaker_pause: LONG,
        list_ttl: Duration::ZERO,
        absent_ttl: Duration::ZERO,
        ca_file: None,
        names: Names::default(),
    }
}

/// 2013-05-24T00:00:00Z.
fn now() -> Timestamp {
    Timestamp::from_seconds(1_369_353_600)
}

fn client(config: Config) -> Client {
    Client::new(config, Clock::Fixed(now())).expect("a client")
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

/// A plain address below `http://address/pub/`.
fn plain(address: SocketAddr) -> Upstream {
    let prefix = UrlPrefix::parse(&format!("http://{address}/pub/")).expect("a prefix");
    Upstream::new(Place::Url(prefix), Vec::new())
}

/// The bucket `prod`, with keys or without.
fn bucket(address: SocketAddr, keys: bool) -> Upstream {
    let keys = if keys { "access_key_id = 'AKIDEXAMPLE'\nsecret_access_key = 'correct-horse'" } else { "" };
    let text = format!("bucket = 'prod'\nregion = 'us-west-2'\nendpoint = 'http://{address}/'\n{keys}");
    Upstream::new(Place::S3(toml::from_str::<S3Upstream>(&text).expect("a bucket")), Vec::new())
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    pairs.iter().map(pair).collect()
}

/// A GET with headers of a client.
async fn get_with(
    client: &Client,
    upstream: &Upstream,
    key: &ObjectKey,
    headers: &HeaderMap,
) -> Result<Option<Answer>, Error> {
    let hops = &Hops::default();
    client.read(Read { upstream, key, method: ReadMethod::Get, headers, hops }).await
}

/// A plain GET of `a`.
async fn get(client: &Client, upstream: &Upstream) -> Result<Option<Answer>, Error> {
    get_with(client, upstream, &key("a"), &HeaderMap::new()).await
}

/// All bytes of an answer that is there.
async fn bytes(answer: Result<Option<Answer>, Error>) -> Result<String, Error> {
    let answer = answer?.expect("the key is there");
    let bytes = answer.body.collect(usize::MAX).await?.expect("it has no bound");
    Ok(String::from_utf8(bytes).expect("text"))
}

/// The next bytes of a body.
async fn chunk(body: &mut Body) -> Option<Result<bytes::Bytes, Error>> {
    std::future::poll_fn(|cx| body.poll_chunk(cx)).await
}

/// The message of an error that there must be.
fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.expect_err("upstream misbehaves").to_string()
}
