//! Keys and targets that no client would send: control characters, broken escapes, dots, slashes.

use super::http::{exchange, get};
use super::{BUCKET, open_stage, serves_on};

#[test]
fn control_characters_in_a_key_stay_in_the_key() {
    let server = open_stage();
    let address = server.address();
    for escaped in ["a%00b", "%00", "a%0D%0Ab", "a%0D%0ALocation:%20x%0D%0A%0D%0Ab", "%7F", "a%09b", "%01"] {
        let target = format!("/{BUCKET}/{escaped}");
        let put =
            exchange(address, &format!("PUT {target} HTTP/1.1\r\n"), escaped.as_bytes()).expect("an answer");
        let got = get(address, &target);
        match put.status {
            200 => assert_eq!((got.status, got.text().as_str()), (200, escaped), "{escaped}"),
            400 => assert!(!put.code().is_empty() && got.status != 200, "{escaped}: {put:?} {got:?}"),
            _ => panic!("{escaped}: {put:?}"),
        }
        for answer in [put, got] {
            assert_eq!(answer.header("location"), None, "{escaped}");
        }
        let listed = get(address, &format!("/{BUCKET}?encoding-type=url&prefix={escaped}"));
        assert_eq!(listed.status, 200, "{escaped}: {listed:?}");
        serves_on(&server, escaped);
    }
}

#[test]
fn a_key_is_what_one_decoding_gives() {
    let server = open_stage();
    let address = server.address();
    let keys =
        ["a/../b", "a/./b", "../../etc/passwd", "%2e%2e/x", "a//b", "//", "a%2Fb", "a%252Fb", "a+b", "a%20b"];
    for escaped in keys {
        let target = format!("/{BUCKET}/{escaped}");
        let put =
            exchange(address, &format!("PUT {target} HTTP/1.1\r\n"), escaped.as_bytes()).expect("an answer");
        assert_eq!(put.status, 200, "{escaped}: {put:?}");
    }
    for (escaped, same) in
        [("%2E%2E/x", "%2e%2e/x"), ("../x", "%2e%2e/x"), ("a/b", "a%2Fb"), ("a%2B%62", "a+b")]
    {
        let got = get(address, &format!("/{BUCKET}/{escaped}"));
        assert_eq!((got.status, got.text().as_str()), (200, same), "{escaped}: {got:?}");
    }
    for escaped in ["b", "etc/passwd", "a%5Cb"] {
        assert_eq!(get(address, &format!("/{BUCKET}/{escaped}")).status, 404, "{escaped}");
    }
}

#[test]
fn targets_that_are_not_utf_8_or_badly_escaped_are_refused() {
    let server = open_stage();
    let address = server.address();
    for escaped in ["%ff", "%", "%zz", "%4", "a%C3", "%ED%A0%80", "%u0041"] {
        for method in ["GET", "PUT", "DELETE"] {
            let head = format!("{method} /{BUCKET}/{escaped} HTTP/1.1\r\n");
            let answer = exchange(address, &head, b"").expect("an answer");
            assert_eq!(answer.status, 400, "{method} {escaped}: {answer:?}");
        }
    }
    let listed = get(address, &format!("/{BUCKET}"));
    assert!(!listed.text().contains("<Key>"), "{listed:?}");
    serves_on(&server, "bad escapes");
}
