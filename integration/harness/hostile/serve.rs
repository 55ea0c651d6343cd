//! The socket of the hostile upstream: requests are read, noted and answered as the script says.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::time::Duration;

use super::{File, Progress, Seen, Shared, Transfer, Trick, pages};

/// How much is written at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// After so long without a byte taken, a body counts as blocked.
const BLOCKED_AFTER: Duration = Duration::from_millis(500);

/// The pause before each byte of a body that drips.
const DRIP: Duration = Duration::from_millis(20);

/// What is to be sent, and what goes wrong with it.
struct Plan {
    status: u16,
    headers: Vec<(String, String)>,
    body: Source,
    cut_after: Option<usize>,
    hold_after: Option<(usize, super::Gate)>,
    drip_after: Option<usize>,
    chunked: bool,
}

/// Where a body comes from.
enum Source {
    Text(String),
    File(File, Range<usize>),
}

impl Source {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::File(_, range) => range.len(),
        }
    }

    fn piece(&self, start: usize, length: usize) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes()[start..start + length].to_vec(),
            Self::File(file, range) => file.piece(range.start + start, length),
        }
    }
}

/// Serves a connection until one side has enough.
pub(super) fn connection(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(BLOCKED_AFTER))?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        let trick = shared.note(|state| {
            state.seen.push(request.clone());
            state.running += 1;
            state.running_max = state.running_max.max(state.running);
            let path = request.path();
            let once = state.once.get_mut(&path).and_then(std::collections::VecDeque::pop_front);
            match once.or_else(|| state.always.get(&path).cloned()) {
                _ if state.closed => Trick::HangUp,
                Some(trick) => trick,
                None => Trick::Fine,
            }
        });
        let served = answer(shared, &request, trick, reader.get_mut());
        shared.note(|state| state.running -= 1);
        if !served? {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads a request; a body that it should not have is read and forgotten, its method was noted.
fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Seen>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let split = |line: &String| line.split_once(':').map(|(name, value)| (name.into(), value.trim().into()));
    let headers = lines.iter().skip(1).filter_map(split).collect();
    let request = Seen { method: method.to_owned(), target: target.to_owned(), headers };
    let length = request.header("content-length").and_then(|text| text.parse::<u64>().ok());
    io::copy(&mut reader.take(length.unwrap_or(0)), &mut io::sink())?;
    Ok(Some(request))
}

/// Answers; says whether the connection can be used again.
fn answer(shared: &Shared, request: &Seen, trick: Trick, stream: &mut TcpStream) -> io::Result<bool> {
    let mut plan = well(shared, request);
    match trick {
        Trick::Whole(_) if request.header("range").is_some() => {}
        Trick::Get(_) if request.method != "GET" => {}
        Trick::Whole(trick) | Trick::Get(trick) => return answer(shared, request, *trick, stream),
        Trick::Fine => {}
        Trick::HangUp => return Ok(false),
        Trick::CutAfter(sent) => plan.cut_after = Some(sent),
        Trick::ChunkedCutAfter(sent) => (plan.cut_after, plan.chunked) = (Some(sent), true),
        Trick::Chunked => plan.chunked = true,
        Trick::DripAfter(sent) => plan.drip_after = Some(sent),
        Trick::HoldHead(gate) => gate.pass(),
        Trick::HoldAfter(sent, gate) => plan.hold_after = Some((sent, gate)),
        Trick::Status(status) => plan = said(status),
        Trick::Redirect(to) => {
            plan = said(302);
            plan.headers.push(("Location".into(), to));
        }
        Trick::Headers(headers) => {
            for (name, value) in headers {
                plan.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
                plan.headers.push((name.to_owned(), value));
            }
        }
    }
    let keeps = plan.cut_after.is_none();
    send(shared, request, &plan, stream)?;
    Ok(keeps)
}

/// What a good server answers.
fn well(shared: &Shared, request: &Seen) -> Plan {
    let path = request.path();
    let query = request.query();
    let state = shared.lock();
    if request.lists() {
        return page(pages::list(&state.files, &path, &query), "application/xml");
    }
    if let Some(file) = state.files.get(&path) {
        let (status, headers, range) = file.answer(request);
        let body = Source::File(file.clone(), range);
        return Plan { status, headers, body, ..said(200) };
    }
    if path.is_empty() || path.ends_with('/') {
        let wants_json = request.header("accept").is_some_and(|accept| accept.contains("json"));
        let text = if wants_json && !state.only_html {
            pages::json(&state.files, &path).map(|text| page(text, "application/json"))
        } else {
            pages::html(&state.files, &path).map(|text| page(text, "text/html; charset=utf-8"))
        };
        return text.unwrap_or_else(|| said(404));
    }
    said(404)
}

fn page(text: String, kind: &str) -> Plan {
    let headers = vec![("Content-Type".into(), kind.into())];
    Plan { status: 200, headers, body: Source::Text(text), ..said(200) }
}

fn said(status: u16) -> Plan {
    let body = Source::Text(format!("<Error><Code>Scripted</Code><Message>{status}</Message></Error>"));
    let (cut_after, hold_after, drip_after) = (None, None, None);
    Plan { status, headers: Vec::new(), body, cut_after, hold_after, drip_after, chunked: false }
}

/// Sends an answer as planned, and notes how its body fares.
fn send(shared: &Shared, request: &Seen, plan: &Plan, stream: &mut TcpStream) -> io::Result<()> {
    let bodiless = request.method == "HEAD" || matches!(plan.status, 204 | 304);
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", plan.status);
    for (name, value) in &plan.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if plan.chunked {
        head += "Transfer-Encoding: chunked\r\n";
    } else if plan.status != 304 {
        head.extend(["Content-Length: ", &plan.body.len().to_string(), "\r\n"]);
    }
    head += "\r\n";
    stream.write_all(head.as_bytes())?;
    if bodiless {
        return Ok(());
    }
    let number = shared.note(|state| {
        state.transfers.push(Transfer { path: request.path(), sent: 0, state: Progress::Flowing });
        state.transfers.len() - 1
    });
    let sent = send_body(shared, plan, stream, number);
    let end = if sent.is_ok() { Progress::Whole } else { Progress::Left };
    shared.note(|state| state.transfers[number].state = end);
    sent
}

fn send_body(shared: &Shared, plan: &Plan, stream: &mut TcpStream, number: usize) -> io::Result<()> {
    let size = plan.cut_after.unwrap_or(usize::MAX).min(plan.body.len());
    let mut sent = 0;
    while sent < size {
        let mut end = (sent + PIECE_BYTES).min(size);
        if let Some((hold, gate)) = &plan.hold_after {
            if sent == *hold {
                gate.pass();
            } else if sent < *hold {
                end = end.min(*hold);
            }
        }
        match plan.drip_after {
            Some(drip) if sent >= drip => {
                std::thread::sleep(DRIP);
                end = sent + 1;
            }
            Some(drip) => end = end.min(drip),
            None => {}
        }
        let mut piece = plan.body.piece(sent, end - sent);
        if plan.chunked {
            let framed = [format!("{:x}\r\n", piece.len()).into_bytes(), piece, b"\r\n".to_vec()];
            piece = framed.concat();
        }
        write(shared, stream, &piece, number)?;
        sent = end;
        shared.note(|state| {
            state.transfers[number].sent = sent;
            state.transfers[number].state = Progress::Flowing;
        });
    }
    if plan.chunked && plan.cut_after.is_none() {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// Writes all of a piece, however long nobody reads.
fn write(shared: &Shared, stream: &mut TcpStream, mut piece: &[u8], number: usize) -> io::Result<()> {
    while !piece.is_empty() {
        match stream.write(piece) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => piece = &piece[taken..],
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                shared.note(|state| state.transfers[number].state = Progress::Blocked);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
