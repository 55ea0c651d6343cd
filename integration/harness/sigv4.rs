//! SigV4 by hand: a second opinion on the server's, and signatures of chunks that no client here
//! makes.

use std::net::SocketAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::server::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// The digest of nothing.
pub(crate) const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A signed request, and what the signatures of its chunks are made from.
pub(crate) struct Signed {
    /// Request line and headers, ended by `\r\n`; Content-Length and the blank line are not there.
    pub(crate) head: String,
    /// The signature of the head.
    pub(crate) signature: String,
    date: String,
    scope: String,
    key: Vec<u8>,
}

impl Signed {
    /// Signs a request as of now. `path` is escaped already; header names are in lower case.
    pub(crate) fn new(
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        payload: &str,
    ) -> Self {
        let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = &date[..8];
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let host = address.to_string();
        let mut all = vec![("host", &host[..]), ("x-amz-content-sha256", payload), ("x-amz-date", &date)];
        all.extend(headers);
        all.sort_unstable();
        let names = all.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = all.iter().flat_map(|(name, value)| [name, ":", value, "\n"]).collect();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}");
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let mut key = format!("AWS4{SECRET_ACCESS_KEY}").into_bytes();
        for step in [day, "us-east-1", "s3", "aws4_request"] {
            key = hmac(&key, step.as_bytes());
        }
        let signature = hex::encode(hmac(&key, to_sign.as_bytes()));
        let sent: String = all.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let head = format!(
            "{method} {path}{mark}{query} HTTP/1.1\r\n{sent}Authorization: AWS4-HMAC-SHA256 \
             Credential={ACCESS_KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}\r\n"
        );
        Self { head, signature, date, scope, key }
    }

    /// The signature of a chunk that follows one with the signature `before`.
    pub(crate) fn chunk(&self, before: &str, data: &[u8]) -> String {
        let parts =
            ["AWS4-HMAC-SHA256-PAYLOAD", &self.date, &self.scope, before, EMPTY_SHA256, &sha256(data)];
        hex::encode(hmac(&self.key, parts.join("\n").as_bytes()))
    }

    /// The signature of the trailers, each a line `name:value\n`.
    pub(crate) fn trailer(&self, before: &str, lines: &str) -> String {
        let parts = ["AWS4-HMAC-SHA256-TRAILER", &self.date, &self.scope, before, &sha256(lines.as_bytes())];
        hex::encode(hmac(&self.key, parts.join("\n").as_bytes()))
    }
}

/// The SHA-256 of bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}
