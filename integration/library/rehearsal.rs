//! Two people rehearse the same release at the same time, each at a stage of their own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::engine::engine_answers;
use super::hostile::Hostile;
use super::http;
use super::shelf::{Name, checked_out, done};
use super::worker::{FIREFOX, Objects, Worker, catalogue, objects, together};

const VERSION: &str = "83.0b3";

/// What each of the two answers to a command; `words` are different for each.
fn both(workers: &mut [Worker; 2], command: &Value) -> [Value; 2] {
    let [ann, bob] = workers;
    let of = |words: &str| {
        let mut command = command.clone();
        if command.get("words").is_some() {
            command["words"] = words.into();
        }
        command
    };
    together([ann, bob], &[of("ann"), of("bob")])
}

/// What the archive shows of a folder; production's times are not among it.
fn index(name: &Name, folder: &str) -> Value {
    let line = format!("GET /{folder} HTTP/1.1\r\nAccept: application/json\r\n");
    let answer = http::exchange(name.address(), &line, b"").expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn two_people_push_the_same_release_at_the_same_time_and_do_not_see_each_other() {
    if !engine_answers() {
        return;
    }
    let production = Hostile::start();
    let names = [Name::new("ann"), Name::new("bob")];
    let catalogue = catalogue(&production, "");
    std::thread::scope(|scope| {
        for (name, person) in names.iter().zip(["ann", "bob"]) {
            let more = ["--for", person, "--release", "firefox-83.0b3-build1"];
            let catalogue = &catalogue;
            scope.spawn(move || checked_out(name, catalogue, &more));
        }
    });
    let mut workers = [Worker::at(&names[0]), Worker::at(&names[1])];
    let mut expected: [Objects; 2] = Default::default();
    // Nobody begins a step before both have done the one before: whoever is faster is held back, so
    // that neither release can be over when the other one begins.
    for command in [
        json!({ "do": "candidates", "version": VERSION, "words": "", "locales": ["de"] }),
        json!({ "do": "candidates", "version": VERSION, "words": "", "locales": ["en-US"] }),
        json!({ "do": "releases", "version": VERSION }),
        json!({ "do": "elsewhere", "version": VERSION, "words": "" }),
        json!({ "do": "today", "version": VERSION, "words": "" }),
    ] {
        for (expected, answer) in expected.iter_mut().zip(both(&mut workers, &command)) {
            let kinds = ["uploaded", "copied"].map(|kind| answer.get(kind).map(objects));
            expected.extend(kinds.into_iter().flatten().flatten());
        }
    }

    let [of_ann, of_bob] = both(&mut workers, &json!({ "do": "inventory" })).map(|answer| objects(&answer));
    assert_eq!((&of_ann, &of_bob), (&expected[0], &expected[1]), "what is there and what was pushed");
    // The same keys, and no object of the one has the bytes of any object of the other.
    assert_eq!(of_ann.keys().collect::<Vec<_>>(), of_bob.keys().collect::<Vec<_>>());
    let digests = |all: &Objects| all.values().map(|(_, digest)| digest.clone()).collect::<BTreeSet<_>>();
    let shared: Vec<_> = digests(&of_ann).intersection(&digests(&of_bob)).cloned().collect();
    assert_eq!(shared, Vec::<String>::new(), "contents that both have");
    assert!(of_ann.keys().filter(|key| key.starts_with(FIREFOX)).count() > 20, "{of_ann:?}");
    for folder in ["", "candidates/", "releases/", "releases/83.0b3/update/win64/de/"] {
        let folder = format!("pub/firefox/{folder}");
        let [mut ann, mut bob] = [&names[0], &names[1]].map(|name| index(name, &folder));
        for listed in [&mut ann, &mut bob] {
            for file in listed["files"].as_array_mut().expect("a list") {
                file.as_object_mut().expect("an object").remove("last_modified");
            }
        }
        assert_eq!(ann, bob, "{folder}");
    }

    // What the one has is for the other one's keys as if it were not there.
    let urls = [&names[1], &names[0]].map(|name| format!("http://{}", name.address()));
    let [ann, bob] = &mut workers;
    let strangers = urls.map(|url| json!({ "do": "stranger", "url": url }));
    assert_eq!(together([ann, bob], &strangers), [json!({ "refused": 4 }), json!({ "refused": 4 })]);
    // Each receipt tells of one release. Nobody asked production, or tried to: nothing failed.
    for (name, objects) in names.iter().zip([of_ann, of_bob]) {
        let returned: Value =
            serde_json::from_str(&done(&["return", name.as_str(), "--json"])).expect("a JSON object");
        let receipt = &returned["receipt"];
        let written = ["uploaded", "copied"].map(|what| receipt["written"][what]["count"].as_u64());
        assert_eq!(written.iter().flatten().sum::<u64>(), objects.len() as u64, "{receipt}");
        assert_eq!(receipt["production"], json!([]), "{receipt}");
        assert_eq!(receipt["refused"]["forbidden"]["count"], 4, "{receipt}");
    }
    production.assert_not_asked("the release under test is nowhere else");
}
