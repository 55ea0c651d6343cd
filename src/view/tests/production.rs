//! A small server in production's place. It counts what it is asked, and breaks off, waits or lies
//! where it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use md5::{Digest as _, Md5};

/// The server. It stops when it is dropped.
pub(super) struct Production {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    files: Mutex<HashMap<String, Served>>,
    asked: Mutex<Vec<String>>,
}

/// A file, and how it is served.
#[derive(Clone)]
pub(super) struct Served {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) etag: String,
    /// `None` for a body that ends with the connection.
    pub(super) announced: Option<usize>,
    /// So many bytes are sent, then it waits for [`Gate::open`].
    pub(super) gate: Option<(usize, Gate)>,
    pub(super) extra: String,
    pub(super) status: u16,
}

/// Holds a body back until it is opened.
#[derive(Clone)]
pub(super) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(super) fn open(&self) {
        self.0.send_replace(true);
    }

    async fn passed(&self) {
        // Whoever dropped the gate is done with it.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

impl Served {
    /// Honest: with its length, its MD5 as its tag, and a date.
    pub(super) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let etag = format!("\"{}\"", hex::encode(Md5::digest(&bytes)));
        let announced = Some(bytes.len());
        Self { bytes: Arc::new(bytes), etag, announced, gate: None, extra: String::new(), status: 200 }
    }

    pub(super) fn held_at(mut self, sent: usize, gate: &Gate) -> Self {
        self.gate = Some((sent, gate.clone()));
        self
    }
}

impl Production {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { address, shared, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn serve(&self, name: &str, served: Served) {
        self.shared.files.lock().expect("no panic").insert(name.to_owned(), served);
    }

    /// `GET name` and the like, with the range if there was one.
    pub(super) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("no panic").clone()
    }

    /// From now on nobody answers.
    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Production {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // With the listener, all its connections go.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move { drop(answer(stream, &shared).await) });
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).expect("text");
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let name = path.trim_start_matches('/').to_owned();
    let range =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let asked = match &range {
        Some(range) => format!("{method} {name} {range}"),
        None => format!("{method} {name}"),
    };
    shared.asked.lock().expect("no panic").push(asked);
    let served = shared.files.lock().expect("no panic").get(&name).cloned();
    let Some(served) = served else {
        return stream
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
    };
    let (status, content_range, body) = match range.as_deref().and_then(bounds) {
        Some((first, last)) if first < served.bytes.len() => {
            let last = last.min(served.bytes.len() - 1);
            let range = format!("Content-Range: bytes {first}-{last}/{}\r\n", served.bytes.len());
            (206, range, &served.bytes[first..=last])
        }
        _ => (served.status, String::new(), served.bytes.as_slice()),
    };
    let length = match (status, served.announced) {
        (206, _) => format!("Content-Length: {}\r\n", body.len()),
        (_, Some(length)) => format!("Content-Length: {length}\r\n"),
        (_, None) => String::new(),
    };
    let reply = format!(
        "HTTP/1.1 {status} X\r\n{length}{content_range}ETag: {}\r\nContent-Type: text/x-test\r\n\
         Last-Modified: Fri, 20 Nov 2026 21:20:19 GMT\r\n{}Connection: close\r\n\r\n",
        served.etag, served.extra
    );
    stream.write_all(reply.as_bytes()).await?;
    if method == "HEAD" {
        return Ok(());
    }
    match &served.gate {
        Some((sent, gate)) if status == 200 => {
            stream.write_all(&body[..*sent]).await?;
            gate.passed().await;
            stream.write_all(&body[*sent..]).await?;
        }
        _ => stream.write_all(body).await?,
    }
    stream.shutdown().await
}

/// The bounds of `first-last`.
fn bounds(range: &str) -> Option<(usize, usize)> {
    let (first, last) = range.trim().split_once('-')?;
    Some((first.parse().ok()?, last.parse().unwrap_or(usize::MAX)))
}
