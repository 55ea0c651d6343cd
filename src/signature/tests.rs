//! The encodings, by table and by property.

use proptest::prelude::*;

use super::testing::Received;
use super::{Query, decode_path, encode_path};

#[test]
fn only_unreserved_characters_and_slashes_stay_in_paths() {
    for (decoded, expected) in [
        ("/b/AZaz09-._~", "/b/AZaz09-._~"),
        ("/b//x/../y/", "/b//x/../y/"),
        ("/b/a b", "/b/a%20b"),
        ("/b/&=@:,;'()!*+$?#%", "/b/%26%3D%40%3A%2C%3B%27%28%29%21%2A%2B%24%3F%23%25"),
        ("/b/é🦊\u{0}", "/b/%C3%A9%F0%9F%A6%8A%00"),
    ] {
        assert_eq!(encode_path(decoded.as_bytes()), expected);
    }
}

#[test]
fn paths_are_decoded_once_and_plus_is_itself_in_them() {
    for (raw, expected) in
        [("/a%2520b", "/a%20b"), ("/a+b", "/a+b"), ("/a%2Fb", "/a/b"), ("/a%zz%", "/a%zz%")]
    {
        assert_eq!(&*decode_path(raw), expected.as_bytes(), "{raw}");
    }
}

#[test]
fn both_spellings_of_a_path_decode_to_the_same_key() {
    for path in ["/b/a=b", "/b/a%2Fb", "/b/a%3db", "/b/é"] {
        let received = Received::new(&format!("GET {path}"), &[]);
        let spellings = received.as_signed().path_spellings();
        assert_eq!(spellings.len(), 2, "{path}");
        for spelling in spellings {
            assert_eq!(decode_path(&spelling), decode_path(path), "{spelling}");
        }
    }
    assert_eq!(Received::new("GET /b/plain", &[]).as_signed().path_spellings(), ["/b/plain"]);
}

#[test]
fn queries_are_read_the_way_forms_are() {
    let query = Query::parse("a=1&b=x+y%2Bz&&c&d=%FF&a=2&e==");
    for (name, expected) in
        [("a", Some("1")), ("b", Some("x y+z")), ("c", Some("")), ("d", None), ("e", Some("=")), ("f", None)]
    {
        assert_eq!(query.get(name), expected, "{name}");
    }
    assert!(query.contains("d") && !query.contains("f"));
}

#[test]
fn canonical_queries_are_sorted_after_encoding() {
    for (raw, expected) in [
        ("", ""),
        ("acl", "acl="),
        ("b=2&a=2&a=1", "a=1&a=2&b=2"),
        // `%5B` sorts before the letters, `[` after the upper-case ones.
        ("a=1&[=2&A=3", "%5B=2&A=3&a=1"),
        ("prefix=a/b c&x=+", "prefix=a%2Fb%20c&x=%20"),
        ("X-Amz-Signature=abc&z=1", "z=1"),
    ] {
        assert_eq!(Query::parse(raw).canonical("X-Amz-Signature"), expected, "{raw}");
    }
}

proptest! {
    #[test]
    fn encoding_a_path_and_decoding_it_gives_it_back(path in any::<Vec<u8>>()) {
        let encoded = encode_path(&path);
        prop_assert_eq!(&*decode_path(&encoded), path.as_slice());
        prop_assert!(encoded.is_ascii());
    }

    #[test]
    fn canonical_queries_stay_as_they_are(raw in "\\PC{0,40}") {
        let canonical = Query::parse(&raw).canonical("");
        prop_assert_eq!(Query::parse(&canonical).canonical(""), canonical);
    }
}
