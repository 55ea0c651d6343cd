//! Two releases in a row at one stage: the second one's updates come from the first, and it is gone
//! back to between them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::engine::engine_answers;
use super::hostile::{File, Hostile};
use super::http;
use super::shelf::{Name, checked_out, done};
use super::worker::{FIREFOX, Objects, Worker, catalogue, objects, understudy};

const PREVIOUS: &str = "83.0b2";
const FIRST: &str = "83.0b3";
const SECOND: &str = "83.0b4";

fn mar(version: &str, locale: &str) -> String {
    format!("pub/firefox/releases/{version}/update/win64/{locale}/firefox-{version}.complete.mar")
}

/// A MAR of the candidates, which is where those of a release are before it is one.
fn candidate(version: &str, locale: &str) -> String {
    let folder = format!("pub/firefox/candidates/{version}-candidates/build1");
    format!("{folder}/update/win64/{locale}/firefox-{version}.complete.mar")
}

/// Production has what was before, and both of the releases with other bytes.
fn production() -> Hostile {
    let mut keys = Vec::new();
    for (version, locale) in [PREVIOUS, FIRST, SECOND].iter().flat_map(|version| {
        // French is of production's releases only.
        ["de", "en-US", "fr"].map(|locale| (*version, locale))
    }) {
        keys.extend([mar(version, locale), candidate(version, locale)]);
    }
    Hostile::with(keys.into_iter().map(|key| (key.clone(), of_production(&key))))
}

fn of_production(key: &str) -> Vec<u8> {
    format!("production's {key}\n").repeat(1_000).into_bytes()
}

/// What a file of production is told as when it came by one redirect.
fn redirected(key: &str) -> (u64, String, u64) {
    let bytes = of_production(key);
    let digest = File::new(bytes.clone()).value("ETag").expect("a tag").trim_matches('"').to_owned();
    (bytes.len() as u64, digest, 1)
}

/// What an update task gets of a file, where all of this is here: size, digest and redirects.
fn gets(key: &str, here: &Objects) -> (u64, String, u64) {
    match here.get(&format!("{FIREFOX}/{key}")) {
        Some((size, digest)) => (*size, digest.clone(), 0),
        None => redirected(key),
    }
}

/// A stage with its worker, and what has to be there.
struct Stage<'a> {
    name: &'a Name,
    production: &'a Hostile,
    worker: Worker,
}

impl Stage<'_> {
    /// Candidates and the release of a version, all that it has written.
    fn release(&mut self, version: &str, words: &str) -> Objects {
        let pushed = json!({ "do": "candidates", "version": version, "words": words });
        let mut written = objects(&self.worker.told(&pushed)["uploaded"]);
        written
            .extend(objects(&self.worker.told(&json!({ "do": "releases", "version": version }))["copied"]));
        written
    }

    /// The update task of a version: what it updates to is here, and so is what was released here
    /// before; anything older is production's, which is asked for that and for nothing else.
    fn update(&mut self, to: &str, from: &[&str], here: &Objects) {
        let locales = ["de", "en-US"];
        let mut wanted = BTreeMap::new();
        let versions: Vec<_> = [to].iter().chain(from).copied().collect();
        for key in versions.iter().flat_map(|version| locales.map(|locale| mar(version, locale))) {
            wanted.insert(key.clone(), gets(&key, here));
        }
        for key in locales.map(|locale| candidate(to, locale)) {
            wanted.insert(key.clone(), gets(&key, here));
        }
        let keys: Vec<_> = wanted.keys().collect();
        let found = self.worker.told(&json!({ "do": "update", "keys": keys }));
        let found: BTreeMap<String, (u64, String, u64)> =
            serde_json::from_value(found).expect("sizes, digests and redirects");
        assert_eq!(found, wanted, "the update task of {to}");

        let mut asked = self.production.take_lines();
        asked.sort_unstable();
        let previous: Vec<_> =
            locales.iter().map(|locale| format!("GET {}", mar(PREVIOUS, locale))).collect();
        assert_eq!(asked, previous, "what production was asked for {to}");
    }

    /// What production has of a release under test is not to be had, whoever asks and however.
    fn assert_hidden(&self, versions: &[&str], locale: &str) {
        for key in versions.iter().flat_map(|version| [mar(version, locale), candidate(version, locale)]) {
            for (method, place) in [("GET", ""), ("HEAD", ""), ("GET", "net-mozaws-stage-delivery-firefox/")]
            {
                let line = format!("{method} /{place}{key} HTTP/1.1\r\n");
                let answer = http::exchange(self.name.address(), &line, b"").expect("an answer");
                assert_eq!(answer.status, 404, "{line}{answer:?}");
            }
        }
        self.production.assert_not_asked("releases under test");
    }
}

fn both(first: &Objects, second: &Objects) -> Objects {
    first.iter().chain(second).map(|(key, facts)| (key.clone(), facts.clone())).collect()
}

#[test]
fn the_second_release_of_a_chain_updates_from_the_first_and_can_be_done_again() {
    if !engine_answers() {
        return;
    }
    let production = production();
    let name = Name::new("chain");
    // The first one hides everything newer of Firefox, and so the second one, too.
    let releases = [format!("firefox-{FIRST}-build1"), "devedition-84.0b1-build1".to_owned()];
    let [of_firefox, other] = [0, 1].map(|number| ["--release", &releases[number]]);
    checked_out(&name, &catalogue(&production, ""), &[of_firefox, other].concat());
    assert_eq!(name.listed().expect("it is listed")["lease"]["release"], releases.join(","));
    // Of the other product likewise: what is older is production's.
    for (version, status) in [("83.0b9", 302), ("84.0b1", 404), ("84.0b2", 404)] {
        let key = mar(version, "de").replace("firefox", "devedition");
        assert_eq!(http::get(name.address(), &format!("/{key}")).status, status, "{key}");
    }
    let mut stage = Stage { name: &name, production: &production, worker: Worker::at(&name) };

    stage.assert_hidden(&[FIRST, SECOND], "de");
    let first = stage.release(FIRST, "the first");
    stage.update(FIRST, &[PREVIOUS], &first);
    understudy(&name, &["snapshot", "create", "after-the-first"]);

    let once = stage.release(SECOND, "the second");
    assert!(!once.is_empty() && once.keys().all(|key| !first.contains_key(key)));
    let here = both(&first, &once);
    assert_eq!(stage.worker.inventory(), here);
    stage.update(SECOND, &[FIRST, PREVIOUS], &here);
    stage.assert_hidden(&[FIRST, SECOND], "fr");
    // Without going back the same release cannot be pushed with other content.
    let pushed = json!({ "do": "candidates", "version": SECOND, "words": "the second, again" });
    stage.worker.told(&pushed);
    stage.worker.told(&json!({ "do": "conflict", "version": SECOND }));

    done(&["reset", name.as_str(), "--to", "after-the-first"]);
    assert_eq!(stage.worker.inventory(), first, "after going back");
    stage.assert_hidden(&[SECOND], "de");
    stage.update(FIRST, &[PREVIOUS], &first);

    let again = stage.release(SECOND, "the second, again");
    assert_eq!(again.keys().collect::<Vec<_>>(), once.keys().collect::<Vec<_>>());
    assert!(again.iter().all(|(key, facts)| once[key] != *facts), "other content");
    let here = both(&first, &again);
    assert_eq!(stage.worker.inventory(), here);
    stage.update(SECOND, &[FIRST, PREVIOUS], &here);
    stage.assert_hidden(&[FIRST, SECOND], "fr");

    // Production was never tried behind our back, either: the container does not reach it.
    let returned: Value =
        serde_json::from_str(&done(&["return", name.as_str(), "--json"])).expect("a JSON object");
    let of_production = returned["receipt"]["production"].as_array().expect("a list");
    assert_eq!(of_production.len(), 1, "{returned}");
    assert_eq!(of_production[0]["upstream"], production.url(), "{returned}");
    assert_eq!(
        (&of_production[0]["redirected"]["count"], &of_production[0]["failed"]["count"]),
        (&9.into(), &0.into())
    );
}
