//! Redirects that an upstream sends: followed within its hosts, with nothing of ours along.

use std::net::Ipv4Addr;

use super::headers::assert_clean;
use super::hostile::{File, Hostile, Trick};
use super::stage::{Face, PRODUCTION, get, read, read_with, rule, s3_place, stage, stage_with};

/// An upstream, and another host that it leads to.
fn pair() -> (Hostile, Hostile) {
    let first = Hostile::with([("pub/a", b"never sent")]);
    let second = Hostile::start_on(Ipv4Addr::new(127, 0, 0, 2));
    second.put("elsewhere/a", File::new(*b"bytes"));
    first.always("pub/a", Trick::Redirect(format!("{}elsewhere/a", second.url())));
    (first, second)
}

#[test]
fn a_redirect_to_a_host_of_the_list_is_followed() {
    for mode in ["proxy", "cache"] {
        for host in ["127.0.0.2", "*.0.0.2"] {
            let (first, second) = pair();
            let hosts = format!("{host}:{}", second.address().port());
            let rest = format!("mode = \"{mode}\"\nto = \"{}\"\nhosts = [\"{hosts}\"]", first.url());
            let server = stage(&rule("**", &rest));
            let answer = read_with(&server, Face::Sdk, "GET", "pub/a", "Cookie: client-secret\r\n");
            if hosts.starts_with('*') && answer.status == 502 {
                // An address has no subdomains: both readings of the pattern are safe.
                continue;
            }
            assert_eq!((answer.status, answer.text().as_str()), (200, "bytes"), "{mode} {hosts}: {answer:?}");
            assert_eq!(second.take_lines().last().map(String::as_str), Some("GET elsewhere/a"));
            first.take_seen().iter().chain(&second.take_seen()).for_each(|seen| assert_clean(seen, false));
        }
    }
}

#[test]
fn a_redirect_to_any_other_host_is_an_error_and_nothing_is_asked_there() {
    for mode in ["proxy", "cache"] {
        for hosts in ["", "hosts = [\"127.0.0.3\", \"*.example.com\"]"] {
            let (first, second) = pair();
            let rest = format!("mode = \"{mode}\"\nto = \"{}\"\n{hosts}", first.url());
            let server = stage_with(&rule("**", &rest), "[upstream]\nretries = 0");
            for face in Face::ALL {
                let answer = read(&server, face, "GET", "pub/a");
                assert_eq!(
                    (answer.status, answer.header("location")),
                    (502, None),
                    "{mode} {face:?}: {answer:?}"
                );
            }
            second.assert_not_asked("it is not in the list");
        }
    }
}

/// On a host that is allowed, only the port that the configuration names: what else listens there may
/// be anybody's.
#[test]
fn a_redirect_to_another_port_is_an_error_and_nothing_is_asked_there() {
    for mode in ["proxy", "cache"] {
        for host in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)] {
            let (first, second) = (Hostile::with([("pub/a", b"never sent")]), Hostile::start_on(host));
            second.put("elsewhere/a", File::new(*b"bytes"));
            first.always("pub/a", Trick::Redirect(format!("{}elsewhere/a", second.url())));
            let rest = format!("mode = \"{mode}\"\nto = \"{}\"\nhosts = [\"127.0.0.2\"]", first.url());
            let server = stage_with(&rule("**", &rest), "[upstream]\nretries = 0\nbreaker_failures = 100");
            for face in Face::ALL {
                let answer = read(&server, face, "GET", "pub/a");
                assert_eq!((answer.status, answer.header("location")), (502, None), "{mode} {face:?} {host}");
            }
            let told = get(&server, "pub/a").text();
            assert!(told.contains(&format!("{host} at port {}", second.address().port())), "{told}");
            second.assert_not_asked("its port is not named");
        }
    }
}

#[test]
fn only_addresses_of_the_web_are_followed() {
    let upstream = Hostile::start();
    let port = upstream.address().port();
    let server_of = |_: &str| {
        let rest = format!("mode = \"proxy\"\nto = \"{}\"", upstream.url());
        stage_with(&rule("**", &rest), "[upstream]\nretries = 0\nbreaker_failures = 1000")
    };
    let server = server_of("");
    upstream.put("good", File::new(*b"bytes"));
    for (to, status) in [
        ("/good".to_owned(), 200),
        (format!("http://127.0.0.1:{port}/good"), 200),
        (format!("//127.0.0.1:{port}/good"), 200),
        (format!("ftp://127.0.0.1:{port}/good"), 502),
        ("file:///etc/passwd".to_owned(), 502),
        (format!("http://user:secret@127.0.0.1:{port}/good"), 502),
        (format!("http://127.0.0.1:{port}@evil.example/good"), 502),
        ("http://".to_owned(), 502),
        (String::new(), 502),
    ] {
        upstream.always("pub/a", Trick::Redirect(to.clone()));
        let answer = get(&server, "pub/a");
        assert_eq!(answer.status, status, "{to}: {answer:?}");
    }
}

#[test]
fn a_circle_of_redirects_ends() {
    let upstream = Hostile::start();
    upstream.always("pub/a", Trick::Redirect("/pub/b".into()));
    upstream.always("pub/b", Trick::Redirect("/pub/a".into()));
    let rest = format!("mode = \"proxy\"\nto = \"{}\"", upstream.url());
    let server = stage_with(&rule("**", &rest), "[upstream]\nretries = 0");
    let answer = get(&server, "pub/a");
    assert!(matches!(answer.status, 502 | 508), "{answer:?}");
    let asked = upstream.take_seen().len();
    assert!((2..=20).contains(&asked), "{asked} requests");
}

/// The key pair is for the upstream alone, even if it leads to a host that is allowed.
#[test]
fn our_signature_is_never_sent_on_to_another_host() {
    let first = Hostile::start();
    let second = Hostile::start_on(Ipv4Addr::new(127, 0, 0, 2));
    second.put("elsewhere/a", File::new(*b"bytes"));
    first.always(&format!("{PRODUCTION}/pub/a"), Trick::Redirect(format!("{}elsewhere/a", second.url())));
    let keys = ", access_key_id = \"AKIDPRODUCTION\", secret_access_key = \"production-secret\"";
    let hosts = format!("hosts = [\"127.0.0.2:{}\"]", second.address().port());
    let rest = format!("mode = \"proxy\"\n{hosts}\n{}", s3_place(&first, keys));
    let server = stage(&rule("**", &rest));
    assert_eq!(get(&server, "pub/a").text(), "bytes");
    assert!(first.take_seen().iter().all(|seen| seen.header("authorization").is_some()));
    let seen = second.take_seen();
    assert_eq!(seen.len(), 1);
    assert_clean(&seen[0], false);
    assert!(!format!("{seen:?}").contains("AKIDPRODUCTION"), "{seen:?}");
}
