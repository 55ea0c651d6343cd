//! understudy as a container, against a real Docker Engine: how large, how fast, with how little,
//! and how it ends.
//!
//! Where no engine answers these tests say so and pass; under `CI=true` that is a failure. Nothing
//! is pulled: the image is built from what is on this machine (see `image.rs`).

#[expect(dead_code, reason = "codes and single headers are not looked at here")]
#[path = "../harness/http.rs"]
mod http;
#[expect(dead_code, reason = "only its patience is needed: the server runs in a container")]
#[path = "../harness/server.rs"]
mod server;

mod compose;
mod engine;
mod image;
mod stage;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::engine::{docker, engine_answers};
use self::stage::Stage;

/// What an image may take.
const IMAGE_BYTES_MAX: u64 = 20_000_000;

#[test]
fn the_image_is_small_and_says_what_it_is() {
    if !engine_answers() {
        return;
    }
    let image = image::tag();
    let size: u64 = docker(&["image", "inspect", "--format", "{{.Size}}", image]).parse().expect("a number");
    assert!(size < IMAGE_BYTES_MAX, "the image has {size} bytes");
    let config = docker(&["image", "inspect", "--format", "{{json .Config}}", image]);
    for part in [
        "\"User\":\"10001:10001\"",
        "\"8000/tcp\"",
        "\"/data\"",
        "\"Entrypoint\":[\"/app/understudy\"]",
        "\"Cmd\":[\"serve\"]",
        "\"/app/understudy\",\"check\"",
        "\"org.opencontainers.image.title\":\"understudy\"",
        concat!("\"org.opencontainers.image.version\":\"", env!("CARGO_PKG_VERSION"), "\""),
        "\"StopSignal\":\"SIGTERM\"",
    ] {
        assert!(config.contains(part), "{part} is not in {config}");
    }
}

#[test]
fn it_runs_as_any_user_with_nothing_and_loses_nothing_when_it_is_stopped() {
    if !engine_answers() {
        return;
    }
    let mut stage = Stage::run(&["--read-only", "--user", "12345", "--cap-drop", "ALL", "--memory", "64m"]);
    let healthy = stage.healthy_after();
    assert!(healthy < Duration::from_secs(1), "it was healthy after {healthy:?}");
    assert_eq!(http::get(stage.address(), "/__version__").status, 200);

    // Writers go on until the server is gone; whatever was acknowledged must be there afterwards.
    let stopping = AtomicBool::new(false);
    let (acknowledged, (took, code)) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                scope.spawn({
                    let stopping = &stopping;
                    let address = stage.address();
                    move || write_until_gone(address, writer, stopping)
                })
            })
            .collect();
        stage.wait_for_objects(50);
        stopping.store(true, Ordering::Release);
        let stopped = stage.stop();
        let written: Vec<String> =
            writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect();
        (written, stopped)
    });
    assert!(took < Duration::from_secs(2), "it took {took:?} to stop");
    assert_eq!(code, 0, "the exit code of a stage that is stopped");
    assert!(acknowledged.len() >= 50, "{} objects were acknowledged", acknowledged.len());

    stage.start_again();
    for key in &acknowledged {
        let answer = http::get(stage.address(), &format!("/one/{key}"));
        assert_eq!((answer.status, answer.text()), (200, key.clone()), "{key}");
    }
}

/// PUTs small objects, each with its key as its content, until the server ends the connection.
fn write_until_gone(address: std::net::SocketAddr, writer: usize, stopping: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let key = format!("{writer}-{number}");
        let head = format!("PUT /one/{key} HTTP/1.1\r\n");
        match http::exchange(address, &head, key.as_bytes()) {
            Ok(answer) if answer.status == 200 => acknowledged.push(key),
            Ok(_) | Err(_) => {
                assert!(stopping.load(Ordering::Acquire), "{head} failed before the stop");
                break;
            }
        }
    }
    acknowledged
}

/// A start as a user with no rights but its own, which fails: what it says, and the command that is
/// to mend it.
fn refusal(mount: &str) -> (String, String) {
    let flags = ["--read-only", "--user", "12345", "--cap-drop", "ALL", "--volume", mount];
    let output = engine::run(&[&["run", "--rm"], &flags[..], &[image::tag()]].concat());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{words}");
    let (told, command) = words.trim_end().split_once("; to mend it: ").unwrap_or((&words, ""));
    (told.to_owned(), command.to_owned())
}

#[test]
fn a_volume_that_cannot_be_written_is_named_with_the_command_that_mends_it() {
    if !engine_answers() {
        return;
    }
    let stage = Stage::run(&["--user", "0"]);
    stage.stop();
    let mount = format!("{}:/data", stage.volume());
    // At first everything is root's, then less and less.
    let keys = "the data folder's credentials cannot be read by uid 12345 (/data/credentials.toml: ";
    let folder = "the data folder /data cannot be written by uid 12345 (/data";
    for (ours, expected) in [
        ("", keys.to_owned()),
        ("credentials.toml", format!("{folder}/lock: ")),
        ("credentials.toml lock", format!("{folder}: ")),
        ("credentials.toml lock .", format!("{folder}/staging: ")),
        ("credentials.toml lock . staging blobs", format!("{folder}/index.sqlite: ")),
    ] {
        let give = format!(
            "cd /data; chown -R 0 . && chmod 755 . && for file in {ours}; do chown 12345 $file; done"
        );
        docker(&["run", "--rm", "--volume", &mount, image::tools_tag(), "sh", "-c", &give]);
        let (told, command) = refusal(&mount);
        assert!(told.contains(&expected) && told.contains("Permission denied"), "{ours:?}: {told}");
        let exact = format!("docker run --rm -v {mount} busybox chown -R 12345 /data");
        assert_eq!(command, exact, "{told}");
    }
    let (_, command) = refusal(&mount);
    let mending: Vec<_> = command.split(' ').skip(1).collect();
    docker(
        &mending
            .iter()
            .map(|word| if *word == "busybox" { image::tools_tag() } else { word })
            .collect::<Vec<_>>(),
    );
    docker(&[
        "run",
        "--rm",
        "--user",
        "12345",
        "--cap-drop",
        "ALL",
        "--volume",
        &mount,
        image::tag(),
        "fsck",
    ]);
}

#[test]
fn a_folder_of_the_host_that_cannot_be_written_is_named_as_the_host_knows_it() {
    if !engine_answers() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (told, command) = refusal(&format!("{}:/data", folder.path().display()));
    assert!(told.contains("12345 (/data"), "{told}");
    // Its name ends as ours does; what is in front may be another file system's.
    let name = folder.path().file_name().expect("a name").to_string_lossy();
    assert!(command.starts_with("on the container's host, sudo chown -R 12345 /"), "{command}");
    assert!(command.ends_with(&*name), "{command}");
}
