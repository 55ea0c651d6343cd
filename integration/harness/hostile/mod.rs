//! A hostile upstream on loopback: files, listings and directory pages, whose misbehaviour is
//! scripted path by path, and which remembers every request in full and how every body ended.
//!
//! What it would answer without a script is `files.rs` and `pages.rs`; the socket is `serve.rs`.

mod files;
mod pages;
mod serve;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(crate) use self::files::File;
use super::server::PATIENCE;

/// What is done with one request instead of answering it well.
#[derive(Clone)]
pub(crate) enum Trick {
    /// It is answered well.
    Fine,
    /// The connection is closed before a byte of the answer.
    HangUp,
    /// The head announces the whole body, of which only so many bytes are sent.
    CutAfter(usize),
    /// Nothing is sent until the gate opens.
    HoldHead(Gate),
    /// So many bytes of the body are sent, the rest once the gate opens.
    HoldAfter(usize, Gate),
    /// This status instead, with a body that says so.
    Status(u16),
    /// A redirect to this address.
    Redirect(String),
    /// These headers besides, or instead of those of the same name.
    Headers(Vec<(&'static str, String)>),
    /// The body is sent in chunks, without a Content-Length.
    Chunked,
    /// A chunked body that ends after so many bytes without its last chunk.
    ChunkedCutAfter(usize),
    /// After so many bytes of the body they come one by one, with pauses.
    DripAfter(usize),
    /// The trick, but only for requests without `Range`.
    Whole(Box<Trick>),
    /// The trick, but only for GET.
    Get(Box<Trick>),
}

/// A gate that is closed until it is opened, once and for all.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everybody through.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    fn pass(&self) {
        let closed = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(closed, |open| !*open));
    }
}

/// One request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The method.
    pub(crate) method: String,
    /// Path and query as they were sent.
    pub(crate) target: String,
    /// Names in their own case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Seen {
    /// A header's value; its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The path without its escapes and its first slash; of a listing, the bucket.
    pub(crate) fn path(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        let path = files::decoded(path.strip_prefix('/').unwrap_or(path));
        if self.lists() { path.trim_end_matches('/').to_owned() } else { path }
    }

    /// Whether it asks for a page of a listing.
    pub(crate) fn lists(&self) -> bool {
        self.query().contains_key("list-type")
    }

    /// The query's parameters, without their escapes.
    pub(crate) fn query(&self) -> BTreeMap<String, String> {
        pages::query(&self.target)
    }

    /// `GET pub/a`: method and path.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path())
    }
}

/// One body on its way, or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The path without its escapes.
    pub(crate) path: String,
    /// How many bytes the socket took.
    pub(crate) sent: usize,
    /// How it is.
    pub(crate) state: Progress,
}

/// How a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is being sent.
    Flowing,
    /// Nobody has read it for a while.
    Blocked,
    /// All of it was sent, or as much as the script wanted.
    Whole,
    /// The other side closed the connection.
    Left,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    once: BTreeMap<String, VecDeque<Trick>>,
    always: BTreeMap<String, Trick>,
    seen: Vec<Seen>,
    transfers: Vec<Transfer>,
    running: usize,
    running_max: usize,
    closed: bool,
    only_html: bool,
}

struct Shared {
    state: Mutex<State>,
    bell: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that a test may wait for.
    fn note<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.bell.notify_all();
        changed
    }
}

/// The server; its threads end with the process.
pub(crate) struct Hostile {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Hostile {
    /// Starts on 127.0.0.1, without files.
    pub(crate) fn start() -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST)
    }

    /// Starts on another address of the loopback network, which is another host.
    pub(crate) fn start_on(host: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((IpAddr::V4(host), 0)).expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { state: Mutex::default(), bell: Condvar::new() });
        let threads = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if threads.lock().closed {
                    continue;
                }
                let shared = Arc::clone(&threads);
                // A client that goes away is noted where its body is sent.
                std::thread::spawn(move || drop(serve::connection(&shared, stream)));
            }
        });
        Self { address, shared }
    }

    /// Starts with these files: path without the first slash, and bytes.
    pub(crate) fn with<K: Into<String>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (K, B)>) -> Self {
        let server = Self::start();
        for (path, bytes) in files {
            server.put(path, File::new(bytes.as_ref().to_vec()));
        }
        server
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URL that ends in a slash.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Adds or replaces a file.
    pub(crate) fn put(&self, path: impl Into<String>, file: File) {
        self.shared.lock().files.insert(path.into(), file);
    }

    /// Removes a file.
    pub(crate) fn remove(&self, path: &str) {
        self.shared.lock().files.remove(path);
    }

    /// What is done with the next requests of a path, one by one; those after them are fine.
    pub(crate) fn next(&self, path: &str, tricks: impl IntoIterator<Item = Trick>) {
        self.shared.lock().once.entry(path.to_owned()).or_default().extend(tricks);
    }

    /// What is done with every request of a path for which nothing else is scripted.
    pub(crate) fn always(&self, path: &str, trick: Trick) {
        self.shared.lock().always.insert(path.to_owned(), trick);
    }

    /// From now on every connection is closed as soon as it comes, or says something.
    pub(crate) fn go_down(&self) {
        self.shared.lock().closed = true;
    }

    /// The end of [`Hostile::go_down`].
    pub(crate) fn come_back(&self) {
        self.shared.lock().closed = false;
    }

    /// From now on directories have no JSON, whoever prefers it.
    pub(crate) fn only_html(&self) {
        self.shared.lock().only_html = true;
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    /// Takes the requests so far.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.lock().seen)
    }

    /// Takes the requests so far as `GET pub/a`.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.take_seen().iter().map(Seen::line).collect()
    }

    /// Fails the test if anything was asked since requests were taken last.
    #[track_caller]
    pub(crate) fn assert_not_asked(&self, why: &str) {
        assert_eq!(self.take_lines(), Vec::<String>::new(), "{why}");
    }

    /// Forgets the bodies that were sent so far, none of which may still be on its way.
    pub(crate) fn forget_transfers(&self) {
        self.shared.lock().transfers.clear();
    }

    /// How many requests there were at the same time, at most.
    pub(crate) fn running_max(&self) -> usize {
        self.shared.lock().running_max
    }

    /// Waits until `find` sees what it wants among the requests.
    #[track_caller]
    pub(crate) fn wait_seen(&self, what: &str, mut find: impl FnMut(&[Seen]) -> bool) {
        self.wait(what, |state| find(&state.seen));
    }

    /// Waits until a body is in a state, and says how many bytes were sent of it.
    #[track_caller]
    pub(crate) fn wait_transfer(&self, path: &str, wanted: Progress) -> usize {
        let find = |transfer: &&Transfer| transfer.path == path && transfer.state == wanted;
        let mut sent = 0;
        self.wait(&format!("{path} is {wanted:?}"), |state| {
            let found = state.transfers.iter().find(find);
            found.inspect(|transfer| sent = transfer.sent).is_some()
        });
        sent
    }

    #[track_caller]
    fn wait(&self, what: &str, mut done: impl FnMut(&State) -> bool) {
        let waited = self.shared.bell.wait_timeout_while(self.shared.lock(), PATIENCE, |state| !done(state));
        let (state, timed_out) = waited.unwrap_or_else(PoisonError::into_inner);
        let lines = || state.seen.iter().map(Seen::line).collect::<Vec<_>>();
        assert!(!timed_out.timed_out(), "never: {what}; {:?} {:?}", lines(), state.transfers);
    }
}
