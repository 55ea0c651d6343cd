//! A small server that plays production: it has files, and remembers who asked for what.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// Files by path, and the request lines so far.
struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    requests: Mutex<Vec<String>>,
}

/// The server; its thread ends with the process.
pub(crate) struct Production {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Production {
    /// Starts to serve these files.
    pub(crate) fn start(files: BTreeMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { files, requests: Mutex::default() });
        let threads = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&threads);
                // A client that goes away is its own business.
                std::thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
        Self { address, shared }
    }

    /// Its address as a URL that ends in a slash.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Takes the request lines so far, as `GET /path`.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Answers one request and closes.
fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {path}"));
    let Some(file) = shared.files.get(path) else {
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return reader.get_mut().write_all(answer);
    };
    let range = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let (start, end) = value.strip_prefix("bytes=")?.split_once('-')?;
        name.eq_ignore_ascii_case("range")
            .then_some((start.parse::<usize>().ok()?, end.parse::<usize>().ok()?))
    });
    let (status, content_range, body) = match range {
        None => ("200 OK", String::new(), &file[..]),
        Some((start, end)) => (
            "206 Partial Content",
            format!("Content-Range: bytes {start}-{end}/{}\r\n", file.len()),
            &file[start..=end.min(file.len() - 1)],
        ),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{content_range}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    reader.get_mut().write_all(head.as_bytes())?;
    if method != "HEAD" {
        reader.get_mut().write_all(body)?;
    }
    reader.get_mut().flush()
}
