//! HTTP/1.1 by hand over a socket: what is sent is what is written here, and what came back is seen
//! as it came, header names in their own case.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::server::PATIENCE;

/// One answer.
#[derive(Clone)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The headers in order, names as they were spelled.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, without transfer coding.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// S3's error code in the body, or nothing.
    pub(crate) fn code(&self) -> String {
        let text = self.text();
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map(|(code, _)| code.to_owned()).unwrap_or_default()
    }
}

impl fmt::Debug for Answer {
    /// The body as text: this is what a failed test shows.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.text().chars().take(2_000).collect();
        write!(formatter, "{} {:?}\n{text}\n", self.status, self.headers)
    }
}

/// An open connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects. A server that answers nothing for long fails the test by a time-out.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream.set_nodelay(true).expect("the option exists");
        Self { stream: BufReader::new(stream) }
    }

    /// Sends bytes as they are. A server that has already hung up is for the answer to tell.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&mut self) -> io::Result<()> {
        self.stream.get_mut().shutdown(std::net::Shutdown::Write)
    }

    /// Reads one answer, `has_body` unless it was asked for with HEAD.
    pub(crate) fn answer(&mut self, has_body: bool) -> io::Result<Answer> {
        let mut answer = self.head()?;
        if has_body && answer.status >= 200 && !matches!(answer.status, 204 | 304) {
            answer.body = self.body(&answer)?;
        }
        Ok(answer)
    }

    /// Reads a status line and headers.
    pub(crate) fn head(&mut self) -> io::Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Answer { status, headers, body: Vec::new() })
    }

    /// Reads a piece of a body that is too large to hold.
    pub(crate) fn read_exact(&mut self, piece: &mut [u8]) -> io::Result<()> {
        self.stream.read_exact(piece)
    }

    /// Reads the body that the headers announce.
    fn body(&mut self, head: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                let start = body.len();
                body.resize(start + size, 0);
                self.stream.read_exact(&mut body[start..])?;
                self.line()?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match head.header("content-length").map(str::parse::<usize>) {
            Some(length) => {
                body.resize(length.map_err(io::Error::other)?, 0);
                self.stream.read_exact(&mut body)?;
            }
            None => {
                self.stream.read_to_end(&mut body)?;
            }
        }
        Ok(body)
    }

    /// Reads a line without its end; the end of the stream is an error.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }
}

/// Sends one request on a connection of its own and reads the answer. `head` is the request line
/// and any headers, each ended with `\r\n`; Host, Content-Length and Connection are added.
pub(crate) fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> io::Result<Answer> {
    let mut connection = Connection::open(address);
    let host = if head.to_ascii_lowercase().contains("\nhost:") {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    let mut request =
        format!("{head}{host}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    connection.send(&request)?;
    connection.answer(!head.starts_with("HEAD "))
}

/// A plain GET without credentials.
pub(crate) fn get(address: SocketAddr, target: &str) -> Answer {
    exchange(address, &format!("GET {target} HTTP/1.1\r\n"), b"").expect("an answer to a GET")
}
