//! The client: which upstream is asked, whether it needs to be, and what its answer means.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::connect::Connector;
use super::exchange::Exchange;
use super::hops::StageName;
use super::request::{Outgoing, Wanted};
use super::state::{Found, State, lock};
use super::turns::Question;
use super::{Answer, Body, Config, Error, Health, Hops, IndexPage, ListAsk, ListPage, Read, Remote};
use super::{head, list};
use crate::clock::Clock;
use crate::fallback::{Place, ReadMethod, Upstream};
use crate::model::{InvalidObjectKey, ObjectKey};

/// What a connection holds of a body that nobody has asked for yet, and the longest head.
const BUFFER_BYTES: usize = 128 << 10;

/// The largest index that is read: a folder of some 100,000 files.
const INDEX_BYTES_MAX: usize = 32 << 20;

/// How long an upload waits to be told whether its key is there already: a client that hears nothing
/// for longer tries again, and again.
const BRIEF_TIME: Duration = Duration::from_secs(3);

/// How long a connection waits for another request.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// Asks upstreams. Clones share connections, budgets and what is remembered.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    exchange: Exchange,
    stage: StageName,
    upstreams: Mutex<BTreeMap<String, Arc<State>>>,
}

impl Client {
    /// Puts a client together. Nothing is connected before the first request.
    pub fn new(config: Config, clock: Clock) -> Result<Self, io::Error> {
        let connector =
            Connector::new(config.connect_timeout, config.ca_file.as_deref(), config.names.clone())?;
        let idle_max = config.connections_max + config.head_connections_max + config.list_connections_max;
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(idle_max)
            .http1_max_buf_size(BUFFER_BYTES)
            .build(connector);
        let stage = StageName::random().map_err(|error| io::Error::other(error.to_string()))?;
        let exchange = Exchange { http, config, clock };
        Ok(Self(Arc::new(Inner { exchange, stage, upstreams: Mutex::default() })))
    }

    /// Whether a request that passed these stages may lead on to an upstream. Who joins what others
    /// have asked must ask this, lest it waits for itself.
    pub fn check_hops(&self, upstream: &Upstream, hops: &Hops) -> Result<(), Error> {
        self.check_loop(hops, &self.state(upstream))
    }

    /// Reads a key: GET or HEAD. `None` if upstream says that there is none (404, 410); that is
    /// remembered for [`Config::absent_ttl`].
    pub async fn read(&self, read: Read<'_>) -> Result<Option<Answer>, Error> {
        self.read_within(read, self.0.exchange.config.request_end()).await
    }

    /// The same for somebody who asks before a write: in a short time, however patient readers are.
    pub async fn read_briefly(&self, read: Read<'_>) -> Result<Option<Answer>, Error> {
        self.read_within(read, self.brief_end()).await
    }

    async fn read_within(&self, read: Read<'_>, until: Instant) -> Result<Option<Answer>, Error> {
        let Read { upstream, key, method, headers, hops } = read;
        let url = upstream.object_url(key)?;
        let state = self.state(upstream);
        self.check_loop(hops, &state)?;
        if let Some(Found::Nothing) = state.remembered(key) {
            return Ok(None);
        }
        let wanted = Wanted::of(headers);
        let (has_range, has_conditions) = (wanted.has_range(), wanted.has_conditions());
        let question = match method {
            ReadMethod::Get => Question::Body,
            ReadMethod::Head => Question::Head,
        };
        let outgoing = self.outgoing(upstream, &url, question, wanted, hops)?;
        let outgoing = Outgoing { until, ..outgoing };
        let takes = |status: StatusCode| match status {
            StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::GONE => true,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => has_range,
            StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED => has_conditions,
            _ => false,
        };
        let answered = self.0.exchange.ask(&state, &outgoing, key.as_str(), takes).await?;
        let status = answered.status;
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            state.remember(key, Found::Nothing);
            return Ok(None);
        }
        let remote = head::remote(key, status, &answered.headers);
        if status.is_success() {
            state.remember(key, Found::Object(Arc::new(remote.clone())));
        }
        let body = match method {
            ReadMethod::Get => answered.body,
            ReadMethod::Head => Body::empty(),
        };
        Ok(Some(Answer { status, headers: head::passed_on(status, &answered.headers), remote, body }))
    }

    /// What a HEAD says of a key, remembered for a moment (`absent_ttl`), found or not.
    pub async fn head(
        &self,
        upstream: &Upstream,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<Option<Remote>, Error> {
        self.head_within(upstream, key, hops, self.0.exchange.config.request_end()).await
    }

    /// The same for somebody who asks before a write: in a short time, however patient readers are.
    pub async fn head_briefly(
        &self,
        upstream: &Upstream,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<Option<Remote>, Error> {
        self.head_within(upstream, key, hops, self.brief_end()).await
    }

    /// Whether an upstream was in trouble a moment ago (`breaker_pause`), and has not answered since.
    pub fn is_in_trouble(&self, upstream: &Upstream) -> bool {
        self.state(upstream).is_in_trouble(self.0.exchange.config.breaker_pause)
    }

    fn brief_end(&self) -> Instant {
        self.0.exchange.config.request_end().min(Instant::now() + BRIEF_TIME)
    }

    async fn head_within(
        &self,
        upstream: &Upstream,
        key: &ObjectKey,
        hops: &Hops,
        until: Instant,
    ) -> Result<Option<Remote>, Error> {
        let state = self.state(upstream);
        self.check_loop(hops, &state)?;
        match state.remembered(key) {
            Some(Found::Nothing) => return Ok(None),
            Some(Found::Object(remote)) => return Ok(Some(remote.as_ref().clone())),
            None => {}
        }
        let headers = &HeaderMap::new();
        let read = Read { upstream, key, method: ReadMethod::Head, headers, hops };
        let answer = self.read_within(read, until).await?;
        Ok(answer.map(|answer| answer.remote))
    }

    /// A page of the listing of an upstream that [`Upstream::is_listable`].
    pub async fn list(
        &self,
        upstream: &Upstream,
        ask: &ListAsk,
        hops: &Hops,
    ) -> Result<Arc<ListPage>, Error> {
        let state = self.state(upstream);
        self.check_loop(hops, &state)?;
        state.pages.get_or_fetch(ask, || self.fetch_page(&state, upstream, ask, hops)).await
    }

    /// What a plain server shows of a folder, which is empty or ends in `/`: as JSON if it can, else
    /// as the page for people. `None` if it says that there is none. Nothing is remembered.
    pub async fn index_page(
        &self,
        upstream: &Upstream,
        folder: &str,
        hops: &Hops,
    ) -> Result<Option<IndexPage>, Error> {
        let state = self.state(upstream);
        self.check_loop(hops, &state)?;
        let bad =
            |problem: &str| Error::Bad { upstream: state.name().to_owned(), problem: problem.to_owned() };
        let url = match (ObjectKey::parse(folder), upstream.place()) {
            (Ok(folder), _) => upstream.object_url(&folder)?,
            (Err(InvalidObjectKey::Empty), Place::Url(prefix)) => prefix.as_str().to_owned(),
            (Err(_), Place::Url(_) | Place::S3(_) | Place::Gcs(_)) => return Err(bad("has no such folder")),
        };
        let outgoing = self.outgoing(upstream, &url, Question::List, Wanted::index(), hops)?;
        let takes = |status| matches!(status, StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::GONE);
        let answered = self.0.exchange.ask(&state, &outgoing, folder, takes).await?;
        if answered.status != StatusCode::OK {
            return Ok(None);
        }
        let content_type = answered.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let json = content_type.is_some_and(|kind| kind.starts_with("application/json"));
        let text = answered.body.collect(INDEX_BYTES_MAX).await?;
        let text = text.ok_or_else(|| bad("sent an index that is too long"))?;
        Ok(Some(IndexPage { json, text }))
    }

    /// How every upstream is that was asked so far, by name.
    pub fn health(&self) -> Vec<Health> {
        lock(&self.0.upstreams).values().map(|state| state.health()).collect()
    }

    async fn fetch_page(
        &self,
        state: &Arc<State>,
        upstream: &Upstream,
        ask: &ListAsk,
        hops: &Hops,
    ) -> Result<ListPage, Error> {
        let bad = |problem: String| Error::Bad { upstream: state.name().to_owned(), problem };
        let mut token = None;
        // All of the empty pages are one question.
        let until = self.0.exchange.config.request_end();
        for _ in 0..list::EMPTY_PAGES_MAX {
            let url = list::url(upstream, ask, token.as_deref())
                .ok_or_else(|| bad("cannot be listed: it is not a bucket".to_owned()))?;
            let outgoing = self.outgoing(upstream, &url, Question::List, Wanted::default(), hops)?;
            let outgoing = Outgoing { until, ..outgoing };
            let takes = |status| status == StatusCode::OK;
            let answered = self.0.exchange.ask(state, &outgoing, &ask.prefix, takes).await?;
            let document = answered.body.collect(list::BYTES_MAX).await?;
            let document = document.ok_or_else(|| bad("sent a listing that is too long".to_owned()))?;
            let parsed = list::parse(&document, ask)
                .map_err(|error| bad(format!("sent a listing that does not read: {}", error.0)))?;
            match parsed {
                list::Parsed::Page(page) => return Ok(page),
                list::Parsed::EmptyUntil(next) if token.as_ref() == Some(&next) => {
                    return Err(bad("sends the same empty page of a listing again and again".to_owned()));
                }
                list::Parsed::EmptyUntil(next) => token = Some(next),
            }
        }
        Err(bad("sends one empty page of a listing after the other".to_owned()))
    }

    fn outgoing<'a>(
        &self,
        upstream: &'a Upstream,
        url: &str,
        question: Question,
        wanted: Wanted,
        hops: &Hops,
    ) -> Result<Outgoing<'a>, Error> {
        let uri: Uri = url.parse().map_err(|_| Error::Bad {
            upstream: upstream.name(),
            problem: "has an address that cannot be asked".to_owned(),
        })?;
        let method = match question {
            Question::Head => ReadMethod::Head,
            Question::List | Question::Body => ReadMethod::Get,
        };
        let (hops, until) = (hops.onward(&self.0.stage), self.0.exchange.config.request_end());
        Ok(Outgoing { upstream, method, uri, wanted, hops, question, until })
    }

    fn check_loop(&self, hops: &Hops, state: &State) -> Result<(), Error> {
        if hops.lead_back_to(&self.0.stage) {
            return Err(Error::Loop { upstream: state.name().to_owned() });
        }
        Ok(())
    }

    fn state(&self, upstream: &Upstream) -> Arc<State> {
        let name = upstream.name();
        let mut upstreams = lock(&self.0.upstreams);
        let state = upstreams
            .entry(name)
            .or_insert_with_key(|name| Arc::new(State::new(name.clone(), &self.0.exchange.config)));
        Arc::clone(state)
    }
}
