//! Precedence and composition, through `Settings::load` as the command line calls it.

use std::path::Path;
use std::time::Duration;

use super::{Environment, Flags, Settings};
use crate::model::{BucketName, Permission};

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A file, flags that name it, and a data folder in which there is nothing.
struct Stage {
    folder: tempfile::TempDir,
    flags: Flags,
}

impl Stage {
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("stage.toml");
        std::fs::write(&path, text).expect("a writable folder");
        let path_text = path.to_str().expect("temporary folders have plain names").to_owned();
        let data_dir = folder.path().join("data").to_str().map(str::to_owned);
        Self { folder, flags: Flags { config: Some(path_text), data_dir, ..Flags::default() } }
    }

    fn load(&self, pairs: &[(&str, &str)]) -> Result<Settings, super::Error> {
        Settings::load(&self.flags, &environment(pairs))
    }
}

fn origin(settings: &Settings, key: &str) -> String {
    let shown = settings.as_json();
    let rows = shown.as_array().expect("a list");
    let row = rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key} in {shown}"));
    row["origin"].as_str().expect("text").to_owned()
}

#[test]
fn with_no_word_from_anybody_the_stage_is_closed_and_local() {
    let mut stage = Stage::with("");
    stage.flags.config = None;
    let settings = stage.load(&[]).expect("settings");
    assert_eq!(settings.local_url(), "http://127.0.0.1:8000");
    assert_eq!((settings.anonymous.as_slice(), settings.buckets.as_slice()), (&[][..], &[][..]));
    assert!(settings.credentials.is_empty() && settings.warnings.is_empty() && !settings.ephemeral());
    assert_eq!(origin(&settings, "server.listen"), "default");
    let none = Settings::load(&Flags::default(), &Environment::new()).expect("settings");
    assert_eq!(none.store.data_dir, Path::new("understudy-data"));
}

#[test]
fn the_strongest_layer_decides() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"";
    let variable = [("UNDERSTUDY_LISTEN", "127.0.0.1:2")];
    for (file, variables, flag, address, told) in [
        ("", &[][..], None, "127.0.0.1:8000", "default"),
        (file, &[], None, "127.0.0.1:1", "stage.toml:2"),
        (file, &variable, None, "127.0.0.1:2", "environment UNDERSTUDY_LISTEN"),
        (file, &variable, Some("127.0.0.1:3"), "127.0.0.1:3", "flag --listen"),
        (file, &[("PORT", "4")], None, "127.0.0.1:4", "environment PORT"),
        (file, &[("PORT", "4")], Some("127.0.0.1:0"), "127.0.0.1:0", "flag --listen"),
    ] {
        let mut stage = Stage::with(file);
        stage.flags.listen = flag.map(str::to_owned);
        let settings = stage.load(variables).expect("settings");
        let origin = origin(&settings, "server.listen");
        assert_eq!(settings.server.listen.to_string(), address, "{told}");
        assert!(origin.ends_with(told), "{origin} for {told}");
    }
}

#[test]
fn production_is_asked_and_kept_as_configured() {
    let text = "[upstream]\nhead_timeout = \"1s\"\nretries = 0\nconnections = 3\nca_file = \"roots.pem\"\n\
                head_connections = 4\nlist_connections = 5\nrequest_timeout = \"4s\"\nmin_rate = \"2 KiB\"\n\
                nameserver = \"9.9.9.9\"\nresolve = { \"Archive.Mozilla.org\" = \"151.101.1.91\", \"cdn.example\" = [\"::1\", \"10.0.0.1:8443\"] }\n\
                [cache]\nmax_size = \"10 GiB\"";
    let settings = Stage::with(text).load(&[("UNDERSTUDY_CACHE_MAX_AGE", "7d")]).expect("settings");
    let addresses = |texts: &[&str]| -> Vec<std::net::SocketAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    };
    let expected = crate::upstream::Config {
        head_timeout: Duration::from_secs(1),
        retries: 0,
        connections_max: 3,
        head_connections_max: 4,
        list_connections_max: 5,
        request_timeout: Some(Duration::from_secs(4)),
        rate_min_bytes: 2048,
        ca_file: Some("roots.pem".into()),
        names: crate::upstream::Names {
            pinned: [
                ("archive.mozilla.org".to_owned(), addresses(&["151.101.1.91:0"])),
                ("cdn.example".to_owned(), addresses(&["[::1]:0", "10.0.0.1:8443"])),
            ]
            .into(),
            server: Some(addresses(&["9.9.9.9:53"])[0]),
        },
        ..crate::upstream::Config::default()
    };
    assert_eq!(settings.upstream, expected);
    assert_eq!(settings.cache.max_bytes, Some(10 << 30));
    assert_eq!(settings.cache.max_age, Some(Duration::from_hours(7 * 24)));
    assert!(origin(&settings, "upstream.retries").ends_with("stage.toml:3"));
    assert_eq!(origin(&settings, "cache.max_age"), "environment UNDERSTUDY_CACHE_MAX_AGE");
    assert_eq!(origin(&settings, "upstream.list_ttl"), "default");
    let plain = Stage::with("").load(&[]).expect("settings");
    assert_eq!(plain.upstream, crate::upstream::Config::default());
    assert_eq!(plain.cache, crate::view::Config::default());
    for (text, told) in [
        ("[upstream]\nconnections = 0", "stage.toml, line 2 (connections)"),
        ("[upstream]\nlist_connections = 0", "stage.toml, line 2 (list_connections)"),
        ("[upstream]\nmin_rate = 5", "stage.toml, line 2 (min_rate)"),
        ("[upstream]\nhead_timout = \"1s\"", "unknown field `head_timout`"),
        ("[upstream]\nresolve = { \"a.example\" = \"b.example\" }", "\"b.example\" is not an address"),
        ("[upstream]\nresolve = { \"a.example\" = [] }", "list of addresses is empty"),
        ("[upstream]\nresolve = { \"https://a.example\" = \"::1\" }", "is not a host name"),
        ("[upstream]\nnameserver = \"dns.example\"", "\"dns.example\" is not an address"),
        ("[cache]\nmax_size = 5", "stage.toml, line 2 (max_size)"),
    ] {
        let refused = Stage::with(text).load(&[]).expect_err("a mistake").to_string();
        assert!(refused.contains(told), "{refused}");
    }
}

#[test]
fn a_preset_is_weaker_than_the_file_that_names_it() {
    let bucket = "net-mozaws-stage-delivery-firefox";
    let text = format!(
        "preset = \"mozilla\"\n[[bucket]]\nname = \"{bucket}\"\nanonymous = \"read-write\"\n[[bucket]]\nname = \"mine\""
    );
    let settings = Stage::with(&text).load(&[]).expect("settings");
    let name = BucketName::parse(bucket).expect("a name");
    assert!(settings.anonymous.iter().any(|grant| grant.allows(Permission::Write, &name, "pub/a")));
    assert!(settings.buckets.contains(&BucketName::parse("mine").expect("a name")));
    assert!(origin(&settings, &format!("bucket.{bucket}.anonymous")).ends_with("stage.toml:4"));
    assert_eq!(origin(&settings, &format!("bucket.{bucket}.fallback")), "preset mozilla");
    assert!(!settings.archive.is_empty());
    assert!(settings.s3.bucket_in_host("stage.storage.googleapis.com").is_some());
    assert!(settings.s3.bucket_in_host("stage.s3.amazonaws.com").is_some());
    // beetmover looks its buckets up in these lists (scriptworker-scripts, `worker.yml`).
    for bucket in [
        "net-mozaws-prod-delivery-firefox",
        "net-mozaws-prod-delivery-archive",
        "moz-fx-productdelivery-pr-38b5-productdelivery",
        "maven-default-s3-upload-bucket-13gy5ufwa3qv",
        "maven-default-s3-upload-bucket-1705kkmo2aj3c",
        "maven-nightly-stage-s3-upload-bucket",
        "maven-nightly-s3-upload-bucket-d4zm9oo354qe",
        "moz-fx-translations-data--5f91-stage",
        "moz-fx-translations-data--303e-prod",
        "mozilla-releng-dep-partner",
        "fxpartners-distros",
    ] {
        assert!(settings.buckets.contains(&BucketName::parse(bucket).expect("a name")), "{bucket}");
    }
    let (_, trees) =
        crate::archive::file_at(&settings.archive, "archive.mozilla.org", "/pub/a").expect("a file");
    for bucket in settings.buckets.iter().filter(|bucket| bucket.as_str().contains("deliver")) {
        assert!(trees.iter().any(|tree| tree.contains(bucket)), "{bucket} is behind /pub/");
    }
}

#[test]
fn buckets_add_up_across_layers() {
    let mut stage = Stage::with("[[bucket]]\nname = \"from-file\"");
    stage.flags.buckets = vec!["from-flag".to_owned()];
    let settings = stage.load(&[("UNDERSTUDY_BUCKETS", "from-environment,from-flag")]).expect("settings");
    let names: Vec<_> = settings.buckets.iter().map(BucketName::as_str).collect();
    assert_eq!(names, ["from-environment", "from-file", "from-flag"]);
}

#[test]
fn anonymous_access_becomes_grants() {
    let text = "[[bucket]]\nname = \"one\"\nanonymous = [\"pub/\"]\n[[bucket]]\nname = \"two\"";
    let bucket = |name| BucketName::parse(name).expect("a name");
    for (everywhere, permission, name, key, allowed) in [
        ("none", Permission::Read, "one", "pub/a", true),
        ("none", Permission::List, "one", "pub/", true),
        ("none", Permission::Read, "one", "private", false),
        ("none", Permission::Write, "one", "pub/a", false),
        ("none", Permission::Read, "two", "pub/a", false),
        ("read", Permission::Read, "two", "pub/a", true),
        ("read", Permission::Write, "two", "pub/a", false),
        ("read-write", Permission::Write, "made-later", "a", true),
        ("read-write", Permission::Admin, "made-later", "", false),
    ] {
        let settings = Stage::with(text).load(&[("UNDERSTUDY_ANONYMOUS", everywhere)]).expect("settings");
        let found = settings.anonymous.iter().any(|grant| grant.allows(permission, &bucket(name), key));
        assert_eq!(found, allowed, "{everywhere} {permission:?} {name} {key}");
    }
}

#[test]
fn a_key_pair_of_the_environment_may_do_everything_unless_the_file_knows_it() {
    let variables =
        [("UNDERSTUDY_ACCESS_KEY_ID", "abc"), ("UNDERSTUDY_SECRET_ACCESS_KEY", "from-environment")];
    let in_file =
        "[[credential]]\naccess_key_id = \"abc\"\nsecret_access_key = \"from-file\"\ngrants = [\"read:*\"]";
    for (file, grants) in [("", "read,write,list,admin:*"), (in_file, "read:*")] {
        let settings = Stage::with(file).load(&variables).expect("settings");
        let [credential] = settings.credentials.as_slice() else { panic!("{:?}", settings.credentials) };
        assert_eq!(credential.secret_key.expose(), "from-environment");
        assert_eq!(credential.grants.iter().map(ToString::to_string).collect::<Vec<_>>(), [grants]);
        assert_eq!(credential.owner.id.len(), 64);
    }
}

#[test]
fn the_data_folders_own_key_pair_counts_where_nobody_configured_one() {
    let stage = Stage::with("");
    let data_dir = stage.folder.path().join("data");
    std::fs::create_dir(&data_dir).expect("a writable folder");
    let made = super::credentials::generate().expect("random bytes");
    super::credentials::keep(&data_dir, &made).expect("a writable folder");
    let settings = stage.load(&[]).expect("settings");
    assert_eq!(settings.credentials, [made]);
    let settings = stage
        .load(&[("UNDERSTUDY_ACCESS_KEY_ID", "abc"), ("UNDERSTUDY_SECRET_ACCESS_KEY", "from-environment")])
        .expect("settings");
    assert_eq!(settings.credentials.len(), 1);
    assert_eq!(settings.credentials[0].access_key_id.as_str(), "abc");
}

#[test]
fn secrets_are_never_shown() {
    let text = "[[credential]]\naccess_key_id = \"abc\"\nsecret_access_key = \"hunter2hunter2\"\ngrants = [\"read:*\"]\n\
                [[bucket]]\nname = \"one\"\n[[bucket.fallback]]\nmatch = \"**\"\nmode = \"presign\"\n\
                s3 = { bucket = \"two\", region = \"us-west-2\", access_key_id = \"def\", secret_access_key = \"hunter2hunter2\" }";
    let settings = Stage::with(text).load(&[]).expect("settings");
    for shown in [settings.as_table(), settings.as_json().to_string(), format!("{:?}", settings.credentials)]
    {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(settings.as_table().contains("***"));
}

#[test]
fn open_doors_are_pointed_at() {
    for (file, variables, told) in [
        (
            "[server]\nlisten = \"0.0.0.0:80\"\nanonymous = \"read-write\"",
            &[][..],
            "write and delete here without a signature",
        ),
        (
            "[server]\nanonymous = \"read\"\n[[bucket]]\nname = \"one\"\nanonymous = \"none\"",
            &[],
            "opens every bucket",
        ),
        ("", &[("UNDERSTUDY_BUCKET", "one")], "UNDERSTUDY_BUCKET means nothing"),
    ] {
        let settings = Stage::with(file).load(variables).expect("settings");
        assert!(settings.warnings.iter().any(|warning| warning.contains(told)), "{:?}", settings.warnings);
    }
    let quiet = Stage::with("[server]\nanonymous = \"read-write\"").load(&[]).expect("settings");
    assert_eq!(quiet.warnings, [""; 0], "on the loopback interface only this machine can write");
}

#[test]
fn what_does_not_go_together_is_refused_with_both_places() {
    for (file, variables, told) in [
        ("[server]\ntls_cert = \"a.pem\"", &[][..], "stage.toml:2): TLS needs both"),
        ("", &[("UNDERSTUDY_TLS_KEY", "b.pem")], "environment UNDERSTUDY_TLS_KEY): TLS needs both"),
        ("preset = \"chromium\"", &[], "there is no preset \"chromium\""),
        ("", &[("UNDERSTUDY_PRESET", "chromium")], "environment UNDERSTUDY_PRESET: there is no preset"),
        (
            "[[bucket]]\nname = \"one\"\n[[bucket.fallback]]\nmatch = \"**\"\nmode = \"presign\"\n\
             s3 = { bucket = \"two\", region = \"us-west-2\", credentials = \"PROD\" }",
            &[],
            "PROD_ACCESS_KEY_ID",
        ),
    ] {
        let refused = Stage::with(file).load(variables).expect_err("a mistake").to_string();
        assert!(refused.contains(told), "{refused}");
    }
    let missing = Flags { config: Some("no-such-file.toml".to_owned()), ..Flags::default() };
    let refused = Settings::load(&missing, &Environment::new()).expect_err("no file").to_string();
    assert!(refused.contains("no-such-file.toml"), "{refused}");
}

#[test]
fn the_example_that_is_shipped_reads_and_changes_nothing() {
    let text = include_str!("../../docker/understudy.toml");
    let shipped = Stage::with(text).load(&[]).expect("the example reads");
    let plain = Stage::with("").load(&[]).expect("settings");
    assert_eq!(shipped.server, plain.server);
    assert_eq!(shipped.limits, plain.limits);
    assert_eq!((shipped.upstream, shipped.cache), (plain.upstream, plain.cache));
    assert_eq!((shipped.buckets.len(), shipped.credentials.len()), (0, 0));
    // What is commented out is an example too: it must read once the `#` is gone.
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let secrets = [("PRODUCTION_ACCESS_KEY_ID", "abc"), ("PRODUCTION_SECRET_ACCESS_KEY", "abcdefgh")];
    let all = Stage::with(&uncommented.join("\n")).load(&secrets).expect("the commented examples read");
    assert!(!all.buckets.is_empty() && !all.credentials.is_empty());
}
