//! Decisions over whole sets of rules, and what is said of rules that do not read.

use super::{Below, ClientKind, Decision, Fallback, MOZILLA, Mode, ReadMethod, ReleaseConfig, Rule, Target};
use crate::model::{BucketName, ObjectKey, Timestamp};

fn bucket() -> BucketName {
    BucketName::parse("stage").expect("a name")
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

#[derive(serde::Deserialize)]
struct Rules {
    #[serde(default)]
    fallback: Vec<Rule>,
}

fn rules(text: &str) -> Result<Vec<Rule>, toml::de::Error> {
    toml::from_str::<Rules>(text).map(|rules| rules.fallback)
}

fn rule(body: &str) -> Result<Rule, toml::de::Error> {
    toml::from_str(body)
}

fn fallback(text: &str, under_test: &[&str]) -> Fallback {
    let release = toml::from_str::<ReleaseConfig>(&format!("under_test = {under_test:?}")).expect("releases");
    let environment = |name: &str| match name {
        "PROD_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
        "PROD_SECRET_ACCESS_KEY" => Some("correct-horse".to_owned()),
        _ => None,
    };
    Fallback::new([(bucket(), rules(text).expect("rules"))], release, environment).expect("key pairs")
}

/// A decision in a few words.
fn told(decision: &Decision<'_>) -> String {
    match decision {
        Decision::NoRule => "no rule".to_owned(),
        Decision::UnderTest { release } => format!("under test: {release}"),
        Decision::Deny { rule } => format!("deny by {rule}"),
        Decision::NotMappable { rule } => format!("not mappable by {rule}"),
        Decision::NotPrevious { rule } => format!("not previous by {rule}"),
        Decision::Fetch(fetch) => format!("fetch from {} by {}", fetch.upstream.name(), fetch.rule),
        Decision::Redirect(redirect) => {
            let location = redirect.location(Timestamp::from_ms(0)).expect("an address");
            format!("{} {location} by {}", redirect.status.as_u16(), redirect.rule)
        }
    }
}

const RULES: &str = r#"
    [[fallback]]
    match = "pub/**/private/**"
    mode = "deny"

    [[fallback]]
    match = "pub/head/**"
    methods = ["HEAD"]
    mode = "redirect"
    to = "https://head.example"

    [[fallback]]
    match = "pub/**"
    mode = "redirect"
    to = "https://archive.mozilla.org/"
    status = 307

    [[fallback]]
    match = "pub/never/**"
    mode = "deny"
"#;

#[test]
fn the_first_rule_that_matches_decides() {
    let fallback = fallback(RULES, &["firefox-83.0-build1"]);
    for (method, text, expected) in [
        (ReadMethod::Get, "pub/a b", "307 https://archive.mozilla.org/pub/a%20b by #3 pub/**"),
        (ReadMethod::Head, "pub/a", "307 https://archive.mozilla.org/pub/a by #3 pub/**"),
        (ReadMethod::Get, "pub/x/private/a", "deny by #1 pub/**/private/**"),
        (ReadMethod::Head, "pub/head/a", "302 https://head.example/pub/head/a by #2 pub/head/**"),
        (ReadMethod::Get, "pub/head/a", "307 https://archive.mozilla.org/pub/head/a by #3 pub/**"),
        (ReadMethod::Get, "pub/never/a", "307 https://archive.mozilla.org/pub/never/a by #3 pub/**"),
        (ReadMethod::Get, "other/a", "no rule"),
        (ReadMethod::Get, "pub/../../a", "not mappable by #3 pub/**"),
        (ReadMethod::Get, "pub/firefox/releases/83.0/a", "under test: firefox-83.0-build1"),
        (ReadMethod::Head, "pub/firefox/releases/84.0/private/a", "under test: firefox-83.0-build1"),
        (
            ReadMethod::Get,
            "pub/firefox/releases/82.0/a",
            "307 https://archive.mozilla.org/pub/firefox/releases/82.0/a by #3 pub/**",
        ),
    ] {
        let key = key(text);
        assert_eq!(
            told(&fallback.decide(&bucket(), &key, method, ClientKind::Plain)),
            expected,
            "{method:?} {text}"
        );
    }
}

#[test]
fn a_bucket_without_rules_has_no_upstream() {
    let other = BucketName::parse("other").expect("a name");
    let fallback = fallback(RULES, &["firefox-83.0-build1"]);
    let key = key("pub/firefox/releases/83.0/a");
    assert_eq!(fallback.decide(&other, &key, ReadMethod::Get, ClientKind::Plain), Decision::NoRule);
    assert!(!fallback.covers(&other, &key));
}

#[test]
fn a_key_needs_a_tombstone_where_a_rule_could_answer_it() {
    let fallback = fallback(RULES, &["firefox-83.0-build1"]);
    for (text, expected) in [
        ("pub/a", true),
        ("pub/head/a", true),
        ("pub/x/private/a", false),
        ("other/a", false),
        // Hidden today, but perhaps not when the next release is under test.
        ("pub/firefox/releases/83.0/a", true),
    ] {
        assert_eq!(fallback.covers(&bucket(), &key(text)), expected, "{text}");
    }
}

#[test]
fn presigned_addresses_are_signed_for_the_upstream_and_expire() {
    let text = r#"
        [[fallback]]
        match = "**"
        mode = "presign"
        expires = "15m"
        s3 = { bucket = "prod", region = "eu-central-1", endpoint = "https://s3.example", credentials = "PROD" }
    "#;
    let fallback = fallback(text, &[]);
    let key = key("pub/a b+c");
    let Decision::Redirect(redirect) = fallback.decide(&bucket(), &key, ReadMethod::Get, ClientKind::Plain)
    else {
        panic!("no redirect");
    };
    let location = redirect.location(Timestamp::from_seconds(1_700_000_000)).expect("a link");
    assert!(location.starts_with("https://s3.example/prod/pub/a%20b%2Bc?"), "{location}");
    for part in [
        "X-Amz-Expires=900",
        "X-Amz-Credential=AKIDEXAMPLE%2F20231114%2Feu-central-1%2Fs3",
        "X-Amz-Signature=",
    ] {
        assert!(location.contains(part), "{part} is not in {location}");
    }
    assert!(!location.contains("horse"));
    assert!(matches!(redirect.target, Target::Presigned { .. }));
    let Decision::Redirect(head) = fallback.decide(&bucket(), &key, ReadMethod::Head, ClientKind::Plain)
    else {
        panic!("no redirect");
    };
    assert_ne!(head.location(Timestamp::from_seconds(1_700_000_000)).expect("a link"), location);
    let up = self::key("pub/../x");
    assert!(matches!(
        fallback.decide(&bucket(), &up, ReadMethod::Get, ClientKind::Plain),
        Decision::NotMappable { .. }
    ));
}

const EVERY_MODE: &str = r#"
    [[fallback]]
    match = "pub/auto/**"
    mode = "auto"
    to = "https://a.example/"
    probe = true

    [[fallback]]
    match = "pub/keys/**"
    mode = "auto"
    s3 = { bucket = "prod", region = "us-east-1", endpoint = "https://s3.example", credentials = "PROD" }

    [[fallback]]
    match = "pub/proxy/**"
    mode = "proxy"
    gcs = { bucket = "prod" }
    list = "local"

    [[fallback]]
    match = "pub/sdk/**"
    clients = ["sdk"]
    mode = "cache"
    to = "https://a.example/"

    [[fallback]]
    match = "pub/sdk/plain/**"
    clients = ["plain"]
    mode = "redirect"
    s3 = { bucket = "prod", region = "us-east-1", endpoint = "https://s3.example", credentials = "PROD" }
    list = "index"

    [[fallback]]
    match = "pub/firefox/**"
    mode = "redirect"
    previous_only = true
    to = "https://a.example/"

    [[fallback]]
    match = "pub/head/**"
    methods = ["HEAD"]
    mode = "proxy"
    to = "https://a.example/"
"#;

#[test]
fn every_mode_has_its_decision_for_each_client() {
    let fallback = fallback(EVERY_MODE, &["firefox-83.0-build1"]);
    for (text, plain, sdk) in [
        (
            "pub/auto/a",
            "302 https://a.example/pub/auto/a by #1 pub/auto/**",
            "fetch from https://a.example/ by #1 pub/auto/**",
        ),
        (
            "pub/proxy/a",
            "fetch from https://storage.googleapis.com/prod/ by #3 pub/proxy/**",
            "fetch from https://storage.googleapis.com/prod/ by #3 pub/proxy/**",
        ),
        ("pub/proxy/../a", "not mappable by #3 pub/proxy/**", "not mappable by #3 pub/proxy/**"),
        ("pub/sdk/a", "no rule", "fetch from https://a.example/ by #4 pub/sdk/**"),
        (
            "pub/sdk/plain/a",
            "302 https://s3.example/prod/pub/sdk/plain/a by #5 pub/sdk/plain/**",
            "fetch from https://a.example/ by #4 pub/sdk/**",
        ),
        (
            "pub/firefox/releases/82.0/a",
            "302 https://a.example/pub/firefox/releases/82.0/a by #6 pub/firefox/**",
            "302 https://a.example/pub/firefox/releases/82.0/a by #6 pub/firefox/**",
        ),
        (
            "pub/firefox/nightly/latest/a",
            "not previous by #6 pub/firefox/**",
            "not previous by #6 pub/firefox/**",
        ),
        ("pub/firefox/releases/83.0/a", "under test: firefox-83.0-build1", "under test: firefox-83.0-build1"),
        ("pub/head/a", "no rule", "no rule"),
    ] {
        let key = key(text);
        for (client, expected) in [(ClientKind::Plain, plain), (ClientKind::Sdk, sdk)] {
            let decision = fallback.decide(&bucket(), &key, ReadMethod::Get, client);
            assert_eq!(told(&decision), expected, "{client:?} {text}");
        }
    }
    let decide = |text: &str, client| {
        let key = key(text);
        match fallback.decide(&bucket(), &key, ReadMethod::Get, client) {
            Decision::Fetch(fetch) => (Some(fetch.keep), false, false),
            Decision::Redirect(redirect) => {
                (None, redirect.probe.is_some(), matches!(redirect.target, Target::Presigned { .. }))
            }
            Decision::NoRule
            | Decision::UnderTest { .. }
            | Decision::Deny { .. }
            | Decision::NotMappable { .. }
            | Decision::NotPrevious { .. } => panic!("{text} is not found"),
        }
    };
    assert_eq!(decide("pub/auto/a", ClientKind::Plain), (None, true, false));
    assert_eq!(decide("pub/auto/a", ClientKind::Sdk), (Some(false), false, false));
    assert_eq!(decide("pub/sdk/a", ClientKind::Sdk), (Some(true), false, false));
    // A bucket that takes a key pair is not open: an unsigned address would be refused.
    assert_eq!(decide("pub/keys/a", ClientKind::Plain), (None, false, true));
    assert_eq!(decide("pub/keys/a", ClientKind::Sdk), (Some(false), false, false));
}

#[test]
fn the_server_itself_reads_what_a_client_could_read() {
    let fallback = fallback(EVERY_MODE, &["firefox-83.0-build1"]);
    for (text, expected) in [
        ("pub/auto/a", Some(("https://a.example/", false))),
        ("pub/sdk/a", Some(("https://a.example/", true))),
        ("pub/sdk/plain/a", Some(("https://a.example/", true))),
        ("pub/firefox/releases/82.0/a", Some(("https://a.example/", false))),
        ("pub/firefox/releases/83.0/a", None),
        ("pub/firefox/nightly/latest/a", None),
        ("pub/proxy/../a", None),
        ("pub/head/a", None),
        ("other", None),
    ] {
        let key = key(text);
        let source = fallback.source(&bucket(), &key);
        let source = source.map(|fetch| (fetch.upstream.name(), fetch.keep));
        assert_eq!(source.as_ref().map(|(name, keep)| (name.as_str(), *keep)), expected, "{text}");
    }
}

#[test]
fn equal_upstreams_are_one_and_are_listed_once() {
    let fallback = fallback(EVERY_MODE, &["firefox-83.0-build1"]);
    let listings = fallback.listings(&bucket());
    let told: Vec<_> = listings.iter().map(|listing| (listing.upstream.name(), listing.live)).collect();
    let expected = [("https://a.example/".to_owned(), false), ("https://s3.example/prod/".to_owned(), true)];
    assert_eq!(told, expected);
    let rules = fallback.rules(&bucket());
    let [first, fourth] = [0, 3].map(|index| rules[index].upstream().expect("an upstream"));
    assert!(std::sync::Arc::ptr_eq(first, fourth));
    assert!(fallback.lists(&bucket(), "pub/auto/a", first));
    assert!(!fallback.lists(&bucket(), "pub/keys/a", first));
    assert!(!fallback.lists(&bucket(), "pub/proxy/a", rules[2].upstream().expect("an upstream")));
    assert!(!fallback.lists(&bucket(), "pub/firefox/releases/83.0/a", first));
}

#[test]
fn previous_only_needs_a_release_under_test() {
    let text = "[[fallback]]\nmatch = \"pub/**\"\nmode = \"proxy\"\nprevious_only = true\nto = \"https://a.example/\"";
    let refused =
        Fallback::new([(bucket(), rules(text).expect("rules"))], ReleaseConfig::default(), |_| None);
    let error = refused.expect_err("nothing is under test").to_string();
    for part in ["pub/**", "stage", "release.under_test"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

#[test]
fn a_prefix_is_shown_hidden_or_neither() {
    let text = r#"
        [[fallback]]
        match = "pub/*/private/**"
        mode = "deny"

        [[fallback]]
        match = "pub/**"
        mode = "proxy"
        s3 = { bucket = "prod", region = "us-east-1" }

        [[fallback]]
        match = "old/**"
        mode = "proxy"
        list = "local"
        s3 = { bucket = "prod", region = "us-east-1" }
    "#;
    let fallback = fallback(text, &["firefox-83.0b3-build2"]);
    let listings = fallback.listings(&bucket());
    let [listing] = listings.as_slice() else { panic!("one upstream") };
    for (prefix, expected) in [
        ("", Below::Mixed),
        ("pub/", Below::Mixed),
        ("pub/thunderbird/", Below::Mixed),
        ("pub/thunderbird/releases/", Below::Shown),
        ("pub/thunderbird/private/", Below::Hidden),
        ("pub/firefox/releases/", Below::Mixed),
        ("pub/firefox/releases/82.0/", Below::Shown),
        ("pub/firefox/releases/83.0/", Below::Hidden),
        ("pub/firefox/candidates/83.0b3-candidates/", Below::Mixed),
        ("pub/firefox/candidates/83.0b3-candidates/build1/", Below::Shown),
        ("pub/firefox/candidates/83.0b3-candidates/build2/", Below::Hidden),
        ("pub/firefox/candidates/83.0b4-candidates/", Below::Hidden),
        ("pub/firefox/nightly/", Below::Shown),
        ("old/", Below::Hidden),
        ("elsewhere/", Below::Hidden),
    ] {
        assert_eq!(fallback.below(&bucket(), prefix, listing.upstream), expected, "{prefix}");
    }
}

mod soundness {
    //! What `below` says of a prefix against what `lists` says of keys below it.

    use std::fmt::Write as _;

    use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
    use proptest::sample::select;

    use super::{Below, bucket, fallback};

    /// Few names, so that random rules, prefixes and keys meet.
    const SEGMENTS: [&str; 16] = [
        "pub",
        "firefox",
        "fenix",
        "mozilla.org",
        "candidates",
        "releases",
        "partners",
        "nightly",
        "83.0b3-candidates",
        "83.0",
        "82.0",
        "84.0b1",
        "build1",
        "build2",
        "",
        "x",
    ];

    fn pattern() -> impl Strategy<Value = String> {
        let wild = select(vec![
            "*",
            "**",
            "**",
            "**",
            "**a",
            "x*",
            "?",
            "[.-0]",
            "[!x]",
            "{firefox,x/y}",
            "{a,**}",
            "\\x",
            "fire*",
            "{,pub/**}",
        ]);
        let segment = prop_oneof![3 => select(SEGMENTS.to_vec()), 2 => wild];
        proptest::collection::vec(segment, 1..5).prop_map(|segments| segments.join("/"))
    }

    fn path(segments: usize) -> impl Strategy<Value = String> {
        let tree = prop_oneof![
            Just(""),
            Just("pub/"),
            Just("pub/firefox/releases/"),
            Just("pub/firefox/candidates/")
        ];
        let rest = proptest::collection::vec(select(SEGMENTS.to_vec()), 0..segments);
        (tree, rest).prop_map(|(tree, rest)| format!("{tree}{}", rest.join("/")))
    }

    fn rules() -> impl Strategy<Value = String> {
        let clients =
            select(vec!["", "clients = [\"plain\"]\n", "clients = [\"sdk\"]\n", "methods = [\"HEAD\"]\n"]);
        let action = select(vec![
            "mode = \"deny\"\n",
            "mode = \"proxy\"\ngcs = { bucket = \"prod\" }\n",
            "mode = \"proxy\"\ngcs = { bucket = \"prod\" }\n",
            "mode = \"proxy\"\ngcs = { bucket = \"prod\" }\nprevious_only = true\n",
            "mode = \"proxy\"\ngcs = { bucket = \"prod\" }\nlist = \"local\"\n",
            "mode = \"redirect\"\nto = \"https://a.example/\"\n",
        ]);
        proptest::collection::vec((pattern(), clients, action), 1..5).prop_map(|rules| {
            let mut text = String::new();
            for (pattern, clients, action) in rules.iter().filter(|(pattern, ..)| !pattern.is_empty()) {
                let _infallible = write!(text, "[[fallback]]\nmatch = '{pattern}'\n{clients}{action}");
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
        #[test]
        fn what_is_certain_of_a_prefix_is_true_of_every_key_below(
            rules in rules(),
            several in any::<bool>(),
            prefix in path(4),
            rests in proptest::collection::vec(path(4), 1..20),
        ) {
            let under_test: &[&str] = if several { &["firefox-83.0b3-build2", "firefox-82.0-build1"] } else { &["firefox-83.0-build1"] };
            let fallback = fallback(&rules, under_test);
            for listing in fallback.listings(&bucket()) {
                let below = fallback.below(&bucket(), &prefix, listing.upstream);
                for rest in &rests {
                    let key = format!("{prefix}{rest}");
                    let listed = fallback.lists(&bucket(), &key, listing.upstream);
                    match below {
                        Below::Shown => assert!(listed, "{key:?} is hidden, but all below {prefix:?} is shown\n{rules}"),
                        Below::Hidden => assert!(!listed, "{key:?} is shown, but all below {prefix:?} is hidden\n{rules}"),
                        Below::Mixed => {}
                    }
                }
            }
        }
    }
}

#[test]
fn credentials_that_are_not_in_the_environment_are_an_error_with_their_names() {
    let text = r#"
        [[fallback]]
        match = "pub/**"
        mode = "presign"
        s3 = { bucket = "prod", region = "eu-central-1", credentials = "OTHER" }
    "#;
    let error = Fallback::new([(bucket(), rules(text).expect("rules"))], ReleaseConfig::default(), |_| None)
        .expect_err("nothing is set");
    assert!(error.to_string().contains("OTHER_ACCESS_KEY_ID"), "{error}");
    assert!(error.to_string().contains("pub/**"), "{error}");
}

#[test]
fn rules_say_what_is_wrong_with_them() {
    const TO: &str = "to = \"https://a.example/\"\n";
    const S3: &str = "s3 = { bucket = \"prod\", region = \"us-east-1\", credentials = \"PROD\" }\n";
    const OPEN: &str = "s3 = { bucket = \"prod\", region = \"us-east-1\" }\n";
    const GCS: &str = "gcs = { bucket = \"prod\" }\n";
    for (body, said) in [
        ("mode = \"redirect\"\n".to_owned(), "needs `to`"),
        ("mode = \"auto\"\n".to_owned(), "or a bucket: `s3` or `gcs`"),
        ("mode = \"presign\"\n".to_owned() + TO, "needs `s3` or `gcs` with a key pair"),
        ("mode = \"presign\"\n".to_owned(), "needs `s3` or `gcs`"),
        ("mode = \"presign\"\n".to_owned() + OPEN, "with a key pair"),
        ("mode = \"presign\"\n".to_owned() + GCS, "with a key pair"),
        ("mode = \"proxy\"\n".to_owned() + TO + GCS, "both `to` and `gcs`"),
        ("mode = \"proxy\"\n".to_owned() + S3 + GCS, "both `s3` and `gcs`"),
        ("mode = \"proxy\"\n".to_owned() + S3 + GCS + TO, "`to`, `s3` and `gcs`"),
        ("mode = \"proxy\"\nstatus = 302\n".to_owned() + TO, "sends none: leave it out"),
        ("mode = \"cache\"\nstatus = 302\n".to_owned() + TO, "sends none: leave it out"),
        ("mode = \"auto\"\nexpires = \"1h\"\n".to_owned() + TO, "`expires` is about signed addresses"),
        ("mode = \"redirect\"\nexpires = \"1h\"\n".to_owned() + S3, "`expires` is about signed addresses"),
        ("mode = \"proxy\"\nhosts = [\"https://cdn.example\"]\n".to_owned() + TO, "is not a host"),
        ("mode = \"proxy\"\nclients = []\n".to_owned() + TO, "`clients` is empty"),
        ("mode = \"proxy\"\nclients = [\"curl\"]\n".to_owned() + TO, "curl"),
        ("mode = \"deny\"\nprevious_only = true\n".to_owned(), "put it on the rule that answers"),
        ("mode = \"presign\"\n".to_owned() + S3 + TO, "both `to` and `s3`"),
        ("mode = \"presign\"\nexpires = \"8d\"\n".to_owned() + S3, "1s to 7 days"),
        ("mode = \"presign\"\nexpires = \"-1h\"\n".to_owned() + S3, "1s to 7 days"),
        ("mode = \"presign\"\nexpires = \"soon\"\n".to_owned() + S3, "1s to 7 days"),
        ("mode = \"redirect\"\nstatus = 301\n".to_owned() + TO, "write 302 or 307"),
        ("mode = \"redirect\"\nmethods = []\n".to_owned() + TO, "`methods` is empty"),
        ("mode = \"redirect\"\nmethods = [\"PUT\"]\n".to_owned() + TO, "PUT"),
        ("mode = \"redirect\"\nlist = \"all\"\n".to_owned() + TO, "write \"merge\", \"index\" or \"local\""),
        ("mode = \"tunnel\"\n".to_owned() + TO, "\"proxy\", \"cache\" or \"deny\""),
        ("mode = \"redirect\"\nto = \"https://a.example/x\"\n".to_owned(), "must end in '/'"),
        ("mode = \"redirect\"\nttl = 3\n".to_owned() + TO, "ttl"),
        (TO.to_owned(), "mode"),
    ] {
        let error = rule(&format!("match = \"pub/**\"\n{body}")).expect_err(&body).to_string();
        assert!(error.contains(said), "{body}: {error}");
    }
    for pattern in ["", "pub/[", "pub/{a"] {
        let error = rule(&format!("match = {pattern:?}\nmode = \"deny\"")).expect_err(pattern).to_string();
        assert!(error.contains("match"), "{error}");
    }
}

#[test]
fn settings_that_say_what_holds_anyway_are_taken() {
    let text = "match = \"pub/**\"\nmode = \"redirect\"\nto = \"https://a.example/\"\nlist = \"local\"\nprobe = false";
    assert_eq!(rule(text).expect("a rule").mode(), Mode::Redirect);
    let denied = "match = \"pub/**\"\nmode = \"deny\"\nto = \"https://a.example/\"";
    assert_eq!(rule(denied).expect("a rule").mode(), Mode::Deny);
}

#[test]
fn a_rule_that_is_shown_reads_back_as_itself() {
    for text in [
        "match = \"pub/**\"\nmode = \"redirect\"\nto = \"https://a.example/b/\"\nstatus = 307\nmethods = [\"HEAD\"]",
        "match = \"pub/**\"\nmode = \"deny\"",
        "match = \"a\"\nmode = \"auto\"\nto = \"https://a.example/\"\nclients = [\"sdk\"]\nprevious_only = true\nprobe = true",
        "match = \"a\"\nmode = \"auto\"\nexpires = \"5m\"\ns3 = { bucket = \"prod\", region = \"us-east-1\", credentials = \"PROD\" }",
        "match = \"a\"\nmode = \"cache\"\nlist = \"index\"\nhosts = [\"*.b.example\", \"a.example\"]\ns3 = { bucket = \"prod\", region = \"us-east-1\" }",
        "match = \"a\"\nmode = \"proxy\"\nlist = \"local\"\ngcs = { bucket = \"prod\" }",
        "match = \"a\"\nmode = \"presign\"\nexpires = \"2h\"\ns3 = { bucket = \"prod\", region = \"us-east-1\", credentials = \"PROD\" }",
    ] {
        let shown = toml::to_string(&rule(text).expect("a rule")).expect("TOML");
        let again = toml::to_string(&rule(&shown).expect("a rule")).expect("TOML");
        assert_eq!(again, shown, "{text}");
    }
}

#[test]
fn the_mozilla_preset_sends_previous_releases_to_production() {
    #[derive(serde::Deserialize)]
    struct Preset {
        bucket: Vec<Bucket>,
        release: ReleaseConfig,
    }
    #[derive(serde::Deserialize)]
    struct Bucket {
        name: BucketName,
        #[serde(default)]
        fallback: Vec<Rule>,
    }
    let preset: Preset = toml::from_str(MOZILLA).expect("the preset reads");
    let buckets = preset.bucket.into_iter().map(|bucket| (bucket.name, bucket.fallback));
    let fallback = Fallback::new(buckets, preset.release, |_| None).expect("no key pairs needed");
    for (bucket, text, expected) in [
        (
            "net-mozaws-stage-delivery-firefox",
            "pub/firefox/releases/82.0/win64/de/Firefox Setup 82.0.exe",
            "302 https://archive.mozilla.org/pub/firefox/releases/82.0/win64/de/Firefox%20Setup%2082.0.exe by #1 pub/**",
        ),
        (
            "moz-fx-productdelivery-no-7d6a-productdelivery",
            "pub/firefox/candidates/82.0-candidates/build1/linux-x86_64_info.txt",
            "302 https://archive.mozilla.org/pub/firefox/candidates/82.0-candidates/build1/linux-x86_64_info.txt by #1 pub/**",
        ),
        (
            "maven-default-s3-upload-bucket-13gy5ufwa3qv",
            "maven2/org/mozilla/a/1/a-1.pom",
            "302 https://maven.mozilla.org/maven2/org/mozilla/a/1/a-1.pom by #1 maven2/**",
        ),
        ("mozilla-releng-dep-partner", "pub/firefox/releases/82.0/a", "no rule"),
        ("net-mozaws-stage-delivery-archive", "private/a", "no rule"),
    ] {
        let bucket = BucketName::parse(bucket).expect("a name");
        let key = key(text);
        assert_eq!(
            told(&fallback.decide(&bucket, &key, ReadMethod::Get, ClientKind::Plain)),
            expected,
            "{text}"
        );
        // An SDK would not follow: it gets the same through here.
        let address = expected.strip_prefix("302 ").and_then(|told| told.split_once(" by "));
        match (fallback.decide(&bucket, &key, ReadMethod::Get, ClientKind::Sdk), address) {
            (Decision::Fetch(fetch), Some((address, _))) => {
                assert_eq!(fetch.upstream.object_url(&key).as_deref(), Ok(address), "{text}");
                assert!(!fetch.keep, "{text}");
            }
            (decision, address) => assert_eq!((decision, address), (Decision::NoRule, None), "{text}"),
        }
    }
}
