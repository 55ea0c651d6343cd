//! What each mode answers by each face, and which rule is for whom.

use super::hostile::Hostile;
use super::http::Answer;
use super::stage::{BUCKET, Face, PRODUCTION, get, json, path, read, resource, rule, s3_place, send, stage};

const MODES: [&str; 6] = ["auto", "redirect", "presign", "proxy", "cache", "deny"];

/// What came of a read.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Here,
    Redirected,
    Signed,
    Absent,
}

fn came(answer: &Answer) -> Came {
    match (answer.status, answer.header("location")) {
        (200, None) => Came::Here,
        (302, Some(to)) if to.contains("X-Amz-Signature=") => Came::Signed,
        (302, Some(_)) => Came::Redirected,
        (404, None) => Came::Absent,
        _ => panic!("{answer:?}"),
    }
}

fn wanted(mode: &str, face: Face) -> Came {
    let plain = matches!(face, Face::Plain | Face::Archive);
    match mode {
        "auto" if plain => Came::Redirected,
        "auto" | "proxy" | "cache" => Came::Here,
        "redirect" => Came::Redirected,
        "presign" => Came::Signed,
        _ => Came::Absent,
    }
}

/// A rule for each mode, below a folder of its name.
fn rules(upstream: &Hostile, place: &str) -> String {
    let keys = ", access_key_id = \"AKIDPRODUCTION\", secret_access_key = \"production-secret\"";
    let presign = s3_place(upstream, keys);
    let of = |mode: &str| match mode {
        "deny" => rule("pub/deny/**", "mode = \"deny\""),
        "presign" => rule("pub/presign/**", &format!("mode = \"presign\"\n{presign}")),
        _ => rule(&format!("pub/{mode}/**"), &format!("mode = \"{mode}\"\n{place}")),
    };
    MODES.map(of).concat()
}

/// Reads a file of every mode by every face; the bytes come at last, whoever sends them.
fn drive(place: impl Fn(&Hostile) -> String, folder: &str) {
    let upstream = Hostile::start();
    for face in Face::ALL {
        for mode in MODES {
            let key = format!("pub/{mode}/{face:?} +%.mar");
            for bucket in [folder, &format!("{PRODUCTION}/")] {
                upstream.put(format!("{bucket}{key}"), super::hostile::File::new(key.as_bytes()));
            }
        }
    }
    let server = stage(&rules(&upstream, &place(&upstream)));
    for face in Face::ALL {
        for mode in MODES {
            let key = format!("pub/{mode}/{face:?} +%.mar");
            let answer = read(&server, face, "GET", &key);
            assert_eq!(came(&answer), wanted(mode, face), "GET {key}: {answer:?}");
            match came(&answer) {
                Came::Here => assert_eq!(answer.text(), key),
                Came::Redirected | Came::Signed => {
                    let to = answer.header("location").unwrap_or_default();
                    let target = to.strip_prefix(&upstream.url()).unwrap_or_else(|| panic!("{to}"));
                    let followed = super::http::get(upstream.address(), &format!("/{target}"));
                    assert_eq!((followed.status, followed.text()), (200, key.clone()), "{to}");
                }
                Came::Absent => upstream.assert_not_asked_for(&key),
            }
            if face != Face::Gcs {
                let answer = read(&server, face, "HEAD", &key);
                assert_eq!(came(&answer), wanted(mode, face), "HEAD {key}: {answer:?}");
                if came(&answer) == Came::Here {
                    assert_eq!(answer.header("content-length"), Some(&*key.len().to_string()), "HEAD {key}");
                }
            }
        }
    }
}

impl Hostile {
    #[track_caller]
    fn assert_not_asked_for(&self, key: &str) {
        assert!(!self.seen().iter().any(|seen| seen.path().ends_with(key)), "{key} was asked for");
    }
}

#[test]
fn every_mode_answers_every_face_from_a_plain_address() {
    drive(|upstream| format!("to = \"{}\"", upstream.url()), "");
}

#[test]
fn every_mode_answers_every_face_from_an_s3_bucket() {
    drive(|upstream| s3_place(upstream, ""), &format!("{PRODUCTION}/"));
}

#[test]
fn every_mode_answers_every_face_from_a_gcs_bucket() {
    let place = |upstream: &Hostile| {
        format!("gcs = {{ bucket = \"{PRODUCTION}\", endpoint = \"{}\" }}", upstream.url())
    };
    drive(place, &format!("{PRODUCTION}/"));
}

/// The JSON dialect describes what it can stream.
#[test]
fn gcs_describes_an_object_that_only_production_has() {
    for mode in ["auto", "proxy", "cache"] {
        let upstream = Hostile::with([("pub/a.mar", b"0123456789")]);
        let server = stage(&super::stage::to(&upstream, mode));
        let found = json(&send(&server, "GET", &resource("pub/a.mar"), "", b""));
        assert_eq!(
            (found["name"].as_str(), found["size"].as_str()),
            (Some("pub/a.mar"), Some("10")),
            "{mode}"
        );
        assert_eq!(found["md5Hash"], "eB5eJF1ptWaXm4bijSPyxw==", "{mode}: {found}");
        assert_eq!(found["bucket"], BUCKET);
        let none = send(&server, "GET", &resource("pub/none"), "", b"");
        assert_eq!(none.status, 404, "{mode}: {none:?}");
    }
}

#[test]
fn rules_tell_plain_clients_from_sdks() {
    let (plain, sdk) = (Hostile::with([("pub/a", b"plain")]), Hostile::with([("pub/a", b"sdk")]));
    let rules = [
        rule("**", &format!("clients = [\"plain\"]\nmode = \"proxy\"\nto = \"{}\"", plain.url())),
        rule("**", &format!("clients = [\"sdk\"]\nmode = \"proxy\"\nto = \"{}\"", sdk.url())),
    ];
    let server = stage(&rules.concat());
    for face in Face::ALL {
        let wanted = if matches!(face, Face::Plain | Face::Archive) { "plain" } else { "sdk" };
        let answer = read(&server, face, "GET", "pub/a");
        assert_eq!((answer.status, answer.text().as_str()), (200, wanted), "{face:?}: {answer:?}");
    }
    for header in ["x-amz-user-agent: aws-sdk-js/3\r\n", "x-goog-api-client: gl-python/3\r\n"] {
        let answer = send(&server, "GET", &path("pub/a"), header, b"");
        assert_eq!(answer.text(), "sdk", "{header}");
    }
    let only_sdk = rule("**", &format!("clients = [\"sdk\"]\nmode = \"proxy\"\nto = \"{}\"", sdk.url()));
    let server = stage(&only_sdk);
    assert_eq!(read(&server, Face::Plain, "GET", "pub/a").status, 404);
    assert_eq!(get(&server, "pub/a").status, 200);
}

/// A link of our own is for whoever holds it, and who holds it follows redirects.
#[test]
fn presigned_links_count_as_plain_clients() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let server = stage(&super::stage::to(&upstream, "auto"));
    let report = super::python::run(&server, "upstream_links.py", &[BUCKET, "pub/a"]);
    assert_eq!(report["statuses"], serde_json::json!([302, 302]), "{report}");
    upstream.assert_not_asked("a redirect asks nothing");
}

#[test]
fn rules_are_for_methods() {
    let upstream = Hostile::with([("pub/a", b"bytes")]);
    let url = upstream.url();
    let rules = [
        rule("pub/**", &format!("methods = [\"HEAD\"]\nmode = \"redirect\"\nto = \"{url}\"")),
        rule("pub/a", &format!("methods = [\"GET\"]\nmode = \"proxy\"\nto = \"{url}\"")),
    ];
    let server = stage(&rules.concat());
    for face in [Face::Plain, Face::Sdk, Face::Archive] {
        assert_eq!(read(&server, face, "HEAD", "pub/a").status, 302, "{face:?}");
        assert_eq!(read(&server, face, "GET", "pub/a").status, 200, "{face:?}");
        assert_eq!(read(&server, face, "HEAD", "pub/b").status, 302, "{face:?}");
        assert_eq!(read(&server, face, "GET", "pub/b").status, 404, "{face:?}");
    }
}

/// Of what is written here nothing is asked.
#[test]
fn what_is_here_is_never_looked_for() {
    let upstream = Hostile::with([("pub/a", b"production")]);
    for mode in ["auto", "redirect", "proxy", "cache"] {
        let server = stage(&super::stage::to(&upstream, mode));
        super::stage::put(&server, "pub/a", b"here");
        for face in Face::ALL {
            let answer = read(&server, face, "GET", "pub/a");
            assert_eq!((answer.status, answer.text().as_str()), (200, "here"), "{mode} {face:?}");
        }
        upstream.assert_not_asked(mode);
    }
}
