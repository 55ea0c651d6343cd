//! Settings from variables and files, and links from the command line.

use super::http::{exchange, get};
use super::server::{Server, Setup};
use super::{text, understudy};

#[test]
fn variables_say_what_flags_say() {
    let environment = vec![("UNDERSTUDY_BUCKETS", "one,two".into()), ("UNDERSTUDY_ANONYMOUS", "read".into())];
    let server = Server::start(&Setup { environment, ..Setup::default() });
    for (target, status) in [("/one", 200), ("/two", 200), ("/three", 404)] {
        assert_eq!(get(server.address(), target).status, status, "{target}");
    }
    let put = exchange(server.address(), "PUT /one/key HTTP/1.1\r\n", b"x").expect("an answer");
    assert_eq!(put.status, 403, "{put:?}");
}

#[test]
fn the_preset_is_a_file_that_is_accepted() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("understudy.toml");
    let preset = understudy(&["config", "preset", "mozilla"], &[]);
    assert!(preset.status.success(), "{preset:?}");
    std::fs::write(&path, &preset.stdout).expect("the folder is writable");
    let path = path.to_string_lossy().into_owned();
    for command in ["check", "show"] {
        let output = understudy(&["config", command, "--config", &path], &[]);
        assert!(output.status.success(), "{command}: {output:?}");
        assert!(!text(&output).contains(super::SECRET_ACCESS_KEY), "{command} shows the secret");
    }
    let server = Server::start(&Setup {
        config: Some(String::from_utf8(preset.stdout).expect("UTF-8")),
        ..Setup::default()
    });
    let answer = get(server.address(), "/pub/firefox/releases/78.0/SHA512SUMS");
    let location = "https://archive.mozilla.org/pub/firefox/releases/78.0/SHA512SUMS";
    assert_eq!((answer.status, answer.header("location")), (302, Some(location)), "{answer:?}");
}

#[test]
fn a_file_with_a_mistake_is_refused_by_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("understudy.toml");
    std::fs::write(&path, "[server]\nlissen = \"127.0.0.1:0\"\n").expect("the folder is writable");
    let path = path.to_string_lossy().into_owned();
    for command in [&["config", "check"][..], &["serve"]] {
        let output = understudy(&[command, &["--config", &path]].concat(), &[]);
        assert!(!output.status.success(), "{output:?}");
        assert!(text(&output).contains("lissen") && text(&output).contains("understudy.toml"), "{output:?}");
    }
}

#[test]
fn links_from_the_command_line_are_accepted_until_they_expire() {
    let server = Server::start(&Setup::with_buckets(&["stage"]));
    let endpoint = format!("http://{}", server.address());
    let link = |method: &str| {
        let object = "s3://stage/pub/a key +%&=é.txt";
        let output =
            understudy(&["presign", method, object, "--expires", "10m", "--endpoint", &endpoint], &[]);
        assert!(output.status.success(), "{output:?}");
        let url = String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned();
        url.strip_prefix(&endpoint).unwrap_or_else(|| panic!("{url}")).to_owned()
    };
    let (put, read) = (link("PUT"), link("GET"));
    let answer =
        exchange(server.address(), &format!("PUT {put} HTTP/1.1\r\n"), b"by link").expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = get(server.address(), &read);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"by link"[..]), "{answer:?}");
    let answer = get(server.address(), &put);
    assert_eq!(answer.status, 403, "a link for PUT used for GET: {answer:?}");
    let answer = get(server.address(), &read.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"));
    assert_eq!(answer.status, 403, "a link made longer: {answer:?}");
}

#[test]
fn every_line_of_the_log_is_a_mozlog_object() {
    let server = Server::start(&Setup::with_buckets(&["stage"]));
    get(server.address(), "/stage/none");
    let lines = server
        .journal()
        .wait_for(|lines, _| lines.iter().any(|line| line.contains("\"operation\"")).then(|| lines.to_vec()));
    for line in lines.expect("the request is logged") {
        let event: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for name in ["Timestamp", "Type", "Logger", "EnvVersion", "Pid", "Severity", "Fields"] {
            assert!(!event[name].is_null(), "{name} in {line}");
        }
    }
}
