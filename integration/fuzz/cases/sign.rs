//! Credentials of each kind, put on a request as a client would: a second opinion on the server's.

use std::sync::OnceLock;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::percent_decode_str;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use understudy::gcs::{NewAccount, mint};
use understudy::model::Grant;
use understudy::signature::{encode_component, encode_path};

use super::stage::{ACCESS_KEY_ID, Door, NOW_SECONDS, SECRET_KEY, accounts, exchange};

/// The stage's time in the forms that signatures want.
const AMZ_DATE: &str = "20261120T212019Z";
const HTTP_DATE: &str = "Fri, 20 Nov 2026 21:20:19 GMT";
const EXPIRES: &str = "1795300000";
const SCOPE: &str = "20261120/us-east-1/s3/aws4_request";

/// The parameters that version 2 signs.
const V2_SIGNED: [&str; 24] = [
    "acl",
    "cors",
    "delete",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
];

/// How a request says who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// AWS signature version 4, in the header.
    V4Header,
    /// The same in the query.
    V4Query,
    /// AWS signature version 2, in the header.
    V2Header,
    /// The same in the query.
    V2Query,
    /// A token of a service account.
    Bearer,
    /// User and password, for the admin's door.
    Basic,
}

/// A request, taken apart as far as it takes to sign it.
struct Message<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    version: &'a str,
    /// Header lines as they stand, without their ends.
    lines: Vec<&'a str>,
    body: &'a [u8],
}

/// The request with a credential; `None` where it is none that could be signed.
pub(crate) fn signed(kind: Kind, request: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(request)?;
    let (query, header) = match kind {
        Kind::V4Header => v4_header(&message),
        Kind::V4Query => v4_query(&message),
        Kind::V2Header => v2_header(&message),
        Kind::V2Query => v2_query(&message),
        Kind::Bearer => (String::new(), format!("Authorization: Bearer {}\r\n", token())),
        Kind::Basic => {
            let pair = BASE64_STANDARD.encode(format!("{ACCESS_KEY_ID}:{SECRET_KEY}"));
            (String::new(), format!("Authorization: Basic {pair}\r\n"))
        }
    };
    Some(message.with(&query, &header))
}

impl<'a> Message<'a> {
    fn parse(request: &'a [u8]) -> Option<Self> {
        let end = request.windows(2).position(|pair| pair == b"\n\n" || pair == b"\n\r")?;
        let head = str::from_utf8(&request[..end]).ok()?;
        let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let blank = if request[end + 1] == b'\r' { 3 } else { 2 };
        let body = request.get(end + blank..).unwrap_or_default();
        Some(Self { method, path, query, version, lines: lines.collect(), body })
    }

    /// All values of the headers that are signed by their prefix, sorted: name in lower case, values.
    /// Version 4 folds blanks within a value, version 2 does not.
    fn headers(&self, wanted: impl Fn(&str) -> bool, folds: bool) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in self.lines.iter().filter_map(|line| line.split_once(':')) {
            let name = name.to_ascii_lowercase();
            let words = || value.split([' ', '\t']).filter(|word| !word.is_empty());
            let value = if folds { words().collect::<Vec<_>>().join(" ") } else { value.trim().to_owned() };
            if !wanted(&name) {
                continue;
            }
            match found.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => *values = format!("{values},{value}"),
                None => found.push((name, value)),
            }
        }
        found
    }

    fn first(&self, name: &str) -> String {
        self.headers(|found| found == name, true).pop().map_or_else(String::new, |(_, value)| value)
    }

    /// The parameters, decoded.
    fn pairs(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).collect();
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect()
    }

    fn canonical_path(&self) -> String {
        encode_path(&percent_decode_str(self.path).collect::<Vec<_>>())
    }

    fn with(&self, query: &str, header: &str) -> Vec<u8> {
        let Self { method, path, version, .. } = self;
        let parts = [self.query, query].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let mark = if parts.is_empty() { "" } else { "?" };
        let mut all = format!("{method} {path}{mark}{} {version}\r\n{header}", parts.join("&"));
        for line in &self.lines {
            all.extend([line, "\r\n"]);
        }
        let mut all = (all + "\r\n").into_bytes();
        all.extend_from_slice(self.body);
        all
    }
}

fn v4_header(message: &Message<'_>) -> (String, String) {
    let declared = message.first("x-amz-content-sha256");
    let payload = if declared.is_empty() { "UNSIGNED-PAYLOAD" } else { &declared };
    let mut headers = message.headers(|name| name == "host" || name.starts_with("x-amz-"), true);
    headers.retain(|(name, _)| !matches!(&**name, "x-amz-date" | "x-amz-content-sha256"));
    headers.push(("x-amz-date".to_owned(), AMZ_DATE.to_owned()));
    headers.push(("x-amz-content-sha256".to_owned(), payload.to_owned()));
    headers.sort();
    let (names, signature) = v4(message, &message.pairs(), &headers, payload);
    let mut added = format!(
        "x-amz-date: {AMZ_DATE}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/{SCOPE}, SignedHeaders={names}, Signature={signature}\r\n"
    );
    if declared.is_empty() {
        added += "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n";
    }
    (String::new(), added)
}

fn v4_query(message: &Message<'_>) -> (String, String) {
    let mut headers = message.headers(|name| name == "host" || name.starts_with("x-amz-"), true);
    headers.sort();
    let names = headers.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(";");
    let credential = format!("{ACCESS_KEY_ID}/{SCOPE}");
    let added = [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", AMZ_DATE),
        ("X-Amz-Expires", "3600"),
        ("X-Amz-SignedHeaders", &names),
    ];
    let mut pairs = message.pairs();
    pairs.extend(added.map(|(name, value)| (name.into(), value.into())));
    let (_, signature) = v4(message, &pairs, &headers, "UNSIGNED-PAYLOAD");
    let shown = added.map(|(name, value)| format!("{name}={}", encode_component(value.as_bytes())));
    (format!("{}&X-Amz-Signature={signature}", shown.join("&")), String::new())
}

/// The names of the signed headers, and the signature.
fn v4(
    message: &Message<'_>,
    pairs: &[(Vec<u8>, Vec<u8>)],
    headers: &[(String, String)],
    payload: &str,
) -> (String, String) {
    let mut query: Vec<_> =
        pairs.iter().map(|(name, value)| (encode_component(name), encode_component(value))).collect();
    query.sort();
    let query = query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let lines = lines_of(headers);
    let names = headers.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(";");
    let path = message.canonical_path();
    let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", message.method);
    let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{AMZ_DATE}\n{SCOPE}\n{digest}");
    let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
    for step in SCOPE.split('/') {
        key = hmac_sha256(&key, step.as_bytes());
    }
    (names, hex::encode(hmac_sha256(&key, to_sign.as_bytes())))
}

fn v2_header(message: &Message<'_>) -> (String, String) {
    let signature = v2(message, HTTP_DATE);
    (String::new(), format!("Date: {HTTP_DATE}\r\nAuthorization: AWS {ACCESS_KEY_ID}:{signature}\r\n"))
}

fn v2_query(message: &Message<'_>) -> (String, String) {
    let signature = encode_component(v2(message, EXPIRES).as_bytes());
    (format!("AWSAccessKeyId={ACCESS_KEY_ID}&Expires={EXPIRES}&Signature={signature}"), String::new())
}

fn v2(message: &Message<'_>, date: &str) -> String {
    let mut amz = message.headers(|name| name.starts_with("x-amz-"), false);
    amz.sort();
    let amz = lines_of(&amz);
    let mut signed: Vec<_> = message.pairs();
    signed.retain(|(name, _)| V2_SIGNED.iter().any(|known| known.as_bytes() == name));
    signed.sort();
    let shown = |(name, value): &(Vec<u8>, Vec<u8>)| {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        if value.is_empty() { name.into_owned() } else { format!("{name}={value}") }
    };
    let resources = signed.iter().map(shown).collect::<Vec<_>>().join("&");
    let mark = if resources.is_empty() { "" } else { "?" };
    let (md5, kind) = (message.first("content-md5"), message.first("content-type"));
    let path = message.canonical_path();
    let text = format!("{}\n{md5}\n{kind}\n{date}\n{amz}{path}{mark}{resources}", message.method);
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET_KEY.as_bytes()).expect("HMAC takes any key");
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

fn lines_of(headers: &[(String, String)]) -> String {
    headers.iter().flat_map(|(name, value)| [name, ":", value, "\n"]).collect()
}

fn hmac_sha256(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

/// The token that the stage gives for an assertion, as Google's libraries make it.
fn token() -> &'static str {
    static TOKEN: OnceLock<String> = OnceLock::new();
    TOKEN.get_or_init(|| {
        let new = NewAccount {
            name: "fuzz".to_owned(),
            grants: vec![Grant::all()],
            server_url: "http://localhost:8000".to_owned(),
        };
        let minted = mint(accounts(), &new).expect("a key");
        let key: Value = serde_json::from_str(&minted.key_file).expect("a key file is JSON");
        let form = format!(
            "grant_type={}&assertion={}",
            encode_component(b"urn:ietf:params:oauth:grant-type:jwt-bearer"),
            assertion(&key)
        );
        let request = format!(
            "POST /__gcs__/token HTTP/1.1\r\nHost: localhost:8000\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let answer = exchange_elsewhere(request.into_bytes());
        let text = String::from_utf8(answer).expect("a token is text");
        let (_, document) = text.split_once("\r\n\r\n").expect("an answer");
        let document: Value = serde_json::from_str(document).expect("JSON");
        document["access_token"].as_str().unwrap_or_else(|| panic!("no token: {document}")).to_owned()
    })
}

/// A stage of another thread answers: that of this one may be about to send a request.
fn exchange_elsewhere(request: Vec<u8>) -> Vec<u8> {
    std::thread::spawn(move || exchange(Door::Closed, &request)).join().expect("an answer")
}

fn assertion(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().expect("key files have it");
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": text("private_key_id") });
    let claims = json!({
        "iss": text("client_email"),
        "scope": "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/devstorage.full_control",
        "aud": text("token_uri"),
        "iat": NOW_SECONDS,
        "exp": NOW_SECONDS + 3600,
    });
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let pem = text("private_key");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(body).expect("base64")).expect("a key");
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("it signs");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
