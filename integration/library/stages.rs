//! Stages that are checked out: what they are, who reaches them, and what names and ports they share.

use serde_json::Value;

use super::engine::{docker, engine_answers};
use super::http;
use super::image;
use super::shelf::{CATALOGUE, Name, checked_out, checkout, complaint, done, library, output};

#[test]
fn a_stage_is_checked_out_used_renewed_and_returned() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("life");
    checked_out(
        &name,
        CATALOGUE,
        &["--for", "nick", "--purpose", "a test", "--release", "firefox-83.0b3-build1"],
    );

    let listed = name.listed().expect("it is listed");
    assert_eq!((&listed["state"], &listed["standing"]), (&"healthy".into(), &"ok".into()), "{listed}");
    assert_eq!((&listed["lease"]["for"], &listed["lease"]["purpose"]), (&"nick".into(), &"a test".into()));
    let shown = done(&["show", name.as_str()]);
    assert!(shown.contains("firefox-83.0b3-build1"), "{shown}");

    let variables: Value =
        serde_json::from_str(&done(&["env", name.as_str(), "--json"])).expect("a JSON object");
    assert_eq!(variables["AWS_ENDPOINT_URL"], listed["url"]);
    let secret = variables["AWS_SECRET_ACCESS_KEY"].as_str().expect("a secret");
    assert_eq!(secret.len(), 40);
    assert!(!shown.contains(secret) && !listed.to_string().contains(secret));
    let under_test = docker(&["inspect", "--format", "{{.Config.Env}}", &name.thing()]);
    assert!(under_test.contains("UNDERSTUDY_UNDER_TEST=firefox-83.0b3-build1"));

    let put = http::exchange(name.address(), "PUT /one/key HTTP/1.1\r\n", b"content").expect("an answer");
    assert_eq!(put.status, 200, "{put:?}");

    let due = listed["due"].as_str().expect("a time").to_owned();
    done(&["renew", name.as_str(), "--due", "30d"]);
    let renewed = name.listed().expect("it is listed");
    assert!(renewed["due"].as_str().expect("a time") > due.as_str(), "{renewed}");
    assert_eq!(renewed["renewals"], 1);
    let cards: Vec<_> = name.things().into_iter().filter(|thing| thing.contains(".card.")).collect();
    assert_eq!(cards, [format!("volume {}.card.2", name.thing())]);
    assert_eq!(http::get(name.address(), "/one/key").text(), "content");
    assert!(done(&["logs", name.as_str()]).contains("ready"));
    assert_eq!(done(&["doctor", name.as_str()]), "all is well\n");

    done(&["return", name.as_str()]);
    assert_eq!(name.things(), Vec::<String>::new());
    let again = output(&["return", name.as_str()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(complaint(&again).contains("is not checked out"), "{}", complaint(&again));
}

#[test]
fn a_store_has_no_rights_that_it_does_not_need() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("closed");
    checked_out(&name, CATALOGUE, &[]);
    let look = |path: &str| docker(&["inspect", "--format", path, &name.thing()]);
    for (path, expected) in [
        ("{{.HostConfig.ReadonlyRootfs}}", "true"),
        ("{{.HostConfig.CapDrop}}", "[ALL]"),
        ("{{.HostConfig.SecurityOpt}}", "[no-new-privileges:true]"),
        ("{{.HostConfig.Memory}}", "134217728"),
        ("{{.HostConfig.RestartPolicy.Name}}", "unless-stopped"),
        ("{{.HostConfig.Tmpfs}}", "map[/tmp:size=64m,mode=1777]"),
        ("{{.Config.User}}", "10001:10001"),
        ("{{.Config.StopTimeout}}", "15"),
        ("{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}}{{end}}{{end}}", "127.0.0.1"),
        ("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}", &name.thing()),
    ] {
        assert_eq!(look(path), expected, "{path}");
    }
}

#[test]
fn a_name_is_given_to_one_of_those_who_ask_at_once() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("race");
    let people = ["ann", "bob", "cy"];
    let started: Vec<_> = people
        .iter()
        .map(|person| {
            let mut command = checkout(&name, CATALOGUE, &["--for", person]);
            command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
            command.spawn().expect("the binary was built for this test")
        })
        .collect();
    let ended: Vec<_> = started.into_iter().map(|child| child.wait_with_output().expect("it ends")).collect();
    let winners: Vec<_> = people.iter().zip(&ended).filter(|(_, output)| output.status.success()).collect();
    assert_eq!(winners.len(), 1, "{ended:?}");
    let winner = *winners[0].0;
    for output in ended.iter().filter(|output| !output.status.success()) {
        let words = complaint(output);
        assert!(words.contains("checked out for"), "{words}");
        assert!(words.contains(winner), "{words}");
    }
    let listed = name.listed().expect("it is listed");
    assert_eq!((&listed["state"], &listed["lease"]["for"]), (&"healthy".into(), &winner.into()));
    assert_eq!(name.things().len(), 4, "{:?}", name.things());

    let late = checkout(&name, CATALOGUE, &["--for", "dee"]).output().expect("it ends");
    let expected = format!("{} is checked out for {winner} until 20", name.as_str());
    assert!(complaint(&late).contains(&expected), "{}", complaint(&late));
}

#[test]
fn a_companion_finds_the_store_by_its_name_and_keys() {
    if !engine_answers() {
        return;
    }
    let name = Name::new("pair");
    // A second store as the companion: it has a health check that needs no shell.
    let image = image::tag();
    let catalogue = format!(
        "{CATALOGUE}[template.plain.companion.second]\nimage = '{image}'\nports = [8000]\n\
         health = {{ command = ['/app/understudy', 'check', '--url', '${{store.url}}'], interval = '200ms' }}\n\
         [template.plain.companion.second.environment]\nSTORE = '${{store.url}}'\nKEY = '${{access_key_id}}'\n\
         [template.plain.companion.third]\nimage = '{image}'\nwait_for = ['second']\n\
         command = ['serve', '--ephemeral']\n"
    );
    checked_out(&name, &catalogue, &[]);
    let listed = name.listed().expect("it is listed");
    let companions = listed["companions"].as_array().expect("a list");
    assert_eq!(companions.len(), 2, "{listed}");
    assert_eq!(companions[0]["container"], format!("{}.second", name.thing()));
    assert_eq!(companions[0]["state"], "healthy", "its check asks the store by its name");
    assert!(companions[0]["ports"]["8000"].as_str().expect("a port").starts_with("127.0.0.1:"), "{listed}");
    let variables = docker(&["inspect", "--format", "{{.Config.Env}}", &format!("{}.second", name.thing())]);
    let keys: Value = serde_json::from_str(&done(&["env", name.as_str(), "--json"])).expect("JSON");
    assert!(variables.contains("STORE=http://store:8000"), "{variables}");
    assert!(variables.contains(keys["AWS_ACCESS_KEY_ID"].as_str().expect("an id")));
    done(&["return", name.as_str()]);
    assert_eq!(name.things(), Vec::<String>::new());
}

#[test]
fn an_engine_that_is_not_there_is_told() {
    for (host, told) in [
        ("unix:///nowhere.sock", "systemctl start docker"),
        ("tcp://127.0.0.1:1", "no Docker Engine answers at tcp://127.0.0.1:1"),
        ("ssh://somewhere", "ssh -L"),
    ] {
        let output = library(&["list"]).env("DOCKER_HOST", host).output().expect("the binary was built");
        assert_eq!(output.status.code(), Some(1));
        assert!(complaint(&output).contains(told), "{host}: {}", complaint(&output));
    }
}

#[test]
fn a_seed_has_the_keys_of_whoever_checks_out_or_none() {
    if !engine_answers() {
        return;
    }
    let seeded = |more: &str| {
        let seed = format!("from = 's3://one/', endpoint = 'http://store:8000', bucket = 'two'{more}");
        CATALOGUE.replace("['one']", "['one', 'two']") + &format!("seed = [{{ {seed} }}]\n")
    };
    let keys =
        [("AWS_ACCESS_KEY_ID", "AKIDOFNICKNICK"), ("AWS_SECRET_ACCESS_KEY", "a-secret-of-nick-and-nobody")];
    for (more, keys, told) in [
        (", anonymous = true", &keys[..0], None),
        (", anonymous = true", &keys[..], None),
        ("", &keys[..0], Some("set AWS_ACCESS_KEY_ID")),
        // The store knows no such key: so it was sent.
        ("", &keys[..], Some("403")),
    ] {
        let name = Name::new("seeded");
        let mut command = checkout(&name, &seeded(more), &[]);
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            command.env_remove(variable);
        }
        let output = command.envs(keys.iter().copied()).output().expect("the binary was built for this test");
        let words = complaint(&output);
        match told {
            None => assert!(output.status.success(), "{more} {keys:?}: {words}"),
            Some(told) => {
                assert!(words.contains(told), "{more} {keys:?}: {words}");
                assert_eq!(name.things(), Vec::<String>::new());
            }
        }
        assert!(!words.contains("a-secret-of-nick"), "{words}");
    }
}
