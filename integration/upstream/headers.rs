//! Which headers cross the stage, in both directions, and that keys cannot become any.

use super::hostile::{File, Hostile, Seen};
use super::stage::{BUCKET, Face, PRODUCTION, get, path, read_with, rule, s3_place, send, stage, to};

/// What may go upstream, besides the client's range and conditions.
const OURS: [&str; 4] = ["host", "user-agent", "accept-encoding", "cdn-loop"];
/// What a client may have passed on.
const PASSED: [&str; 6] =
    ["range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"];

/// What an upstream with a key pair is sent by us.
const SIGNING: [&str; 4] = ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];

/// A client that tells everything it knows.
const INDISCREET: &str = "Cookie: session=client-secret\r\nX-Api-Key: client-secret\r\n\
    Referer: http://client-secret/\r\nUser-Agent: client-secret\r\n\
    X-Forwarded-For: 10.1.2.3\r\nForwarded: for=10.1.2.3\r\nProxy-Authorization: Basic client-secret\r\n\
    Accept: client/secret\r\nAccept-Language: de\r\nOrigin: http://client-secret\r\nDNT: 1\r\n\
    TE: trailers\r\n";

/// Fails for a request that could write, that tells of the client, or that asks for more than a key.
#[track_caller]
pub(crate) fn assert_clean(seen: &Seen, signed: bool) {
    assert!(matches!(&*seen.method, "GET" | "HEAD"), "{seen:?}");
    for (name, value) in &seen.headers {
        let name = name.to_ascii_lowercase();
        let known = OURS.contains(&&*name)
            || PASSED.contains(&&*name)
            || (name == "accept" && seen.path().ends_with('/'))
            || (signed && SIGNING.contains(&&*name));
        assert!(known, "{name}: {value} went upstream: {seen:?}");
    }
    let text = format!("{seen:?}");
    for secret in ["client-secret", "10.1.2.3", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI"] {
        assert!(!text.contains(secret), "{secret} went upstream: {seen:?}");
    }
    assert!(seen.lists() || !seen.target.contains('?'), "a query went upstream: {seen:?}");
    assert!(seen.header("user-agent").is_some_and(|agent| agent.starts_with("understudy/")), "{seen:?}");
    assert_eq!(seen.header("accept-encoding"), Some("identity"), "{seen:?}");
    assert!(seen.header("cdn-loop").is_some_and(|hops| hops.contains("understudy-")), "{seen:?}");
}

#[test]
fn upstream_never_learns_who_asks_nor_with_what_right() {
    for mode in ["auto", "proxy", "cache"] {
        let upstream = Hostile::start();
        let server = stage(&to(&upstream, mode));
        for (number, face) in Face::ALL.into_iter().enumerate() {
            for method in ["GET", "HEAD"] {
                if face == Face::Gcs && method == "HEAD" {
                    continue;
                }
                let key = format!("pub/{number}-{method}");
                upstream.put(&*key, File::new(*b"bytes"));
                let lines = format!("{INDISCREET}Range: bytes=0-1\r\n");
                // The credential of `Signed` covers its own headers, the others are beside it.
                let answer = read_with(&server, face, method, &key, &lines);
                assert!(matches!(answer.status, 200 | 206 | 302), "{mode} {face:?} {method}: {answer:?}");
            }
        }
        let query = "?token=client-secret&X-Goog-Api-Key=client-secret&response-content-type=text/x";
        let lines = "amz-sdk-request: 1\r\nX-Amz-Meta-Secret: client-secret\r\n";
        send(&server, "GET", &format!("{}{query}", path("pub/0-GET")), lines, b"");
        send(&server, "GET", &format!("/pub/1-GET{query}"), "", b"");
        let seen = upstream.take_seen();
        assert!(seen.len() > 3, "{mode}: {seen:?}");
        for seen in &seen {
            assert_clean(seen, false);
        }
    }
}

#[test]
fn an_upstream_with_keys_gets_our_signature_and_no_other() {
    let upstream = Hostile::with([(format!("{PRODUCTION}/pub/a"), b"bytes")]);
    let keys = ", access_key_id = \"AKIDPRODUCTION\", secret_access_key = \"production-secret\"";
    let rest = format!("mode = \"proxy\"\n{}", s3_place(&upstream, keys));
    let server = stage(&rule("**", &rest));
    for face in Face::ALL {
        let answer = read_with(&server, face, "GET", "pub/a", INDISCREET);
        assert_eq!((answer.status, answer.text().as_str()), (200, "bytes"), "{face:?}: {answer:?}");
    }
    let seen = upstream.take_seen();
    assert_eq!(seen.len(), Face::ALL.len(), "{seen:?}");
    for seen in &seen {
        assert_clean(seen, true);
        let signature = seen.header("authorization").unwrap_or_default();
        assert!(signature.contains("Credential=AKIDPRODUCTION/"), "{seen:?}");
        assert!(!format!("{seen:?}").contains("production-secret"), "{seen:?}");
    }
}

/// An answer with everything that a file may have, and with what is between two servers only.
#[test]
fn a_files_headers_come_through_and_a_connections_do_not() {
    let passes = [
        ("ETag", "\"eb5c1399a871211c7e7ed732d15e3a8b\""),
        ("Last-Modified", "Wed, 04 Nov 2020 10:00:00 GMT"),
        ("Content-Type", "application/x-xpinstall"),
        ("Cache-Control", "public, max-age=14400"),
        ("Content-Disposition", "attachment; filename=\"a.xpi\""),
        ("Content-Language", "de"),
        ("Content-Encoding", "gzip"),
        ("Expires", "Wed, 04 Nov 2099 10:00:00 GMT"),
        ("x-amz-meta-build", "20201104"),
    ];
    let stays = [
        ("Set-Cookie", "upstream=1"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=77"),
        ("Proxy-Authenticate", "Basic"),
        ("WWW-Authenticate", "Basic"),
        ("Trailer", "X-Trailer"),
        ("Upgrade", "h2c"),
        ("Strict-Transport-Security", "max-age=31536000"),
        ("Access-Control-Allow-Origin", "http://other"),
        ("Alt-Svc", "h3=\":443\""),
        ("Clear-Site-Data", "\"*\""),
        ("Refresh", "0; url=http://other/"),
        ("Location", "http://other/"),
        ("x-amz-request-id", "UPSTREAM"),
        ("x-amz-website-redirect-location", "http://other/"),
    ];
    let upstream = Hostile::start();
    let file = File::new(*b"0123456789").without("Accept-Ranges");
    let file = passes.iter().chain(&stays).fold(file, |file, (name, value)| file.header(name, value));
    upstream.put("pub/a", file);
    let server = stage(&to(&upstream, "proxy"));
    for face in [Face::Plain, Face::Sdk, Face::Signed, Face::Archive] {
        for method in ["GET", "HEAD"] {
            let answer = read_with(&server, face, method, "pub/a", "");
            assert_eq!(answer.status, 200, "{face:?} {method}: {answer:?}");
            // Plain paths tell nobody's own metadata, here as there.
            let told = passes.len() - usize::from(face == Face::Archive);
            for (name, value) in passes.into_iter().take(told) {
                assert_eq!(answer.header(name), Some(value), "{face:?} {method}: {name}");
            }
            for (name, value) in stays {
                let got = answer.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
                assert_ne!(got.map(|(_, got)| &**got), Some(value), "{face:?} {method}: {name} came through");
            }
            assert_eq!(answer.header("content-length"), Some("10"), "{face:?} {method}");
        }
    }
}

/// Keys with line ends, spaces, quotes and everything that an address could end with.
#[test]
fn a_key_cannot_become_a_header_a_host_or_a_query() {
    let keys = [
        "pub/a\r\nSet-Cookie: own=1\r\n\r\n<html>",
        "pub/a\nLocation: http://evil/",
        "pub/a?x=http://evil/#y",
        "pub//evil/@evil:80/",
        "pub/\\evil\\..\\x",
        "pub/é \"'<>",
        "@evil/x",
        ":80/x",
    ];
    for mode in ["redirect", "presign", "proxy", "cache"] {
        let upstream = Hostile::start();
        for key in keys {
            upstream.put(format!("{PRODUCTION}/{key}"), File::new(key.as_bytes()));
        }
        let pair = ", access_key_id = \"AKIDPRODUCTION\", secret_access_key = \"production-secret\"";
        let server = stage(&rule("**", &format!("mode = \"{mode}\"\n{}", s3_place(&upstream, pair))));
        for key in keys {
            let answer = get(&server, key);
            assert!(answer.header("set-cookie").is_none(), "{mode} {key:?}: {answer:?}");
            assert!(answer.headers.iter().all(|(_, value)| !value.contains(['\r', '\n'])), "{answer:?}");
            match answer.header("location") {
                Some(to) => {
                    assert!(
                        to.starts_with(&format!("{}{PRODUCTION}/", upstream.url())),
                        "{mode} {key:?}: {to}"
                    );
                    let path = to.split('?').next().unwrap_or_default();
                    assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{mode} {key:?}: {to}");
                    assert!(!path.contains(['#', '@', '\\']), "{mode} {key:?}: {to}");
                }
                None => assert_eq!((answer.status, answer.text().as_str()), (200, key), "{mode}: {answer:?}"),
            }
        }
        for seen in upstream.take_seen() {
            assert_clean(&seen, true);
            let key = seen.path();
            let key = key.strip_prefix(&format!("{PRODUCTION}/")).unwrap_or_default().to_owned();
            assert!(keys.contains(&&*key), "{mode}: {seen:?}");
        }
    }
}

/// No address can name them, so nothing is asked and nobody is sent anywhere.
#[test]
fn keys_with_dot_segments_do_not_exist_upstream() {
    let upstream = Hostile::with([("secret", b"outside the prefix")]);
    for mode in ["auto", "redirect", "proxy", "cache"] {
        let rest = format!("mode = \"{mode}\"\nto = \"{}pub/\"", upstream.url());
        let server = stage(&rule("**", &rest));
        for key in ["%2e%2e/secret", "a/%2E%2E/%2e%2e/secret", "..%2fsecret", "./a"] {
            for line in ["", "amz-sdk-request: 1\r\n"] {
                let answer = send(&server, "GET", &format!("/{BUCKET}/{key}"), line, b"");
                assert_eq!(
                    (answer.status, answer.header("location")),
                    (404, None),
                    "{mode} {key}: {answer:?}"
                );
            }
        }
        upstream.assert_not_asked(mode);
    }
}
