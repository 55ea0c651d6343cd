//! What is said about addresses, decisions and lists.

use super::address::{Address, Known, ReadAs};
use super::{Explanation, explain};
use crate::archive;
use crate::fallback::{ClientKind, Fallback, ReadMethod, ReleaseConfig, Rule};
use crate::model::BucketName;
use crate::s3;

fn bucket(name: &str) -> BucketName {
    BucketName::parse(name).expect("a name")
}

fn trees() -> Vec<archive::Config> {
    let tree = |hosts: &[&str], path, names: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned());
        let buckets = names.iter().map(|name| bucket(name)).collect();
        archive::Config::new(hosts, path, buckets).expect("a tree")
    };
    vec![
        tree(&["ftp.example"], "/pub/", &["other", "stage"]),
        tree(&["maven.example"], "/maven2/", &["maven"]),
    ]
}

fn read(text: &str, within: Option<&str>) -> Result<Address, String> {
    let buckets = ["stage", "other", "maven"].map(bucket);
    let known = Known { buckets: &buckets, archive: &trees(), s3: &s3::Config::default() };
    Address::read(text, within.map(bucket).as_ref(), known).map_err(|failure| failure.to_string())
}

#[test]
fn every_kind_of_address_leads_to_bucket_and_key() {
    for (text, within, expected) in [
        ("pub/a b%20", Some("stage"), ("stage", "pub/a b%20", ReadAs::Key)),
        ("pub/a", None, ("other+stage", "pub/a", ReadAs::Key)),
        ("s3://stage/pub//a", None, ("stage", "pub//a", ReadAs::Object)),
        ("gs://stage/pub/a", None, ("stage", "pub/a", ReadAs::Object)),
        ("http://127.0.0.1:8000/stage/a%20b?x=y", None, ("stage", "a b", ReadAs::PathStyle)),
        ("http://stage.localhost:8000/pub/a", None, ("stage", "pub/a", ReadAs::VirtualHost)),
        ("https://stage.s3.eu-west-1.amazonaws.com/a", None, ("stage", "a", ReadAs::VirtualHost)),
        ("https://s3.eu-west-1.amazonaws.com/stage/a", None, ("stage", "a", ReadAs::PathStyle)),
        ("https://stage.storage.googleapis.com/a", None, ("stage", "a", ReadAs::VirtualHost)),
        ("https://storage.googleapis.com/stage/a/b", None, ("stage", "a/b", ReadAs::PathStyle)),
        (
            "http://localhost:8000/storage/v1/b/stage/o/pub%2Fa%2520?alt=media",
            None,
            ("stage", "pub/a%20", ReadAs::GcsJson),
        ),
        ("http://x/download/storage/v1/b/stage/o/a", None, ("stage", "a", ReadAs::GcsJson)),
        ("HTTPS://FTP.example/pub/a", None, ("other+stage", "pub/a", ReadAs::ArchivePath)),
        ("https://ftp.example/pub/a", Some("stage"), ("stage", "pub/a", ReadAs::ArchivePath)),
        ("http://127.0.0.1/pub/a", None, ("other+stage", "pub/a", ReadAs::ArchivePath)),
        ("https://maven.example/maven2/a", None, ("maven", "maven2/a", ReadAs::ArchivePath)),
    ] {
        let address = read(text, within).expect(text);
        let names = address.buckets.iter().map(BucketName::as_str).collect::<Vec<_>>().join("+");
        assert_eq!((names.as_str(), address.key.as_str(), address.read_as), expected, "{text}");
    }
}

#[test]
fn addresses_without_a_bucket_or_a_key_say_what_is_missing() {
    for (text, within, said) in [
        ("private/a", None, "--bucket"),
        ("s3://stage", None, "no key"),
        ("s3://STAGE/a", None, "not a bucket"),
        ("s3://stage/a", Some("other"), "leave --bucket out"),
        ("http://127.0.0.1/stage/%zz", None, "%zz"),
        ("https://ftp.example/pub/", None, "directory"),
        ("https://ftp.example/private/a", None, "no [[archive]]"),
        ("", None, "empty"),
    ] {
        let error = read(text, within).expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}

const RULES: &str = r#"
    [[fallback]]
    match = "pub/head/**"
    methods = ["HEAD"]
    mode = "deny"

    [[fallback]]
    match = "pub/sdk/**"
    clients = ["sdk"]
    mode = "cache"
    gcs = { bucket = "prod" }

    [[fallback]]
    match = "pub/signed/**"
    mode = "presign"
    probe = true
    list = "local"
    s3 = { bucket = "prod", region = "eu-west-1", access_key_id = "AKIDEXAMPLE", secret_access_key = "correct-horse" }

    [[fallback]]
    match = "pub/old/**"
    mode = "proxy"
    previous_only = true
    to = "https://a.example/"

    [[fallback]]
    match = "pub/**"
    mode = "auto"
    to = "https://archive.mozilla.org/"

    [[fallback]]
    match = "pub/firefox/**"
    mode = "deny"
"#;

fn fallback() -> Fallback {
    #[derive(serde::Deserialize)]
    struct Rules {
        fallback: Vec<Rule>,
    }
    let rules = toml::from_str::<Rules>(RULES).expect("rules").fallback;
    let release =
        toml::from_str::<ReleaseConfig>("under_test = [\"firefox-83.0-build1\"]").expect("releases");
    Fallback::new([(bucket("stage"), rules)], release, |_| None).expect("no key pairs needed")
}

fn told(address: &str, method: ReadMethod, client: ClientKind, look: impl Fn(&Explanation<'_>)) {
    let fallback = fallback();
    let address = read(address, Some("stage")).expect(address);
    look(&explain(&fallback, &address, method, client).expect("an explanation"));
}

#[test]
fn the_text_tells_release_rules_decision_address_and_listing() {
    told("pub/firefox/releases/82.0/a b", ReadMethod::Get, ClientKind::Plain, |explanation| {
        insta::assert_snapshot!(explanation.text(), @r#"
        GET "pub/firefox/releases/82.0/a b" in the bucket stage, by a plain client

        read as   a key
        release   firefox-82.0: older than what is under test (firefox-83.0-build1)
        rules     #1 pub/head/** (deny): its pattern does not match the key
                  #2 pub/sdk/** (cache https://storage.googleapis.com/prod/): its pattern does not match the key
                  #3 pub/signed/** (presign https://s3.eu-west-1.amazonaws.com/prod/): its pattern does not match the key
                  #4 pub/old/** (proxy https://a.example/): its pattern does not match the key
                > #5 pub/** (auto https://archive.mozilla.org/): it matches, and decides
                  #6 pub/firefox/** (deny): it matches, but #5 comes first
        decision  redirect: the client is sent there with 302
        address   https://archive.mozilla.org/pub/firefox/releases/82.0/a%20b
        listed    yes: if an imported index has it; https://archive.mozilla.org/ itself is not asked for lists

        An object that is here under this key, or the tombstone of one that was deleted here, comes first.
        "#);
    });
    told(
        "pub/firefox/candidates/83.0-candidates/build2/a",
        ReadMethod::Head,
        ClientKind::Sdk,
        |explanation| {
            insta::assert_snapshot!(explanation.text(), @r#"
        HEAD "pub/firefox/candidates/83.0-candidates/build2/a" in the bucket stage, by an SDK

        read as   a key
        release   firefox-83.0-build2: hidden, because firefox-83.0-build1 is under test
        rules     #1 pub/head/** (deny): its pattern does not match the key
                  #2 pub/sdk/** (cache https://storage.googleapis.com/prod/): its pattern does not match the key
                  #3 pub/signed/** (presign https://s3.eu-west-1.amazonaws.com/prod/): its pattern does not match the key
                  #4 pub/old/** (proxy https://a.example/): its pattern does not match the key
                  #5 pub/** (auto https://archive.mozilla.org/): it matches, but a release under test comes first
                  #6 pub/firefox/** (deny): it matches, but a release under test comes first
        decision  not found: firefox-83.0-build1 is under test, and the key belongs to it or to something newer
        listed    no: no rule merges it into listings

        An object that is here under this key, or the tombstone of one that was deleted here, comes first.
        "#);
        },
    );
}

#[test]
fn every_decision_has_its_words_and_its_address() {
    use {ClientKind as C, ReadMethod as M};
    for (key, method, client, outcome, rule, why, address) in [
        ("pub/head/a", M::Head, C::Sdk, "not found", Some(1), "#1 denies it", None),
        (
            "pub/head/a",
            M::Get,
            C::Sdk,
            "proxy",
            Some(5),
            "nothing is kept",
            Some("https://archive.mozilla.org/pub/head/a"),
        ),
        (
            "pub/sdk/a",
            M::Get,
            C::Sdk,
            "cache",
            Some(2),
            "and kept",
            Some("https://storage.googleapis.com/prod/pub/sdk/a"),
        ),
        (
            "pub/sdk/a",
            M::Get,
            C::Plain,
            "redirect",
            Some(5),
            "with 302",
            Some("https://archive.mozilla.org/pub/sdk/a"),
        ),
        (
            "pub/signed/a b",
            M::Get,
            C::Plain,
            "presign",
            Some(3),
            "signed for 3600 s; the signature is not shown; first https://s3.eu-west-1.amazonaws.com/prod/ is asked",
            Some("https://s3.eu-west-1.amazonaws.com/prod/pub/signed/a%20b"),
        ),
        ("pub/old/a", M::Get, C::Sdk, "not found", Some(4), "previous_only", None),
        ("pub/../a", M::Get, C::Sdk, "not found", Some(5), "segment", None),
        ("pub/firefox/releases/84.0/a", M::Get, C::Sdk, "not found", None, "under test", None),
        ("private/a", M::Get, C::Sdk, "not found", None, "no rule", None),
    ] {
        told(key, method, client, |explanation| {
            let decision = &explanation.decision;
            assert_eq!((decision.outcome, decision.rule), (outcome, rule), "{key}");
            assert!(decision.why.contains(why), "{key}: {}", decision.why);
            assert_eq!(decision.address.as_deref(), address, "{key}");
            let json = serde_json::to_string(explanation).expect("JSON");
            assert!(!json.contains("horse") && !explanation.text().contains("horse"), "{key}");
        });
    }
}

#[test]
fn it_says_whether_listings_show_the_key() {
    for (key, possible, why) in [
        ("pub/sdk/a", true, "if https://storage.googleapis.com/prod/ lists it"),
        ("pub/signed/a", false, "no rule"),
        ("pub/a", true, "if an imported index has it"),
        ("pub/firefox/releases/83.0/a", false, "no rule"),
        ("private/a", false, "no rule"),
    ] {
        told(key, ReadMethod::Get, ClientKind::Plain, |explanation| {
            assert_eq!(explanation.listed.possible, possible, "{key}");
            assert!(explanation.listed.why.contains(why), "{key}: {}", explanation.listed.why);
        });
    }
}

#[test]
fn a_bucket_without_rules_says_so() {
    let fallback = Fallback::default();
    let address = read("s3://stage/a", None).expect("an address");
    let explanation =
        explain(&fallback, &address, ReadMethod::Get, ClientKind::Plain).expect("an explanation");
    assert!(explanation.text().contains("the bucket stage has no fallback rules"), "{}", explanation.text());
    assert!(explanation.text().contains("rules     none"), "{}", explanation.text());
}
