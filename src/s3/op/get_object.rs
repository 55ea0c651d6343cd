//! GetObject and HeadObject.
//!
//! AWS: `GetObject`, `HeadObject`. A HEAD is a GET without its body; both fall through alike.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use crate::fallback::ReadMethod;
use crate::model::{BucketName, ByteRange, ObjectKey, PartNumber, Permission, Unsatisfiable, VersionId};
use crate::protocol::body::ResponseBody;
use crate::protocol::miss::{self, Asked, Missed};
use crate::protocol::outcome::Answered;
use crate::protocol::query::Query;
use crate::protocol::read::{self, ReadPlan};
use crate::protocol::request::Response;
use crate::protocol::{conditions, headers, made_tag};
use crate::s3::call::Call;
use crate::s3::error::{Code, Error};
use crate::s3::{request, response};
use crate::store::{Content, Lookup, Object, PartRange};

/// Query parameters that replace a response header.
///
/// AWS: `GetObject`, "Overriding response header values"; signed requests only.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-cache-control", header::CACHE_CONTROL),
    ("response-content-disposition", header::CONTENT_DISPOSITION),
    ("response-content-encoding", header::CONTENT_ENCODING),
    ("response-content-language", header::CONTENT_LANGUAGE),
    ("response-content-type", header::CONTENT_TYPE),
    ("response-expires", header::EXPIRES),
];

/// GetObject, and HeadObject too: `Service` takes the body off every answer to a HEAD.
pub(super) async fn get_object(
    call: &mut Call<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<Response, Error> {
    let version = request::version_id(&call.query)?;
    let overrides = overrides(call)?;
    match call.view().find(bucket, key, version.as_ref())? {
        Lookup::Here(object, content) => {
            call.outcome.note_origin(object.origin);
            here(call, &object, &content, overrides)
        }
        Lookup::Absent if VersionId::is_current(version.as_ref()) => {
            absent(call, bucket, key, overrides).await
        }
        Lookup::Absent => Err(Error::new(Code::NoSuchVersion)
            .field("Key", key.as_str())
            .field("VersionId", version.map(|version| version.to_string()).unwrap_or_default())),
        Lookup::Tombstone => {
            call.outcome.answered = Answered::Tombstone;
            Err(no_such_key(key))
        }
        Lookup::DeleteMarker { .. } => Err(no_such_key(key)),
        Lookup::NoBucket => Err(super::no_such_bucket(bucket)),
    }
}

fn no_such_key(key: &ObjectKey) -> Error {
    Error::new(Code::NoSuchKey).field("Key", key.as_str())
}

/// What the rules and production say of a key that is not here.
async fn absent(
    call: &mut Call<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    overrides: HeaderMap,
) -> Result<Response, Error> {
    let part = part_number(call)?;
    let asked = Asked {
        bucket,
        key,
        method: if call.method == Method::HEAD { ReadMethod::Head } else { ReadMethod::Get },
        client: call.client,
        headers: &call.headers,
        context: call.context,
        tags: miss::Tags::OfObjects,
        may_write: call.authorize(Permission::Write, bucket, key.as_str()).is_ok(),
    };
    let found = match miss::read(&call.service.0.view, asked, call.outcome).await? {
        Missed::Absent => return Err(no_such_key(key)),
        Missed::Redirect(response) => return Ok(response),
        Missed::PreconditionFailed(condition) => return Err(precondition_failed(condition)),
        Missed::Unsatisfiable(size_bytes) => return Err(unsatisfiable(call, size_bytes)),
        Missed::Found(found) => *found,
    };
    let found = match part {
        // Which parts production's object was uploaded in is not asked: it is its own part 1.
        Some(number) if number.get() != 1 => return Err(no_such_part(number, 1)),
        Some(_) => found.as_its_own_part(),
        None => found,
    };
    let (mut answer, object) = found.into_response(Object::state);
    headers::write_amz_metadata(answer.headers_mut(), &object.metadata);
    answer.headers_mut().extend(overrides);
    Ok(answer)
}

fn here(
    call: &Call<'_>,
    object: &Object,
    content: &Content,
    overrides: HeaderMap,
) -> Result<Response, Error> {
    let part = part(call, object, content)?;
    let conditions = conditions::of_read(&call.headers);
    let compared = made_tag::compared(object, &call.headers);
    let plan = match &part {
        Some(part) => read::plan_of_part(&conditions, part.range, &compared),
        None => read::plan(
            &conditions,
            conditions::range(&call.headers),
            conditions::if_range(&call.headers).as_ref(),
            &compared,
        ),
    };
    let mut answer = match &plan {
        ReadPlan::PreconditionFailed(condition) => return Err(precondition_failed(condition)),
        ReadPlan::Unsatisfiable(Unsatisfiable { size_bytes }) => {
            return Err(unsatisfiable(call, Some(*size_bytes)));
        }
        ReadPlan::NotModified => response::empty(StatusCode::NOT_MODIFIED),
        ReadPlan::Whole => streamed(call, content, ByteRange::whole(object.size_bytes), StatusCode::OK)?,
        ReadPlan::Partial(range) => streamed(call, content, *range, StatusCode::PARTIAL_CONTENT)?,
    };
    let written = answer.headers_mut();
    headers::write_object(written, &object.state(), &object.metadata);
    headers::write_amz_metadata(written, &object.metadata);
    headers::write_plan(written, &plan, object.size_bytes);
    write_s3_headers(written, object, part.as_ref());
    if request::text(&call.headers, "x-amz-checksum-mode")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED"))
    {
        write_checksum(written, object, part.as_ref(), &plan);
    }
    written.extend(overrides);
    Ok(answer)
}

fn streamed(
    call: &Call<'_>,
    content: &Content,
    range: ByteRange,
    status: StatusCode,
) -> Result<Response, Error> {
    let method = if call.method == Method::HEAD { ReadMethod::Head } else { ReadMethod::Get };
    let mut answer = Response::new(ResponseBody::content(content, range, method)?);
    *answer.status_mut() = status;
    Ok(answer)
}

fn precondition_failed(condition: &'static str) -> Error {
    Error::new(Code::PreconditionFailed).field("Condition", condition)
}

fn unsatisfiable(call: &Call<'_>, size_bytes: Option<u64>) -> Error {
    let requested = request::text(&call.headers, "range").unwrap_or_default();
    let error = Error::new(Code::InvalidRange).field("RangeRequested", requested);
    match size_bytes {
        Some(size) => error.field("ActualObjectSize", size.to_string()),
        None => error,
    }
}

/// `partNumber`: the bytes of one part. An object written in one request is its own part 1.
fn part(call: &Call<'_>, object: &Object, content: &Content) -> Result<Option<PartRange>, Error> {
    let Some(number) = part_number(call)? else { return Ok(None) };
    match content.part_range(number)? {
        Some(part) => Ok(Some(part)),
        None => Err(no_such_part(number, object.parts.unwrap_or(1))),
    }
}

fn part_number(call: &Call<'_>) -> Result<Option<PartNumber>, Error> {
    let Some(number) = call.query.get("partNumber") else { return Ok(None) };
    let number = PartNumber::parse(number)
        .map_err(|reason| Error::invalid_argument("partNumber", number, reason.to_string()))?;
    if call.headers.contains_key(header::RANGE) {
        return Err(Error::with_message(
            Code::InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    Ok(Some(number))
}

fn no_such_part(number: PartNumber, parts: u16) -> Error {
    Error::with_message(Code::InvalidPartNumber, "The requested partnumber is not satisfiable")
        .field("PartNumberRequested", number.to_string())
        .field("ActualPartCount", parts.to_string())
}

fn write_s3_headers(written: &mut HeaderMap, object: &Object, part: Option<&PartRange>) {
    if !object.tags.is_empty() {
        written.insert("x-amz-tagging-count", HeaderValue::from(object.tags.len()));
    }
    if let (Some(_), Some(parts)) = (part, object.parts) {
        written.insert("x-amz-mp-parts-count", HeaderValue::from(parts));
    }
}

/// AWS: `x-amz-checksum-mode`: the checksum of the whole object for a whole read, of the part for
/// a part, and none for a range.
fn write_checksum(written: &mut HeaderMap, object: &Object, part: Option<&PartRange>, plan: &ReadPlan) {
    if matches!(plan, ReadPlan::NotModified) {
        return;
    }
    let checksum = match (part, plan) {
        (Some(part), _) if object.parts.is_some() => part.checksum.as_ref(),
        (_, ReadPlan::Partial(range)) if range.len() != object.size_bytes => None,
        _ => object.checksum.as_ref(),
    };
    if let Some(checksum) = checksum {
        response::write_checksum(written, checksum);
    }
}

/// The `response-…` parameters as headers.
fn overrides(call: &Call<'_>) -> Result<HeaderMap, Error> {
    let overrides = read_overrides(&call.query)?;
    if !overrides.is_empty() && call.identity.is_anonymous() {
        return Err(Error::with_message(
            Code::InvalidRequest,
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok(overrides)
}

fn read_overrides(query: &Query) -> Result<HeaderMap, Error> {
    let mut overrides = HeaderMap::new();
    for (parameter, header) in OVERRIDES {
        let Some(text) = query.get(parameter) else { continue };
        let refused = |words| Error::invalid_argument(parameter, text, words);
        let latin =
            latin_1(text).ok_or_else(|| refused("Header value cannot be represented using ISO-8859-1."))?;
        let value = HeaderValue::from_bytes(&latin)
            .map_err(|_| refused("The value has a control character, which no header can hold."))?;
        overrides.insert(header, value);
    }
    Ok(overrides)
}

/// A text in ISO-8859-1, which is what S3 sends these headers in.
fn latin_1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(character).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Code, OVERRIDES, Query, read_overrides};

    #[test]
    fn overrides_replace_headers_and_cannot_split_them() {
        let query = Query::parse("response-content-type=text%2Fplain&x=y").expect("a query");
        let overrides = read_overrides(&query).expect("headers");
        assert_eq!(overrides.get("content-type").map(http::HeaderValue::as_bytes), Some(&b"text/plain"[..]));
        let query = Query::parse("response-content-type=a%0D%0AX-Injected:b").expect("a query");
        assert!(read_overrides(&query).is_err());
    }

    #[test]
    fn overrides_are_sent_in_iso_8859_1_or_refused() {
        let of = |text: &str| Query::parse(&format!("response-content-disposition={text}")).expect("a query");
        let overrides = read_overrides(&of("a%C3%A9%C3%BF")).expect("headers");
        let sent = overrides.get("content-disposition").map(http::HeaderValue::as_bytes);
        assert_eq!(sent, Some(&b"a\xe9\xff"[..]));
        for text in ["%E2%80%93", "%E4%BB%93.txt", "%C4%80"] {
            for (parameter, _) in OVERRIDES {
                let query = Query::parse(&format!("{parameter}={text}")).expect("a query");
                let refused = read_overrides(&query).expect_err("it has no place in ISO-8859-1");
                assert_eq!(refused.code(), Code::InvalidArgument, "{parameter}: {text}");
                assert_eq!(refused.message(), "Header value cannot be represented using ISO-8859-1.");
            }
        }
    }
}
