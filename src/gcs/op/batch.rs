//! Several calls in one: `multipart/mixed` of whole HTTP requests in, of whole HTTP responses out.
//!
//! GCS: "Batch requests": at most 100 calls; no uploads and no downloads.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};

use crate::gcs::call::Call;
use crate::gcs::error::{Error, Reason};
use crate::gcs::mime::{self, Event, Splitter};
use crate::gcs::response;
use crate::gcs::route::{Operation, route};
use crate::protocol::body::{self, ByteCount, ResponseBody};
use crate::protocol::query::Query;
use crate::protocol::request::Response;

/// GCS: "You're limited to 100 calls in a single batch request".
const CALLS_MAX: usize = 100;

/// GCS: "The total batch request payload must be less than 10MB"; answers are kept until all are there,
/// and listings are longer than what asks for them.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The boundary of the answer: no document of ours has such a line.
const BOUNDARY: &str = "batch_understudy_b5d9c9b1f5d34c0f";

/// One call of a batch.
#[derive(Debug)]
struct Inner {
    content_id: Option<String>,
    request: Vec<u8>,
}

/// 200 with an answer for each call, in the order of the calls.
pub(super) async fn batch(mut call: Call<'_>) -> Result<Response, Error> {
    let kind =
        call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let splitter = Splitter::new(mime::boundary(kind)?);
    let document = call.document().await?;
    let calls = split(splitter, &document)?;
    let mut answers = Vec::new();
    for inner in calls {
        let parsed = if answers.len() < ANSWER_BYTES_MAX {
            parse(&inner.request, &call.headers)
        } else {
            Err(too_long())
        };
        let answer = match parsed {
            // A batch calls the face that it came by, which could call a batch: a boxed future.
            Ok(request) => Box::pin(call.service.call(call.context, request)).await,
            Err(error) => error.render(),
        };
        write(&mut answers, inner.content_id.as_deref(), answer).await?;
    }
    answers.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let mut answer = Response::new(ResponseBody::bytes(answers));
    response::insert(
        answer.headers_mut(),
        "content-type",
        format_args!("multipart/mixed; boundary={BOUNDARY}"),
    );
    Ok(answer)
}

/// The calls of a batch.
fn split(mut splitter: Splitter, document: &[u8]) -> Result<Vec<Inner>, Error> {
    splitter.push(document);
    let mut calls: Vec<Inner> = Vec::new();
    while let Some(event) = splitter.next()? {
        match event {
            Event::Part(headers) => {
                let content_id = headers.get("content-id").and_then(|value| value.to_str().ok());
                calls.push(Inner { content_id: content_id.map(str::to_owned), request: Vec::new() });
            }
            Event::Data(bytes) => {
                if let Some(call) = calls.last_mut() {
                    call.request.extend_from_slice(&bytes);
                }
            }
            Event::End => {}
        }
    }
    splitter.finish()?;
    if calls.len() > CALLS_MAX {
        return Err(Error::with_message(
            Reason::BadRequest,
            format!("The batch request may have at most {CALLS_MAX} calls, this one has {}.", calls.len()),
        ));
    }
    Ok(calls)
}

fn too_long() -> Error {
    Error::with_message(
        Reason::BadRequest,
        format!(
            "The answers to the calls before this one have {ANSWER_BYTES_MAX} bytes, which is what a batch may \
             bring: it was not done. Send it in another batch."
        ),
    )
}

/// Reads a call: request line, headers, an empty line, the body. Who asks is said for all calls at
/// once, unless a call says it itself.
fn parse(text: &[u8], outer: &HeaderMap) -> Result<crate::protocol::request::Request, Error> {
    let malformed = || Error::with_message(Reason::BadRequest, "A call of the batch is not an HTTP request.");
    let text = text.trim_ascii_start();
    let line_end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let (line, rest) = text.split_at(line_end);
    let line = std::str::from_utf8(line).map_err(|_| malformed())?;
    let mut words = line.split_ascii_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Err(malformed()) };
    let (headers, body) = match memchr::memmem::find(rest, b"\r\n\r\n") {
        Some(at) => (&rest[..at], &rest[at + 4..]),
        None => match memchr::memmem::find(rest, b"\n\n") {
            Some(at) => (&rest[..at], &rest[at + 2..]),
            None => (rest, &[][..]),
        },
    };
    let mut headers = mime::headers(headers).ok_or_else(malformed)?;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = body.get(..declared.unwrap_or(body.len())).ok_or_else(malformed)?.to_vec();
    if let (Some(token), false) =
        (outer.get(header::AUTHORIZATION), headers.contains_key(header::AUTHORIZATION))
    {
        headers.insert(header::AUTHORIZATION, token.clone());
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| malformed())?;
    // Some clients write the whole address of the call.
    let uri: Uri = target.parse().map_err(|_| malformed())?;
    refuse_bytes(&method, &uri, &headers)?;
    let uri: Uri =
        uri.path_and_query().map(ToString::to_string).unwrap_or_default().parse().map_err(|_| malformed())?;
    let body = body::receive(Full::new(Bytes::from(body)), ByteCount::default());
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Refuses calls that bring or take the bytes of objects, and batches.
fn refuse_bytes(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let is_of_bytes = route(method, uri.path(), &query, headers).is_ok_and(|operation| {
        matches!(
            operation,
            Operation::Download(_)
                | Operation::InsertObject(_)
                | Operation::ContinueUpload(_)
                | Operation::CancelUpload(_)
                | Operation::Batch
                | Operation::Token
        )
    });
    if is_of_bytes || !uri.path().starts_with("/storage/v1/") {
        return Err(Error::with_message(
            Reason::BadRequest,
            "A batch has no uploads, downloads or batches in it.",
        ));
    }
    Ok(())
}

/// Writes an answer as a part.
///
/// GCS: the id of an answer is that of its call with `response-` before it, within the brackets.
async fn write(answers: &mut Vec<u8>, content_id: Option<&str>, answer: Response) -> Result<(), Error> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    answers.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Type: application/http\r\n").as_bytes());
    if let Some(id) = content_id {
        let id = id.trim().trim_start_matches('<').trim_end_matches('>');
        answers.extend_from_slice(format!("Content-ID: <response-{id}>\r\n").as_bytes());
    }
    let status = parts.status;
    let reason = reason(status);
    answers.extend_from_slice(format!("\r\nHTTP/1.1 {} {reason}\r\n", status.as_u16()).as_bytes());
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_LENGTH {
            answers.extend_from_slice(name.as_str().as_bytes());
            answers.extend_from_slice(b": ");
            answers.extend_from_slice(value.as_bytes());
            answers.extend_from_slice(b"\r\n");
        }
    }
    answers.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    answers.extend_from_slice(&body);
    answers.extend_from_slice(b"\r\n");
    Ok(())
}

/// Clients split the status line in three, so there must be some words.
fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Unknown")
}
