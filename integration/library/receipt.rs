//! The receipt of a stage that is returned, against a count of what was asked for and what came back:
//! by beetmover, by signed requests, by plain ones, and by production's own log.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::engine::engine_answers;
use super::hostile::Hostile;
use super::http;
use super::shelf::{Name, checked_out, done, until};
use super::worker::{FIREFOX, Objects, Worker, catalogue, objects, understudy};

/// A bucket of which a rule denies everything.
const CLOSED: &str = "[[bucket]]\nname = \"denied\"\nanonymous = \"read\"\n\
                      [[bucket.fallback]]\nmatch = \"**\"\nmode = \"deny\"\n";
/// How wide the first column of the text is.
const LABEL_WIDTH: usize = 30;

/// What has been asked for, as `section.what`: how often, and with how many bytes.
type Counts = BTreeMap<String, (u64, u64)>;

fn mar(version: &str, locale: &str) -> String {
    format!("pub/firefox/releases/{version}/update/win64/{locale}/firefox-{version}.complete.mar")
}

struct Client<'a> {
    name: &'a Name,
    worker: Worker,
    counts: Counts,
    reads: usize,
}

impl Client<'_> {
    fn note(&mut self, what: &str, bytes: u64) {
        let counted = self.counts.entry(what.to_owned()).or_default();
        *counted = (counted.0 + 1, counted.1 + bytes);
    }

    /// What beetmover has done: `uploaded` or `copied`.
    fn pushed(&mut self, command: &Value, what: &str) {
        let done = objects(&self.worker.told(command)[what]);
        assert!(done.len() > 3, "{done:?}");
        for (size, _) in done.values() {
            self.note(&format!("written.{what}"), *size);
        }
    }

    /// One signed request, which ends with `status`; gives the bytes of its answer.
    fn signed(&mut self, request: &Value, status: u64) -> u64 {
        let command = json!({ "do": "requests", "bucket": FIREFOX, "wanted": [request] });
        let answer = self.worker.told(&command);
        assert_eq!(answer[0][0], status, "{request}: {answer}");
        answer[0][1].as_u64().expect("a number")
    }

    /// A signed read: how often each is asked is for the log, too.
    fn read(&mut self, request: &Value, status: u64, what: &str) {
        let bytes = self.signed(request, status);
        self.reads += 1;
        self.note(what, bytes);
    }

    /// A plain read, which is not followed to anywhere else.
    fn plain(&mut self, method: &str, path: &str, status: u16, what: &str) {
        let line = format!("{method} /{path} HTTP/1.1\r\n");
        let answer = http::exchange(self.name.address(), &line, b"").expect("an answer");
        assert_eq!(answer.status, status, "{line}{answer:?}");
        self.reads += 1;
        let of_object = status == 200 && method == "GET";
        self.note(what, if of_object { answer.body.len() as u64 } else { 0 });
    }

    /// An update task: what is not here comes by redirect.
    fn update(&mut self, keys: &[String], production: &str) {
        let found = self.worker.told(&json!({ "do": "update", "keys": keys }));
        for (key, facts) in found.as_object().expect("an object") {
            self.reads += 1;
            match (facts[2].as_u64(), facts[0].as_u64()) {
                (Some(0), Some(bytes)) => self.note("read.here", bytes),
                (Some(1), Some(_)) => self.note(&format!("{production}.redirected"), 0),
                _ => panic!("{key}: {facts}"),
            }
        }
    }

    /// Everything that is there is read once, and counted as what is there.
    fn inventory(&mut self) {
        let here: Objects = self.worker.inventory();
        for (key, (size, _)) in here {
            self.reads += 1;
            self.note("read.here", size);
            let bucket = key.split('/').next().unwrap_or_default();
            self.note(&format!("{bucket}.written"), size);
        }
    }

    /// Waits until the log tells of every read: until then one may not have been counted.
    fn settle(&self) {
        let told = || {
            let log = done(&["logs", self.name.as_str()]);
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let reads = lines.filter(|line| {
                ["GetObject", "HeadObject"]
                    .contains(&line["Fields"]["operation"].as_str().unwrap_or_default())
            });
            reads.count()
        };
        until("the log has every read", || told() >= self.reads);
        assert_eq!(told(), self.reads, "reads in the log");
    }
}

/// Writes of all kinds. `odd` makes sizes of one stage differ from those of another.
fn write(client: &mut Client, odd: u64) {
    client.pushed(
        &json!({ "do": "candidates", "version": "83.0b3", "words": odd, "locales": ["de"] }),
        "uploaded",
    );
    client.pushed(&json!({ "do": "releases", "version": "83.0b3" }), "copied");
    let (first, later, parts) = (1_000 + odd, 70_000 + odd, 12_345 + odd);
    for (size, replaced) in [(first, None), (later, Some(first)), (0, Some(later)), (later, Some(0))] {
        client.signed(&json!(["put", "notes/a", size]), 200);
        client.note("written.uploaded", size);
        if let Some(size) = replaced {
            client.note("written.overwritten", size);
        }
    }
    client.signed(&json!(["upload in parts", "notes/parts", parts]), 200);
    client.note("written.uploaded", parts);
    for (key, replaced) in [("notes/b", None), ("notes/c", None), ("notes/parts", Some(parts))] {
        client.signed(&json!(["copy", key, "notes/a"]), 200);
        client.note("written.copied", later);
        if let Some(size) = replaced {
            client.note("written.overwritten", size);
        }
    }
    client.signed(&json!(["copy", "notes/d", "notes/none"]), 404);
    client.signed(&json!(["delete", "notes/b"]), 204);
    // Two objects, and a key that has none.
    client.signed(&json!(["delete several", "notes/c", "notes/none", "notes/parts"]), 200);
    client.signed(&json!(["delete", "notes/b"]), 204);
    for _ in ["b", "c", "parts"] {
        client.note("written.deleted", later);
    }
}

/// Reads of all kinds, and what production has: seen, hidden, and seen again.
fn read(client: &mut Client, production: &str) {
    client.read(&json!(["get", "notes/a"]), 200, "read.here");
    client.read(&json!(["get part", "notes/a", "bytes=10-19"]), 206, "read.here");
    client.read(&json!(["get part", "notes/a", "bytes=900000-"]), 416, "not counted");
    client.read(&json!(["head", "notes/a"]), 200, "read.looked_up");
    client.read(&json!(["get", "notes/none"]), 404, "refused.absent");
    client.read(&json!(["head", "notes/none"]), 404, "refused.absent");
    client.plain("GET", &format!("{FIREFOX}/notes/a"), 403, "refused.forbidden");
    client.plain("GET", "denied/a", 404, "refused.denied");
    client.plain("GET", &mar("83.0b3", "de"), 200, "read.here");
    client.plain("HEAD", &mar("83.0b3", "de"), 200, "read.looked_up");
    client.plain("GET", &mar("83.0b3", "fr"), 404, "refused.under_test");
    client.plain("HEAD", &mar("83.0b4", "de"), 404, "refused.under_test");
    client.plain("HEAD", &mar("83.0b2", "de"), 302, "read.looked_up");

    let redirected = format!("{production}.redirected");
    client.update(&[mar("83.0b3", "de"), mar("83.0b2", "de"), mar("82.0", "de")], production);
    client.plain("GET", &mar("82.0", "fr"), 302, &redirected);
    for key in [mar("82.0", "fr"), mar("83.0b2", "fr")] {
        client.signed(&json!(["delete", key]), 204);
        client.note("written.tombstones", 0);
        client.plain("GET", &key, 404, "refused.hidden");
    }
    understudy(client.name, &["undelete", FIREFOX, &mar("82.0", "fr")]);
    client.note("written.undeleted", 0);
    client.update(&[mar("82.0", "fr")], production);
    client.note(&format!("{FIREFOX}.tombstones"), 0);
    client.counts.remove("not counted");
}

/// Every number of a receipt that is not zero.
fn numbers(receipt: &Value) -> Counts {
    let mut numbers = Counts::new();
    let mut note = |what: String, count: &Value, bytes: &Value| {
        let counted = (count.as_u64().expect("a number"), bytes.as_u64().expect("a number"));
        if counted != (0, 0) {
            assert_eq!(numbers.insert(what.clone(), counted), None, "{what} stands there twice");
        }
    };
    let list = |name: &str| receipt[name].as_array().expect("a list");
    let upstreams = list("production").iter().map(|from| (from["upstream"].as_str().expect("a name"), from));
    let others = receipt.as_object().expect("an object").iter().filter(|(_, value)| value.is_object());
    let sections = others.map(|(name, value)| (name.as_str(), value)).chain(upstreams);
    for (section, values) in sections {
        for (what, amount) in values.as_object().expect("an object") {
            if what == "upstream" {
                continue;
            }
            note(format!("{section}.{what}"), &amount["count"], &amount["bytes"]);
            let times = [&receipt["since"], &amount["first"], &amount["last"], &receipt["until"]];
            let times = times.map(|time| time.as_str());
            assert!(amount["count"] == 0 || times.is_sorted() && times[1].is_some(), "{what}: {amount}");
        }
    }
    for bucket in list("buckets") {
        let name = bucket["bucket"].as_str().expect("a name");
        for what in ["written", "cached"] {
            note(format!("{name}.{what}"), &bucket[what]["objects"], &bucket[what]["bytes"]);
        }
        note(format!("{name}.tombstones"), &bucket["tombstones"], &json!(0));
        assert_eq!(bucket.as_object().map(serde_json::Map::len), Some(4), "{bucket}");
    }
    numbers
}

/// What the text says: the same names, and numbers as people read them.
fn lines(text: &str, production: &str) -> BTreeMap<String, String> {
    let names = BTreeMap::from([
        ("uploaded", "written.uploaded"),
        ("overwritten", "written.overwritten"),
        ("copied", "written.copied"),
        ("deleted", "written.deleted"),
        ("hidden in production", "written.tombstones"),
        ("shown again", "written.undeleted"),
        ("downloads", "read.here"),
        ("looked up", "read.looked_up"),
        ("release under test, not here", "refused.under_test"),
        ("deleted here", "refused.hidden"),
        ("denied by a rule", "refused.denied"),
        ("nowhere", "refused.absent"),
        ("without the right to", "refused.forbidden"),
    ]);
    let mut found = BTreeMap::new();
    let numbers =
        text.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.trim() != production);
    for line in numbers {
        // Names of buckets may be longer than that, and have no spaces.
        let (label, rest) = match line.split_once(' ') {
            Some((bucket, rest)) if rest.contains(" written") => (bucket, rest),
            _ => line.split_at(LABEL_WIDTH.min(line.len())),
        };
        let rest: Vec<_> = rest.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect();
        let label = label.trim();
        let name = match (names.get(label), label) {
            (Some(name), _) => (*name).to_owned(),
            (None, "redirected there") => format!("{production}.redirected"),
            (None, bucket) => bucket.to_owned(),
        };
        // The times come last, and are no numbers of this count.
        let told: Vec<_> = rest.into_iter().filter(|part| !part.contains(':')).collect();
        assert_eq!(found.insert(name, told.join(" ")), None, "{line}");
    }
    found
}

/// A size as people read it.
fn human(bytes: u64) -> String {
    let mut size = f64::from(u32::try_from(bytes).expect("this test moves little"));
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    while size >= 1024.0 {
        size /= 1024.0;
        units.next();
    }
    let unit = units.next().unwrap_or_default();
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.2} {unit}") }
}

/// What the text has to say.
fn told(counts: &Counts, buckets: &[&str]) -> BTreeMap<String, String> {
    let mut lines: BTreeMap<_, _> = counts
        .iter()
        .filter(|(what, _)| !buckets.iter().any(|bucket| what.starts_with(&format!("{bucket}."))))
        .map(|(what, (count, bytes))| {
            let size = if *bytes > 0 { format!(" {}", human(*bytes)) } else { String::new() };
            (what.clone(), format!("{count}{size}"))
        })
        .collect();
    for bucket in buckets {
        let of = |what: &str| counts.get(&format!("{bucket}.{what}")).copied().unwrap_or_default();
        let (count, bytes) = of("written");
        let hidden = match of("tombstones").0 {
            0 => String::new(),
            hidden => format!(", {hidden} deleted and hidden"),
        };
        lines.insert((*bucket).to_owned(), format!("{count} objects ({}) written{hidden}", human(bytes)));
    }
    lines
}

/// Rehearses at a stage of its own; gives what was counted beside it, and production's address.
fn rehearse(name: &Name, odd: u64) -> (Counts, String) {
    let files = ["82.0", "83.0b2", "83.0b3", "83.0b4"]
        .iter()
        .flat_map(|version| ["de", "fr"].map(|locale| (mar(version, locale), vec![b'p'; 5_000])));
    let production = Hostile::with(files);
    checked_out(name, &catalogue(&production, CLOSED), &["--release", "firefox-83.0b3-build1"]);
    let mut client = Client { name, worker: Worker::at(name), counts: Counts::new(), reads: 0 };
    write(&mut client, odd);
    read(&mut client, &production.url());
    client.inventory();
    client.settle();
    // Production counts whoever followed: all but the one that did not want to.
    let followed = production.take_lines().len() as u64;
    let redirected = client.counts[&format!("{}.redirected", production.url())].0;
    assert_eq!(followed + 1, redirected, "what production was asked for");
    (client.counts, production.url())
}

#[test]
fn a_receipt_says_what_was_counted_beside_it_as_json() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("counted");
    let (counts, _) = rehearse(&name, 0);
    let returned: Value =
        serde_json::from_str(&done(&["return", name.as_str(), "--json"])).expect("a JSON object");
    assert_eq!(numbers(&returned["receipt"]), counts, "{returned}");
}

#[test]
fn a_receipt_says_what_was_counted_beside_it_as_text() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("printed");
    let (counts, production) = rehearse(&name, 17);
    let printed = done(&["return", name.as_str()]);
    let receipt = printed.strip_suffix(&format!("{} is returned\n", name.as_str())).expect("the last line");
    let preset = format!("{}{CLOSED}", include_str!("../../docker/mozilla.toml"));
    let buckets: Vec<_> =
        preset.split("[[bucket]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(lines(receipt, &production), told(&counts, &buckets), "{printed}");
}
