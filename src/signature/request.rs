//! A request as the signing client's words reached us.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Query, decode_path, encode_path};

/// The `x-amz-…` parameters of a link that say how it is signed.
const OF_THE_SIGNATURE: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Exactly what was received: nothing decoded, nothing normalised.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path, raw: still percent-encoded, with its leading `/`.
    pub path: &'a str,
    /// The query, raw: without the `?`, empty if there is none.
    pub query: &'a str,
    /// All headers, `Host` among them.
    pub headers: &'a HeaderMap,
    /// The bucket that the host names, for virtual-host style: version 2 signs it as part of the
    /// resource.
    pub virtual_host_bucket: Option<&'a str>,
}

impl SignedRequest<'_> {
    /// The query, parsed.
    pub fn query(&self) -> Query {
        Query::parse(self.query)
    }

    /// The spellings of the path that the client may have signed, the likeliest first.
    ///
    /// Real clients re-encode a URL after signing it (yarl takes the escapes off `& = @ : , ;`), so
    /// the canonical spelling is tried besides the received one. Both decode to the same key, so
    /// no signature can stand for two keys.
    pub fn path_spellings(&self) -> Vec<String> {
        let canonical = encode_path(&decode_path(self.path));
        if canonical == self.path { vec![canonical] } else { vec![canonical, self.path.to_owned()] }
    }

    /// The `x-amz-…` headers that whoever made a link has moved into its query, as SDKs do: they
    /// count as if they had been sent. A header that was sent takes precedence.
    ///
    /// Only for links whose signature covers them, which both versions see to.
    pub fn headers_in_query(&self) -> HeaderMap {
        let mut moved = HeaderMap::new();
        for (name, value) in self.query().pairs() {
            let Ok(name) = HeaderName::from_bytes(name) else { continue };
            let Ok(value) = HeaderValue::from_bytes(value) else { continue };
            let is_header = name.as_str().starts_with("x-amz-") && !OF_THE_SIGNATURE.contains(&name.as_str());
            if is_header && !self.headers.contains_key(&name) {
                moved.append(name, value);
            }
        }
        moved
    }

    /// The value of a header that must not come twice; `None` if it is absent or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
