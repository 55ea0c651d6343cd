//! A stage that is called by production's own names, as a hosts entry does it.

use super::hostile::{File, Gate, Hostile, Trick};
use super::http::Answer;
use super::server::Server;
use super::stage::{
    BUCKET, Face, command, delete, json, put, read, read_with, resource, rule, send, stage_with,
};

/// Production's name, under which the stage answers too.
const ARCHIVE: &str = "archive.mozilla.org";
/// Another one.
const STAGING: &str = "ftp.stage.mozaws.net";

/// The tables of a stage that has these names, and finds production at `upstream` all the same.
fn tables(upstream: &Hostile) -> String {
    format!(
        "[[archive]]\nhosts = [\"{STAGING}\", \"{ARCHIVE}\"]\npath = \"/pub/\"\nbuckets = [\"{BUCKET}\"]\n\n\
         [upstream]\nretries = 0\nbreaker_failures = 1000\nresolve = {{ \"{ARCHIVE}\" = \"{}\" }}\n\n\
         [release]\nunder_test = [\"firefox-83.0-build1\"]",
        upstream.address()
    )
}

/// A stage whose rule leads to production by its name.
fn stage(upstream: &Hostile, mode: &str) -> Server {
    let place = format!("mode = \"{mode}\"\noffline = \"absent\"\nto = \"http://{ARCHIVE}/\"");
    stage_with(&rule("**", &place), &tables(upstream))
}

/// GET by a plain path under a name.
fn plain(server: &Server, host: &str, target: &str, lines: &str) -> Answer {
    send(server, "GET", target, &format!("Host: {host}\r\n{lines}"), b"")
}

#[test]
fn what_a_redirect_would_lead_back_to_is_passed_through_on_every_face() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    for mode in ["auto", "redirect", "proxy", "cache"] {
        let server = stage(&upstream, mode);
        for host in [ARCHIVE, "Archive.Mozilla.org:8000"] {
            for face in [Face::Plain, Face::Sdk, Face::Gcs, Face::Archive] {
                let answer = match face {
                    // On the archive's hosts a GET is a plain path, but for Google's API.
                    Face::Plain | Face::Sdk => plain(&server, host, "/pub/a", ""),
                    Face::Signed | Face::Gcs | Face::Archive => {
                        read_with(&server, face, "GET", "pub/a", &format!("Host: {host}\r\n"))
                    }
                };
                assert_eq!((answer.status, answer.text().as_str()), (200, "bytes"), "{mode} {host} {face:?}");
            }
            let head = read_with(&server, Face::Archive, "HEAD", "pub/a", &format!("Host: {host}\r\n"));
            assert_eq!(head.status, 200, "{mode} {host}: {head:?}");
            let none = plain(&server, host, "/pub/none", "");
            assert_eq!(none.status, 404, "{mode} {host}: {none:?}");
        }
        // Who has an entry for one of them has it for the other.
        assert_eq!(plain(&server, STAGING, "/pub/a", "").status, 200, "{mode}");
    }
}

/// Whoever asks the stage by its own address finds production behind production's name.
#[test]
fn other_clients_are_redirected_as_ever() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let server = stage(&upstream, "auto");
    for face in [Face::Plain, Face::Archive] {
        let answer = read(&server, face, "GET", "pub/a");
        let location = answer.header("location");
        assert_eq!((answer.status, location), (302, Some("http://archive.mozilla.org/pub/a")), "{face:?}");
    }
    upstream.assert_not_asked("a redirect asks nobody");
}

#[test]
fn explain_says_that_a_redirect_would_come_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("stage.toml");
    let upstream = Hostile::start();
    let rule = rule("**", &format!("mode = \"auto\"\nto = \"https://{ARCHIVE}/\""));
    let text = format!("[[bucket]]\nname = \"{BUCKET}\"\n{rule}\n{}", tables(&upstream));
    std::fs::write(&config, text).expect("it is written");
    let config = config.to_str().expect("UTF-8");
    for (url, said) in [
        ("http://archive.mozilla.org/pub/a", "would lead this client back to the stage"),
        ("https://ftp.stage.mozaws.net/pub/a", "would lead this client back to the stage"),
        ("http://127.0.0.1:8000/pub/a", "the client is sent there with 302"),
    ] {
        let (code, printed, errors) = command(&["explain", "GET", url, "--config", config]);
        assert_eq!(code, Some(0), "{errors}");
        assert!(printed.contains(said), "{url}: {printed}");
    }
}

#[test]
fn the_api_of_google_is_there_under_the_archive_s_name() {
    let upstream = Hostile::start();
    let server = stage(&upstream, "auto");
    let host = format!("Host: {ARCHIVE}\r\n");
    let target = format!("/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=pub%2Fnew");
    let written = send(&server, "POST", &target, &format!("{host}Content-Type: text/plain\r\n"), b"new");
    assert_eq!(json(&written)["name"], "pub/new");
    let got = send(&server, "GET", &resource("pub/new"), &host, b"");
    assert_eq!(json(&got)["size"], "3");
    let listed = send(&server, "GET", &format!("/storage/v1/b/{BUCKET}/o"), &host, b"");
    assert_eq!(json(&listed)["items"][0]["name"], "pub/new");
    assert_eq!(plain(&server, ARCHIVE, "/pub/new", "").text(), "new");
}

/// The names below a directory, as `mozdownload` and `mozregression` take them from a page.
fn links(page: &str) -> Vec<String> {
    let links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let steps =
        links.map(|link| link.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned());
    steps.filter(|step| !step.is_empty() && step != "pub").collect()
}

#[test]
fn directories_that_only_production_has_are_where_their_files_are() {
    let upstream = Hostile::with([
        ("pub/firefox/releases/82.0/win64/de/a.exe", b"bytes"),
        ("pub/firefox/releases/82.0/win64/de/b.exe", b"bytes"),
        ("pub/firefox/releases/83.0/win64/de/a.exe", b"never"),
    ]);
    let below = "/pub/firefox/releases/82.0/win64/";
    let server = stage(&upstream, "auto");
    for lines in ["", "Accept: application/json\r\n"] {
        let answer = send(&server, "GET", below, lines, b"");
        let location = answer.header("location").map(str::to_owned);
        assert_eq!((answer.status, location), (302, Some(format!("http://{ARCHIVE}{below}"))), "{lines}");
    }
    let hidden = send(&server, "GET", "/pub/firefox/releases/83.0/", "", b"");
    assert_eq!(hidden.status, 404, "{hidden:?}");
    // Production's own page would lead to the release under test.
    let releases = send(&server, "GET", "/pub/firefox/releases/", "", b"");
    assert_eq!((releases.status, releases.header("location")), (200, None), "{releases:?}");
    assert!(releases.text().contains("82.0/") && !releases.text().contains("83.0"), "{}", releases.text());
    // And to what was deleted here.
    delete(&server, "pub/firefox/releases/82.0/win64/de/b.exe");
    let rest = send(&server, "GET", "/pub/firefox/releases/82.0/win64/de/", "", b"");
    assert_eq!(rest.status, 200, "{rest:?}");
    assert!(rest.text().contains("a.exe") && !rest.text().contains("b.exe"), "{}", rest.text());
    // What is here is shown by itself.
    put(&server, "pub/firefox/candidates/81.0-candidates/build1/a", b"here");
    let local = send(&server, "GET", "/pub/firefox/candidates/", "", b"");
    assert!(local.text().contains("81.0-candidates/"), "{}", local.text());
}

#[test]
fn a_crawl_by_production_s_name_reaches_every_file() {
    let upstream = Hostile::with([
        ("pub/firefox/nightly/2020/10/2020-10-20-09-41-42-mozilla-central/a.zip", b"zip"),
        ("pub/firefox/nightly/2020/10/2020-10-20-09-41-42-mozilla-central/a.txt", b"txt"),
        ("pub/firefox/nightly/2020/10/2020-10-21-09-41-42-mozilla-central/a.zip", b"zip"),
    ]);
    for mode in ["auto", "redirect", "proxy", "cache"] {
        let server = stage(&upstream, mode);
        let month = plain(&server, ARCHIVE, "/pub/firefox/nightly/2020/10/", "");
        assert_eq!(month.status, 200, "{mode}: {month:?}");
        let builds = links(&month.text());
        let day = "2020-10-20-09-41-42-mozilla-central";
        assert!(builds.iter().any(|build| build == day), "{mode}: {builds:?}");
        let folder = format!("/pub/firefox/nightly/2020/10/{day}/");
        let told = json(&plain(&server, ARCHIVE, &folder, "Accept: application/json\r\n"));
        let names: Vec<_> =
            told["files"].as_array().into_iter().flatten().map(|file| &file["name"]).collect();
        assert_eq!(names, ["a.txt", "a.zip"], "{mode}: {told}");
        assert_eq!(plain(&server, ARCHIVE, &format!("{folder}a.zip"), "").text(), "zip", "{mode}");
        let none = plain(&server, ARCHIVE, "/pub/firefox/nightly/2019/", "");
        assert_eq!(none.status, 404, "{mode}: {none:?}");
    }
}

#[test]
fn an_upload_goes_on_while_production_does_not_answer() {
    for (mode, down) in [("auto", true), ("proxy", false)] {
        let upstream = Hostile::with([("pub/there", b"bytes")]);
        let server = stage(&upstream, mode);
        assert_eq!(json(&send(&server, "GET", &resource("pub/there"), "", b""))["size"], "5", "it is seen");
        if down {
            upstream.go_down();
        } else {
            upstream.always("pub/new", Trick::HoldHead(Gate::default()));
        }
        // `blob.exists()` before each upload.
        let exists = send(&server, "GET", &resource("pub/new"), "", b"");
        assert_eq!(exists.status, 404, "{mode}: {exists:?}");
        upstream.take_seen();
        let again = send(&server, "GET", &resource("pub/other"), "", b"");
        assert_eq!(again.status, 404, "{mode}: {again:?}");
        upstream.assert_not_asked("it is known to be in trouble");
        let head = read(&server, Face::Sdk, "HEAD", "pub/third");
        assert_eq!(head.status, 404, "{mode}: {head:?}");
        let target =
            format!("/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=pub%2Fnew&ifGenerationMatch=0");
        let written = send(&server, "POST", &target, "", b"new");
        assert_eq!(json(&written)["name"], "pub/new", "{mode}");
        // Bytes that somebody wants are another matter.
        let read = read(&server, Face::Gcs, "GET", "pub/other");
        assert!(matches!(read.status, 502..=504) || !down, "{mode}: {read:?}");
    }
}

/// A reader, and a rule that does not say so, are told that production is in trouble.
#[test]
fn nothing_is_absent_for_others_while_production_does_not_answer() {
    let upstream = Hostile::start();
    upstream.put("pub/a", File::new(*b"bytes"));
    let place = format!("mode = \"proxy\"\nto = \"http://{ARCHIVE}/\"");
    let server = stage_with(&rule("**", &place), &tables(&upstream));
    upstream.go_down();
    let answer = send(&server, "GET", &resource("pub/a"), "", b"");
    assert!(matches!(answer.status, 502..=504), "{answer:?}");
    let page = plain(&server, ARCHIVE, "/pub/a", "");
    assert!(matches!(page.status, 502..=504), "{page:?}");
}
