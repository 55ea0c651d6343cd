//! Plans of checkouts, as words and in the parts that matter.

use std::net::Ipv4Addr;

use super::{Checkout, Plan, Source, Unplannable};
use crate::library::catalogue::{BUILT_IN, Catalogue};
use crate::library::labels;
use crate::library::name::StageName;
use crate::library::spec::{ContainerSpec, Secrets};
use crate::library::step::{Step, Undo};
use crate::model::{AccessKeyId, SecretKey, Timestamp};

fn name(text: &str) -> StageName {
    StageName::parse(text).expect("a name")
}

fn checkout(catalogue: &str, template: &str) -> Checkout {
    let catalogue = Catalogue::parse(catalogue).expect("a catalogue");
    Checkout {
        name: name("one"),
        person: "nick".to_owned(),
        purpose: None,
        release: Some("firefox-83.0b3-build1".to_owned()),
        template_name: template.to_owned(),
        template: catalogue.templates[template].clone(),
        source: Source::Template,
        now: Timestamp::parse_iso("2026-11-20T12:00:00Z").expect("a time"),
        due: Timestamp::parse_iso("2026-11-27T12:00:00Z").expect("a time"),
        owner: "nick@desk".to_owned(),
        image: None,
        port: None,
        publish_on: Ipv4Addr::LOCALHOST.into(),
        access_key_id: AccessKeyId::parse("UNDERSTUDYAAAAAAAAAA").expect("an id"),
        secret_key: SecretKey::parse("a-secret-of-this-stage").expect("a secret"),
        source_keys: Secrets(vec![("AWS_SECRET_ACCESS_KEY".to_owned(), "a-secret-of-nick".to_owned())]),
        checkout: "0123".to_owned(),
        maker: "here 1/2".to_owned(),
    }
}

fn words(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(Step::words).collect()
}

fn container<'plan>(plan: &'plan Plan, name: &str) -> &'plan ContainerSpec {
    let specs = plan.steps.iter().filter_map(|step| match step {
        Step::MakeContainer(spec) => Some(spec.as_ref()),
        Step::FindImage(_)
        | Step::MakeVolume { .. }
        | Step::MakeNetwork { .. }
        | Step::Fork { .. }
        | Step::PutFile { .. }
        | Step::Start { .. }
        | Step::AwaitHealth { .. }
        | Step::Seed { .. }
        | Step::MakeAccount { .. }
        | Step::Snapshot { .. }
        | Step::MakeCard { .. } => None,
    });
    specs.into_iter().find(|spec| spec.name == name).expect("a container of this name")
}

fn variable<'spec>(spec: &'spec ContainerSpec, name: &str) -> Option<&'spec str> {
    spec.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_volume_comes_first_and_the_card_last() {
    let plan = checkout(BUILT_IN, "mozilla").plan().expect("a plan");
    assert_eq!(
        words(&plan),
        [
            "find the image understudy:latest",
            "make the volume understudy-one",
            "make the network understudy-one",
            "make the container understudy-one",
            "start understudy-one",
            "wait until understudy-one is healthy",
            "make a service account",
            "make the snapshot checkout",
            "write the card understudy-one.card.1",
        ]
    );
    let undone: Vec<_> = plan.steps.iter().rev().filter_map(Step::undo).collect();
    assert_eq!(
        undone,
        [
            Undo::Volume("understudy-one.card.1".to_owned()),
            Undo::Container("understudy-one".to_owned()),
            Undo::Network("understudy-one".to_owned()),
            Undo::Volume("understudy-one".to_owned()),
        ]
    );
}

#[test]
fn a_store_has_its_settings_and_keys_and_shows_them_to_nobody() {
    let plan = checkout(BUILT_IN, "mozilla").plan().expect("a plan");
    let store = container(&plan, "understudy-one");
    for (name, value) in [
        ("UNDERSTUDY_PRESET", Some("mozilla")),
        ("UNDERSTUDY_UNDER_TEST", Some("firefox-83.0b3-build1")),
        ("UNDERSTUDY_DATA_DIR", Some("/data/stage")),
        ("UNDERSTUDY_ACCESS_KEY_ID", Some("UNDERSTUDYAAAAAAAAAA")),
        ("UNDERSTUDY_SECRET_ACCESS_KEY", Some("a-secret-of-this-stage")),
        ("UNDERSTUDY_CONFIG", None),
        ("UNDERSTUDY_BUCKETS", None),
    ] {
        assert_eq!(variable(store, name), value, "{name}");
    }
    assert!(!format!("{plan:?}").contains("a-secret"), "{plan:?}");
    assert_eq!(store.network.as_ref().map(|(_, names)| names.join(" ")).as_deref(), Some("store one"));
    assert!(store.confined && store.ports.iter().all(|port| port.address.is_loopback()));
    assert_eq!(store.labels[labels::LEASE], plan.lease.to_label());
    assert!(plan.lease.to_label().contains("\"template\":\"mozilla\""));
}

const FULL: &str = "default = 'a'\n[template.a]\nimage = 'mine'\nbuckets = ['one', 'two']\nanonymous = 'read'\n\
     config = '[limits]'\nseed = [{ from = 's3://b/p', bucket = 'one', prefix = 'p/' }]\n\
     [template.a.environment]\nUNDERSTUDY_LOG = 'debug'\nWHO = '${person}'\n\
     [template.a.companion.balrog]\nimage = 'balrog'\nports = [80]\nwait_for = ['db', 'store']\n\
     command = ['serve', '${store.url}']\nhealth = { command = ['ok'] }\n\
     [template.a.companion.balrog.environment]\nID = '${access_key_id}'\nKEY = '${secret_access_key}'\nR = '${release}'\n\
     [template.a.companion.db]\nimage = 'db'\nwait_for = []\n";

#[test]
fn companions_follow_the_store_in_their_order() {
    let plan = checkout(FULL, "a").plan().expect("a plan");
    assert_eq!(
        words(&plan),
        [
            "find the image mine",
            "find the image db",
            "find the image balrog",
            "make the volume understudy-one",
            "make the network understudy-one",
            "make the container understudy-one",
            "put understudy.toml into it",
            "start understudy-one",
            "wait until understudy-one is healthy",
            "copy s3://b/p to one",
            "make a service account",
            "make the container understudy-one.db",
            "start understudy-one.db",
            "make the container understudy-one.balrog",
            "start understudy-one.balrog",
            "wait until understudy-one.balrog is healthy",
            "make the snapshot checkout",
            "write the card understudy-one.card.1",
        ]
    );
    let store = container(&plan, "understudy-one");
    for (name, value) in [
        ("UNDERSTUDY_BUCKETS", "one,two"),
        ("UNDERSTUDY_CONFIG", "/data/understudy.toml"),
        ("UNDERSTUDY_LOG", "debug"),
        ("WHO", "nick"),
    ] {
        assert_eq!(variable(store, name), Some(value), "{name}");
    }
    // Whoever looks at the container must not find the keys of the person.
    assert!(store.environment.iter().all(|(_, value)| value != "a-secret-of-nick"));
    let balrog = container(&plan, "understudy-one.balrog");
    assert_eq!(balrog.command, ["serve", "http://store:8000"]);
    for (name, value) in
        [("ID", "UNDERSTUDYAAAAAAAAAA"), ("KEY", "a-secret-of-this-stage"), ("R", "firefox-83.0b3-build1")]
    {
        assert_eq!(variable(balrog, name), Some(value), "{name}");
    }
    assert_eq!(variable(balrog, "UNDERSTUDY_SECRET_ACCESS_KEY"), None);
}

#[test]
fn a_fork_fills_the_volume_before_the_store_starts() {
    let source = Source::Fork { stage: name("two"), snapshot: "after-82".to_owned() };
    let plan = Checkout { source: source.clone(), image: Some("other".to_owned()), ..checkout(FULL, "a") }
        .plan()
        .expect("a plan");
    let words = words(&plan);
    let at = |text: &str| {
        words.iter().position(|word| word == text).unwrap_or_else(|| panic!("{text}: {words:?}"))
    };
    assert!(at("make the container understudy-one") < at("fork two at after-82"));
    assert!(at("fork two at after-82") < at("start understudy-one"));
    assert_eq!(at("find the image other"), 0);
    assert_eq!(plan.lease.from.as_deref(), Some("two@after-82"));
    // The template's seed would bring back what is deleted in the snapshot.
    assert!(words.iter().all(|word| !word.starts_with("copy ")), "{words:?}");
    let itself = Checkout { source, name: name("two"), ..checkout(FULL, "a") };
    assert_eq!(itself.plan(), Err(Unplannable::FromItself(name("two"))));
}

#[test]
fn a_stage_is_not_called_as_one_of_its_companions() {
    let taken = Checkout { name: name("balrog"), ..checkout(FULL, "a") };
    assert_eq!(taken.plan(), Err(Unplannable::NameTaken(name("balrog"))));
}

#[test]
fn nothing_is_said_of_a_release_that_nobody_named() {
    for (release, expected, companions) in [
        (None, None, ""),
        (Some("none"), Some("none"), ""),
        (Some("firefox-83.0"), Some("firefox-83.0"), "firefox-83.0"),
    ] {
        let mut checkout = checkout(FULL, "a");
        checkout.release = release.map(str::to_owned);
        let plan = checkout.plan().expect("a plan");
        // An empty variable would say nothing; without any, a fork has what its snapshot holds.
        assert_eq!(variable(container(&plan, "understudy-one"), "UNDERSTUDY_UNDER_TEST"), expected);
        assert_eq!(variable(container(&plan, "understudy-one.balrog"), "R"), Some(companions));
        assert_eq!(plan.lease.release.as_deref(), expected);
    }
}
