//! Stages that are overdue: reminded of, stopped, returned, one step at a time.

use serde_json::Value;

use super::engine::{docker, engine_answers};
use super::shelf::{CATALOGUE, Name, checked_out, complaint, done, output};

fn swept(name: &Name, more: &[&str]) -> Option<Value> {
    let mut arguments = vec!["sweep", name.as_str(), "--grace", "0s", "--json"];
    arguments.extend(more);
    let text = done(&arguments);
    assert!(text.lines().count() < 2, "{text}");
    text.lines().next().map(|line| serde_json::from_str(line).expect("JSON"))
}

#[test]
fn an_overdue_stage_is_warned_of_then_stopped_then_returned() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("late");
    checked_out(&name, CATALOGUE, &["--due", "1h"]);
    assert_eq!(swept(&name, &[]), None);
    done(&["renew", name.as_str(), "--due", "0s"]);
    assert_eq!(swept(&name, &["--dry-run"]).expect("it is overdue")["done"], false);

    let running = || docker(&["inspect", "--format", "{{.State.Running}}", &name.thing()]);
    assert_eq!(swept(&name, &[]).expect("it is overdue")["action"], "warn");
    assert_eq!(running(), "true");
    assert_eq!(swept(&name, &[]).expect("it is overdue")["action"], "stop");
    assert_eq!(running(), "false");
    // What a sweep has stopped is not ill.
    assert_eq!(done(&["doctor", name.as_str()]), "all is well\n");

    for command in ["reset", "env"] {
        let refused = output(&[command, name.as_str()]);
        let advice = format!("`understudy library renew {}` starts it", name.as_str());
        assert!(complaint(&refused).contains(&advice), "{}", complaint(&refused));
    }

    // Renewing starts it and begins anew.
    done(&["renew", name.as_str(), "--due", "0s"]);
    assert_eq!(running(), "true");
    for action in ["warn", "stop", "return"] {
        let told = swept(&name, &[]).expect("it is overdue");
        assert_eq!((&told["action"], &told["done"]), (&action.into(), &true.into()), "{told}");
    }
    assert_eq!(name.things(), Vec::<String>::new());
}
