//! `Allow` of every 405: which other methods the resource has.
//!
//! RFC 9110 section 15.5.6: "The origin server MUST generate an Allow header field". A face says by its
//! own routing what else could be asked of the same address, so that the list cannot be forgotten or
//! grow stale. Faces with a fixed list (`archive`, `admin`, health) write it themselves.

use http::{HeaderValue, Method, StatusCode, header};

use super::request::Response;

/// Every method that some face knows.
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Adds `Allow` to a 405 that has none. `is_known` is asked about every method but the refused one.
///
/// # Panics
/// Never: names of methods are visible ASCII.
pub fn write(response: &mut Response, refused: &Method, is_known: impl Fn(&Method) -> bool) {
    let headers = response.headers();
    if response.status() != StatusCode::METHOD_NOT_ALLOWED || headers.contains_key(header::ALLOW) {
        return;
    }
    let known = METHODS.iter().filter(|method| *method != refused && is_known(method));
    let list = known.map(Method::as_str).collect::<Vec<_>>().join(", ");
    // RFC 9110 section 10.2.1: an empty list allows no method at all.
    let list = HeaderValue::try_from(list).expect("names of methods are visible ASCII");
    response.headers_mut().insert(header::ALLOW, list);
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode, header};

    use super::write;
    use crate::protocol::body::ResponseBody;
    use crate::protocol::request::Response;

    #[test]
    fn only_a_405_without_a_list_gets_one() {
        let answer = |status, allow: Option<&'static str>| {
            let mut answer = Response::new(ResponseBody::empty());
            *answer.status_mut() = status;
            answer.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow.parse().expect("a value"))));
            write(&mut answer, &Method::POST, |method| *method != Method::PATCH);
            let allow = answer.headers().get(header::ALLOW);
            allow.map(|value| value.to_str().expect("ASCII").to_owned())
        };
        let refused = StatusCode::METHOD_NOT_ALLOWED;
        assert_eq!(answer(refused, None).as_deref(), Some("GET, HEAD, PUT, DELETE"));
        assert_eq!(answer(refused, Some("GET")).as_deref(), Some("GET"));
        assert_eq!(answer(StatusCode::NOT_FOUND, None), None);
    }
}
