//! Several hands at one stage: whoever comes second is told, and nobody's work is taken away.

use serde_json::Value;

use super::engine::{docker, engine_answers, run};
use super::image;
use super::shelf::{CATALOGUE, Name, checked_out, complaint, done, output};

#[test]
fn who_is_not_the_first_to_change_a_lease_changes_nothing() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("hands");
    checked_out(&name, CATALOGUE, &[]);
    let before = name.things();
    // The next card as somebody else writes it at this moment; no listing shows it yet.
    let next = format!("{}.card.2", name.thing());
    docker(&["volume", "create", &next]);
    for arguments in [&["renew", name.as_str()][..], &["return", name.as_str()]] {
        let refused = output(arguments);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(complaint(&refused).contains("somebody else has just changed"), "{}", complaint(&refused));
        assert_eq!(name.things(), before, "{arguments:?}");
    }
    docker(&["volume", "rm", &next]);
    done(&["return", name.as_str()]);
    assert_eq!(name.things(), Vec::<String>::new());
}

#[test]
fn a_return_that_was_begun_elsewhere_is_known_for_one() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("claimed");
    checked_out(&name, CATALOGUE, &[]);
    let checkout = docker(&[
        "inspect",
        "--format",
        "{{index .Config.Labels \"org.mozilla.understudy.checkout\"}}",
        &name.thing(),
    ]);
    let labels = [
        format!("org.mozilla.understudy.stage={}", name.as_str()),
        "org.mozilla.understudy.role=card".to_owned(),
        format!("org.mozilla.understudy.checkout={checkout}"),
        "org.mozilla.understudy.card={\"due\":\"2026-11-27T12:00:00Z\",\"renewals\":0,\
         \"returned\":\"2026-11-20T12:00:00Z\"}"
            .to_owned(),
    ];
    let mut arguments = vec!["volume", "create"];
    arguments.extend(labels.iter().flat_map(|label| ["--label", label.as_str()]));
    let card = format!("{}.card.2", name.thing());
    arguments.push(&card);
    docker(&arguments);
    for command in ["renew", "return", "env"] {
        let refused = output(&[command, name.as_str()]);
        assert!(complaint(&refused).contains("it is being returned right now"), "{}", complaint(&refused));
    }
    let found = output(&["doctor", name.as_str()]);
    let words = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(words.contains("its return did not end (--fix mends it)"), "{words}");
    done(&["doctor", "--fix", name.as_str()]);
    assert_eq!(name.things(), Vec::<String>::new());
}

#[test]
fn clients_on_the_network_do_not_hold_a_return_back() {
    if !engine_answers() {
        return;
    }
    let (name, client) = (Name::new("joined"), Name::new("client"));
    checked_out(&name, CATALOGUE, &[]);
    let joined = client.thing();
    docker(&["run", "--detach", "--name", &joined, "--network", &name.thing(), image::tag()]);
    let returned = output(&["return", name.as_str()]);
    let runs = docker(&["inspect", "--format", "{{.State.Running}}", &joined]);
    run(&["rm", "--force", "--volumes", &joined]);
    assert!(returned.status.success(), "{}", complaint(&returned));
    assert_eq!(runs, "true", "the client is somebody else's");
    assert_eq!(name.things(), Vec::<String>::new());
}

#[test]
fn a_volume_that_a_stranger_uses_is_told_before_anything_is_gone() {
    if !engine_answers() {
        return;
    }
    let (name, stranger) = (Name::new("shared"), Name::new("stranger"));
    checked_out(&name, CATALOGUE, &[]);
    let before = name.things();
    let mount = format!("{}:/elsewhere:ro", name.thing());
    docker(&["create", "--name", &stranger.thing(), "--volume", &mount, image::tag()]);
    let refused = output(&["return", name.as_str()]);
    run(&["rm", "--force", "--volumes", &stranger.thing()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains(&stranger.thing()), "{}", complaint(&refused));
    assert_eq!(name.things(), before);
}

#[test]
fn a_lease_is_not_shortened_by_the_way() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("longer");
    checked_out(&name, CATALOGUE, &["--due", "2h"]);
    let due = || name.listed().expect("it is listed")["due"].as_str().expect("a time").to_owned();
    done(&["renew", name.as_str(), "--due", "30d"]);
    let month = due();
    let renewed: Value = serde_json::from_str(&done(&["renew", name.as_str(), "--json"])).expect("JSON");
    assert_eq!((renewed["due"].as_str(), due()), (Some(month.as_str()), month.clone()));
    let never = output(&["renew", name.as_str(), "--due", "99999999d"]);
    assert!(complaint(&never).contains("at the most"), "{}", complaint(&never));
    done(&["renew", name.as_str(), "--due", "1h"]);
    assert!(due() < month, "who says a time gets it");
}
