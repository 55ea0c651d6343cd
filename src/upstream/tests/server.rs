//! An upstream that does as it is told, over plain TCP.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// These bytes; the connection stays open for the next request.
    Bytes(Vec<u8>),
    /// These bytes, and the connection ends.
    Last(Vec<u8>),
    /// These bytes, and then nothing for ever.
    Stall(Vec<u8>),
    /// These bytes, and then more until nobody takes them.
    Endless(Vec<u8>),
    /// These bytes, and then one more each few milliseconds until nobody takes them.
    Drip(Vec<u8>),
}

impl Reply {
    /// A head and a body, with the length of the body.
    pub(super) fn answer(status: u16, headers: &str, body: &str) -> Self {
        Self::Bytes(head(status, headers, body.len(), body))
    }

    /// The same with a body that ends before its length.
    pub(super) fn cut(status: u16, headers: &str, body: &str) -> Self {
        Self::Last(head(status, headers, body.len() + 1, body))
    }

    /// A redirect.
    pub(super) fn redirect(location: &str) -> Self {
        Self::answer(302, &format!("Location: {location}\r\n"), "moved")
    }
}

fn head(status: u16, headers: &str, length: usize, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

type Script = dyn Fn(usize, &str) -> Reply + Send + Sync;

/// A server on loopback. It ends with its runtime.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    /// How many requests have come.
    pub(super) arrived: watch::Receiver<usize>,
    /// How many endless bodies were given up by their readers.
    pub(super) broken_off: watch::Receiver<usize>,
}

impl Server {
    /// Answers each request as `script` says of its number, counted from 0, and its head.
    pub(super) async fn start(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (broken, broken_off) = watch::channel(0);
        let (came, arrived) = watch::channel(0);
        let signals = Arc::new((came, broken));
        let connections = Arc::<AtomicUsize>::default();
        let opened = Arc::clone(&connections);
        let script: Arc<Script> = Arc::new(script);
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::Relaxed);
                let (script, seen, signals) = (Arc::clone(&script), Arc::clone(&seen), Arc::clone(&signals));
                tokio::spawn(serve(stream, script, seen, signals));
            }
        });
        Self { address, requests, connections, arrived, broken_off }
    }

    /// Answers the requests in order, and all further ones like the last.
    pub(super) async fn replies(replies: &[Reply]) -> Self {
        let replies = replies.to_vec();
        Self::start(move |number, _| replies[number.min(replies.len() - 1)].clone()).await
    }

    /// The heads of all requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no test has failed").clone()
    }

    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.requests().len()
    }

    /// How many connections were made.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<String>>>,
    signals: Arc<(watch::Sender<usize>, watch::Sender<usize>)>,
) {
    let mut received = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read_buf(&mut received).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        };
        let request = String::from_utf8(received.drain(..end).collect()).expect("a head is text");
        let number = {
            let mut seen = seen.lock().expect("no test has failed");
            seen.push(request.clone());
            seen.len() - 1
        };
        signals.0.send_modify(|count| *count += 1);
        match script(number, &request) {
            Reply::Bytes(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::Last(bytes) => {
                drop(stream.write_all(&bytes).await);
                return;
            }
            Reply::Stall(bytes) => {
                drop(stream.write_all(&bytes).await);
                std::future::pending::<()>().await;
            }
            Reply::Drip(bytes) => {
                drop(stream.write_all(&bytes).await);
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                return;
            }
            Reply::Endless(bytes) => {
                drop(stream.write_all(&bytes).await);
                while stream.write_all(&[b'x'; 16384]).await.is_ok() {}
                signals.1.send_modify(|count| *count += 1);
                return;
            }
        }
    }
}

/// The value of a header in a head.
pub(super) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
