//! The release under test belongs to the stage: restarts, forks, exports and restores keep it, and
//! everything that tells of a stage names it.

use std::ffi::OsString;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::http::get;
use super::server::{Server, Setup};
use super::{text, understudy};

const CONFIG: &str = "[[bucket]]\nname = \"stage\"\nanonymous = \"read-write\"\n[[bucket.fallback]]\n\
                      match = \"pub/**\"\nmode = \"redirect\"\nto = \"https://archive.example/\"\n";

const FIREFOX_83: &str = "firefox-83.0-build1";
const FIREFOX_84: &str = "firefox-84.0-build1";

/// Serves a folder; `said` is the value of the variable, if it is set.
fn serve(folder: &Path, said: Option<&str>) -> Server {
    serve_with(folder, said, CONFIG)
}

fn serve_with(folder: &Path, said: Option<&str>, config: &str) -> Server {
    let environment = said.map(|said| ("UNDERSTUDY_UNDER_TEST", OsString::from(said)));
    Server::start(&Setup {
        config: Some(config.to_owned()),
        data_dir: Some(folder.to_owned()),
        environment: environment.into_iter().collect(),
        ..Setup::default()
    })
}

fn stop(mut server: Server) {
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

/// Which of these versions of Firefox are redirected to production.
fn shown(server: &Server) -> Vec<&'static str> {
    ["82.0", "83.0", "84.0"]
        .into_iter()
        .filter(|version| {
            let answer = get(server.address(), &format!("/stage/pub/firefox/releases/{version}/SHA256SUMS"));
            assert!([302, 404].contains(&answer.status), "{version}: {}", answer.status);
            answer.status == 302
        })
        .collect()
}

/// Runs a command that must succeed; gives what it printed.
fn done(arguments: &[&str]) -> String {
    let output = understudy(arguments, &[]);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Warnings of the log whose text has this in it, as far as the server has come: it is ready.
fn warnings(server: &Server, about: &str) -> Vec<String> {
    ready(server);
    let lines = server.journal().text();
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    // 4 is a warning in mozlog.
    let warned = events.filter(|event| event["Severity"] == 4);
    let texts = warned.map(|event| event["Fields"].to_string());
    texts.filter(|text| text.contains(about)).collect()
}

/// The fields of the event that says that the server is ready.
fn ready(server: &Server) -> Value {
    let found = server.journal().wait_for(|lines, _| {
        let mut events = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.find(|event| event["Fields"]["msg"] == "ready")
    });
    found.expect("it becomes ready")["Fields"].clone()
}

#[test]
fn a_restart_a_fork_an_import_and_a_restore_each_hide_what_the_stage_hid() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let place = |name: &str| scratch.path().join(name).to_str().expect("UTF-8").to_owned();
    let folder = scratch.path().join("data");
    let data = place("data");
    let server = serve(&folder, None);
    assert_eq!(shown(&server), ["82.0", "83.0", "84.0"]);
    done(&["snapshot", "create", "bare", "--data-dir", &data]);
    stop(server);

    let server = serve(&folder, Some(FIREFOX_83));
    assert_eq!(shown(&server), ["82.0"]);
    done(&["snapshot", "create", "of-83", "--data-dir", &data]);
    done(&["fork", &data, &place("fork")]);
    done(&["fork", &data, &place("of-snapshot"), "--snapshot", "of-83"]);
    done(&["export", &place("file"), "--data-dir", &data]);
    done(&["import", &place("file"), &place("imported")]);
    done(&["snapshot", "restore", "bare", "--data-dir", &data]);
    assert_eq!(shown(&server), ["82.0"], "after a restore");
    stop(server);

    // An empty variable says nothing, as compose files leave it.
    for (name, said) in [("data", None), ("fork", None), ("of-snapshot", Some("")), ("imported", None)] {
        let server = serve(&scratch.path().join(name), said);
        assert_eq!(shown(&server), ["82.0"], "{name}");
        assert_eq!(ready(&server)["under_test"], FIREFOX_83, "{name}");
        assert_eq!(warnings(&server, "under test"), [""; 0], "{name}");
        stop(server);
    }
    // A copy of the preset has an empty list: it says nothing either.
    let server = serve_with(&folder, None, &format!("[release]\nunder_test = []\n{CONFIG}"));
    assert_eq!(shown(&server), ["82.0"]);
}

#[test]
fn another_release_is_said_aloud_and_none_is_said_on_purpose() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = scratch.path();
    stop(serve(folder, Some(FIREFOX_83)));

    let server = serve(folder, Some(FIREFOX_84));
    assert_eq!(shown(&server), ["82.0", "83.0"]);
    let told = warnings(&server, "was firefox-83.0-build1 and is firefox-84.0-build1 from now on");
    assert_eq!(told.len(), 1, "{}", server.journal().text());
    stop(server);
    let server = serve(folder, None);
    assert_eq!(shown(&server), ["82.0", "83.0"]);
    stop(server);

    let server = serve(folder, Some("none"));
    assert_eq!(shown(&server), ["82.0", "83.0", "84.0"]);
    assert_eq!(warnings(&server, "was firefox-84.0-build1 and is none from now on").len(), 1);
    assert_eq!(warnings(&server, "no release is under test"), [""; 0], "it is meant");
    stop(server);
    let server = serve(folder, None);
    assert_eq!(shown(&server), ["82.0", "83.0", "84.0"]);
    let told = warnings(&server, "no release is under test");
    assert!(told.len() == 1 && told[0].contains("UNDERSTUDY_UNDER_TEST=firefox-83.0b3-build1"), "{told:?}");
    assert!(told[0].contains("production has the file already"), "{told:?}");
    stop(server);
    let server = serve_with(folder, None, &format!("[release]\nunder_test = \"{}\"\n{CONFIG}", "none"));
    assert_eq!(warnings(&server, "no release is under test"), [""; 0], "it is meant");
}

#[test]
fn rules_for_older_releases_go_by_the_kept_one() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let config = format!("{CONFIG}previous_only = true\n");
    stop(serve(scratch.path(), Some(FIREFOX_84)));
    let server = serve_with(scratch.path(), None, &config);
    assert_eq!(shown(&server), ["82.0", "83.0"]);
}

#[test]
fn banner_log_heartbeat_receipt_and_explain_name_what_is_under_test() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let data = scratch.path().join("data");
    let config = scratch.path().join("explained.toml");
    std::fs::write(&config, CONFIG).expect("a writable folder");
    let [data_dir, config] = [&data, &config].map(|path| path.to_str().expect("UTF-8"));
    let explain = |more: &[&str]| {
        let key = "pub/firefox/releases/84.0/SHA256SUMS";
        done(
            &[
                &["explain", "GET", key, "--bucket", "stage", "--config", config, "--data-dir", data_dir],
                more,
            ]
            .concat(),
        )
    };
    let before = explain(&[]);
    assert!(
        before.contains("no stage was asked: there is no stage in ") && before.contains("redirect"),
        "{before}"
    );

    let server = serve(&data, Some(FIREFOX_83));
    let line = "firefox-83.0-build1 is under test: production is never asked for it, nor for anything newer of firefox.";
    let printed =
        server.printed().wait_for(|lines, ended| (ended || lines.len() > 1).then(|| lines[1].clone()));
    assert_eq!(printed.as_deref(), Some(line));
    assert_eq!(ready(&server)["under_test"], FIREFOX_83);
    let heartbeat = get(server.address(), "/__heartbeat__");
    let heartbeat: Value = serde_json::from_slice(&heartbeat.body).expect("JSON");
    assert_eq!(heartbeat["under_test"], serde_json::json!([FIREFOX_83]));
    let receipt = done(&["receipt", "--data-dir", data_dir]);
    assert!(receipt.contains("\nUnder test: firefox-83.0-build1\n"), "{receipt}");
    let receipt: Value =
        serde_json::from_str(&done(&["receipt", "--json", "--data-dir", data_dir])).expect("JSON");
    assert_eq!(receipt["under_test"], serde_json::json!([FIREFOX_83]));

    // It says what the server does, and not what its own settings would do.
    let asked = format!("The server at http://{} was asked what is under test.", server.address());
    for more in [&[][..], &["--endpoint", &format!("http://{}", server.address())]] {
        let told = explain(more);
        assert!(told.contains(&asked) && told.contains("hidden, because firefox-83.0-build1"), "{told}");
    }
    stop(server);
    let told = explain(&[]);
    assert!(
        told.contains("is what the data folder ") && told.contains("hidden, because firefox-83.0"),
        "{told}"
    );
    let json: Value = serde_json::from_str(&explain(&["--json"])).expect("JSON");
    assert_eq!(json["release"]["under_test"], serde_json::json!([FIREFOX_83]));
    assert!(json["release"]["said_by"].as_str().is_some_and(|said| said.contains("data folder")), "{json}");
}
