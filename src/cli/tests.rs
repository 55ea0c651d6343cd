//! Commands as they are typed. What needs a whole server process is in `integration`.

use clap::{CommandFactory as _, Parser as _};

use super::{Command, CommandLine};

fn parse(line: &str) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(std::iter::once("understudy").chain(line.split_whitespace()))
}

#[test]
fn the_command_line_is_sound() {
    CommandLine::command().debug_assert();
}

#[test]
fn without_a_command_it_serves() {
    for line in ["", "--listen 127.0.0.1:0 --bucket a --bucket b", "--preset mozilla --ephemeral"] {
        assert!(parse(line).expect("a command line").command.is_none(), "{line}");
    }
    assert!(matches!(
        parse("serve --anonymous read").expect("a command line").command,
        Some(Command::Serve(_))
    ));
}

#[test]
fn commands_are_read() {
    for (line, taken) in [
        ("config check --config a.toml", true),
        ("config show --json --data-dir d", true),
        ("config preset mozilla", true),
        ("config preset chromium", false),
        ("presign get s3://bucket/key", true),
        ("presign PUT s3://bucket/a/b --expires 7d --endpoint http://x --content-type text/plain", true),
        ("presign POST s3://bucket/key", false),
        ("presign GET bucket/key", false),
        ("presign GET s3://BUCKET/key", false),
        ("presign GET s3://bucket/", false),
        ("presign GET s3://bucket/key --expires soon", false),
        ("explain GET pub/a --bucket stage --preset mozilla --json", true),
        ("explain head s3://stage/a --client sdk", true),
        ("explain PUT pub/a", false),
        ("explain GET pub/a --client curl", false),
        ("check", true),
        ("check --url http://x --nagios --warning 2s --timeout 10s", true),
        ("check --nagios --json", false),
        ("fsck --repair --quick --json --data-dir d", true),
        ("ls stage", true),
        ("ls s3://stage/pub/ --tombstones --json --endpoint http://x", true),
        ("ls", false),
        ("ls s3://UPPER/", false),
        ("undelete stage a b/c", true),
        ("undelete stage --prefix pub/ --json", true),
        ("undelete stage", false),
        ("undelete stage a --prefix pub/", false),
        ("upstream import - --bucket stage --format csv --prefix pub/ --cover pub/", true),
        ("upstream import list.json", false),
        ("upstream import list.json --bucket stage --format xml", false),
        (
            "upstream index https://archive.example/pub/ --bucket stage --key-prefix pub/ --connections 8",
            true,
        ),
        ("upstream index https://archive.example/pub/ --bucket stage --connections 0", false),
        ("upstream status --json --data-dir d", true),
        ("library checkout a --for nick --purpose x --due 7d --release firefox-83.0b3-build1", true),
        (
            "library checkout a --from b@c --port 8001 --publish-on 0.0.0.0 --image i --catalogue f --json",
            true,
        ),
        ("library checkout", false),
        ("library checkout A", false),
        ("library checkout a --port 0", false),
        ("library checkout a --due soon", false),
        ("library list --json", true),
        ("library show a --json", true),
        ("library env a --shell --inside", true),
        ("library env a --shell --json", false),
        ("library renew a --due 2d", true),
        ("library reset a --to b --json", true),
        ("library logs a --follow --tail 5 --companion b", true),
        ("library return a --keep-export f --json", true),
        ("library return a --without-receipt", true),
        ("library sweep a b --grace 3d --dry-run --json", true),
        ("library doctor a --fix --json", true),
        ("library lend a", false),
        ("serve --ephemeral --data-dir d", false),
        ("--listen 127.0.0.1:0 serve", false),
        ("dance", false),
    ] {
        assert_eq!(parse(line).is_ok(), taken, "{line}");
    }
}

#[test]
fn flags_say_their_variables() {
    let help = CommandLine::command().render_long_help().to_string();
    for variable in [
        "UNDERSTUDY_LISTEN",
        "PORT",
        "UNDERSTUDY_DATA_DIR",
        "UNDERSTUDY_EPHEMERAL",
        "UNDERSTUDY_BUCKETS",
        "UNDERSTUDY_ANONYMOUS",
        "UNDERSTUDY_PRESET",
        "UNDERSTUDY_CONFIG",
        "UNDERSTUDY_TLS_CERT",
        "UNDERSTUDY_TLS_KEY",
    ] {
        assert!(help.contains(variable), "{variable} is not in the help:\n{help}");
    }
}
