//! Checkouts that fail, are given up or are killed: nothing is left, or the doctor finds it.

use std::net::TcpListener;
use std::process::Command;

use super::engine::{docker, engine_answers, run};
use super::shelf::{CATALOGUE, Name, begun, checked_out, checkout, complaint, done, output, until};

#[test]
fn what_fails_says_what_to_do_and_leaves_nothing() {
    if !engine_answers() {
        return;
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let ill = format!("{CATALOGUE}config = 'colour = 1'\n");
    let missing =
        format!("{CATALOGUE}[template.plain.companion.other]\nimage = 'understudy-nobody-has-this:1'\n");
    for (catalogue, more, told) in [
        (CATALOGUE, vec!["--image", "understudy-nobody-has-this:1"], "docker build -f docker/Dockerfile -t"),
        (missing.as_str(), vec![], "there is no image understudy-nobody-has-this:1"),
        (CATALOGUE, vec!["--port", &port], "give another with --port"),
        (ill.as_str(), vec![], "colour"),
        (CATALOGUE, vec!["--from", "nothing"], "the catalogue has no template \"nothing\" (there are plain)"),
        (CATALOGUE, vec!["--from", "ut-nobody@x"], "ut-nobody is not checked out"),
        (CATALOGUE, vec!["--release", "netscape"], "--release"),
    ] {
        let name = Name::new("fails");
        let mut command = checkout(&name, catalogue, &[]);
        // A flag may be given once: the image under test gives way to another one.
        if more.first() == Some(&"--image") {
            command = super::shelf::library(&["checkout", name.as_str()]);
        }
        let output = command.args(&more).output().expect("the binary was built for this test");
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", complaint(&output));
        assert!(complaint(&output).contains(told), "{more:?}: {}", complaint(&output));
        assert_eq!(name.things(), Vec::<String>::new(), "{more:?}");
    }
}

#[test]
fn a_container_of_somebody_else_is_in_the_way_and_stays() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("alien");
    let label = format!("org.mozilla.understudy.test={}", name.as_str());
    docker(&["create", "--name", &name.thing(), "--label", &label, super::image::tag()]);
    let output = checkout(&name, CATALOGUE, &[]).output().expect("the binary was built for this test");
    let stays = docker(&["ps", "--all", "--filter", &format!("label={label}"), "--format", "{{.Names}}"]);
    run(&["rm", "--force", "--volumes", &name.thing()]);
    assert!(complaint(&output).contains("did not make"), "{}", complaint(&output));
    assert_eq!(stays, name.thing());
    assert_eq!(name.things(), Vec::<String>::new());
}

/// Whether the engine has a container of this name, and whether it runs.
fn container(name: &Name) -> (bool, bool) {
    let output = run(&["inspect", "--type", "container", "--format", "{{.State.Running}}", &name.thing()]);
    (output.status.success(), String::from_utf8_lossy(&output.stdout).trim() == "true")
}

#[test]
fn whoever_gives_up_leaves_nothing() {
    if !engine_answers() {
        return;
    }
    for signal in ["-INT", "-TERM"] {
        let name = Name::new("quits");
        let child = begun(&name, CATALOGUE);
        until("its volume", || run(&["volume", "inspect", &name.thing()]).status.success());
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(1), "{signal}: {}", complaint(&ended));
        assert!(complaint(&ended).contains("interrupted"), "{signal}: {}", complaint(&ended));
        assert_eq!(name.things(), Vec::<String>::new(), "{signal}");
    }
}

/// Where a checkout is killed.
type Point = (&'static str, fn(&Name) -> bool);

#[test]
fn what_a_killed_checkout_leaves_is_found_and_cleared_away() {
    if !engine_answers() {
        return;
    }
    let points: [Point; 4] = [
        ("a volume", |name| run(&["volume", "inspect", &name.thing()]).status.success()),
        ("a network", |name| run(&["network", "inspect", &name.thing()]).status.success()),
        ("a container", |name| container(name).0),
        ("a container that runs", |name| container(name).1),
    ];
    for (what, reached) in points {
        let name = Name::new("killed");
        let mut child = begun(&name, CATALOGUE);
        until(what, || reached(&name));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        if name.listed().is_some_and(|stage| stage["state"] == "half-made") {
            let found = output(&["doctor", name.as_str()]);
            assert_eq!(found.status.code(), Some(1), "{what}");
            let words = String::from_utf8_lossy(&found.stdout).into_owned();
            assert!(words.contains("did not end (--fix mends it)"), "{what}: {words}");
            let taken = checkout(&name, CATALOGUE, &[]).output().expect("the binary was built for this test");
            assert!(complaint(&taken).contains("understudy library doctor"), "{what}: {}", complaint(&taken));
            done(&["doctor", "--fix", name.as_str()]);
            assert_eq!(name.things(), Vec::<String>::new(), "{what}");
        }
        assert_eq!(done(&["doctor", name.as_str()]), "all is well\n", "{what}");
        // The engine may have finished what it was asked for; either way the name can be had again.
        if name.things().is_empty() {
            checked_out(&name, CATALOGUE, &[]);
        }
        assert_eq!(name.listed().expect("it is listed")["state"], "healthy", "{what}");
    }
}

#[test]
fn a_stage_that_lost_its_container_keeps_its_volume_until_it_is_returned() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("lost");
    checked_out(&name, CATALOGUE, &[]);
    docker(&["stop", &name.thing()]);
    done(&["doctor", "--fix", name.as_str()]);
    until("it runs again", || container(&name).1);

    // A receipt that cannot be had now may be had later: it is not given up by the way.
    docker(&["pause", &name.thing()]);
    let found = output(&["doctor", "--fix", name.as_str()]);
    assert!(String::from_utf8_lossy(&found.stdout).contains("docker unpause"), "{found:?}");
    let refused = output(&["return", name.as_str()]);
    assert!(complaint(&refused).contains("--without-receipt"), "{}", complaint(&refused));
    docker(&["unpause", &name.thing()]);
    // Its health was asked for while it could not answer.
    until("it is well", || output(&["doctor", name.as_str()]).status.success());

    docker(&["rm", "--force", &name.thing()]);
    let found = output(&["doctor", "--fix", name.as_str()]);
    assert_eq!(found.status.code(), Some(1));
    let words = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(words.contains("its volume still has everything"), "{words}");
    assert!(run(&["volume", "inspect", &name.thing()]).status.success());
    done(&["return", name.as_str()]);
    assert_eq!(name.things(), Vec::<String>::new());
}

/// Whether the engine has a volume of this name.
fn volume(name: &str) -> bool {
    run(&["volume", "inspect", name]).status.success()
}

#[test]
fn a_volume_that_a_killed_engine_left_without_labels_is_cleared_away() {
    if !engine_answers() {
        return;
    }
    // An engine makes the folder of a volume first, and writes its labels down afterwards.
    let name = Name::new("bare");
    let cards = [1, 2].map(|number| format!("{}.card.{number}", name.thing()));
    for bare in [&name.thing(), &cards[0]] {
        docker(&["volume", "create", bare]);
        let taken = checkout(&name, CATALOGUE, &[]).output().expect("the binary was built for this test");
        assert_eq!(taken.status.code(), Some(1), "{bare}");
        assert!(complaint(&taken).contains("did not make"), "{bare}: {}", complaint(&taken));
        let found = output(&["doctor", name.as_str()]);
        let words = String::from_utf8_lossy(&found.stdout).into_owned();
        assert!(words.contains(&format!("the volume {bare} is empty and bears no labels")), "{words}");
        done(&["doctor", "--fix", name.as_str()]);
        assert!(!volume(bare), "{bare}");
        assert_eq!(name.things(), Vec::<String>::new(), "{bare}");
    }

    checked_out(&name, CATALOGUE, &[]);
    docker(&["volume", "create", &cards[1]]);
    let raced = output(&["renew", name.as_str()]);
    assert_eq!(raced.status.code(), Some(1));
    done(&["doctor", "--fix", name.as_str()]);
    done(&["renew", name.as_str()]);
    assert_eq!(name.listed().expect("it is listed")["renewals"], 1);
}

#[test]
fn a_volume_without_labels_that_holds_something_or_is_in_use_is_not_touched() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("theirs");
    let container = format!("{}-keeper", name.thing());
    let mount = format!("{}:/data", name.thing());
    docker(&["create", "--name", &container, "--volume", &mount, super::image::tag()]);
    let in_use = done(&["doctor", "--fix", name.as_str()]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "something").expect("a writable folder");
    let copied = run(&["cp", file.to_str().expect("UTF-8"), &format!("{container}:/data/file")]);
    run(&["rm", "--force", &container]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    assert_eq!(in_use, "all is well\n");
    assert_eq!(done(&["doctor", "--fix", name.as_str()]), "all is well\n");
    assert!(volume(&name.thing()));
}
