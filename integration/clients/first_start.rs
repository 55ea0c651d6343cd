//! The first start of all: nothing is configured, and what is printed can be pasted.

use std::process::Command;

use super::python;
use super::server::{Server, Setup, forget_environment};

/// Waits for all that a start prints, and gives back what a person pastes: the indented lines.
fn to_paste(server: &Server) -> String {
    let printed = server.printed().wait_for(|lines, _| {
        let indented: Vec<_> =
            lines.iter().filter(|line| line.starts_with("  ")).map(String::as_str).collect();
        lines.last().filter(|line| line.contains("aws s3 cp")).map(|_| indented.join("\n"))
    });
    printed.unwrap_or_else(|| panic!("no aws s3 line was printed:\n{}", server.printed().text()))
}

#[test]
fn what_the_first_start_prints_can_be_pasted_and_the_secret_is_shown_once() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data_dir = Some(folder.path().join("data"));
    let mut secrets = Vec::new();
    for _ in 0..2 {
        let server =
            Server::start(&Setup { makes_credential: true, data_dir: data_dir.clone(), ..Setup::default() });
        let pasted = to_paste(&server);
        let script = format!(
            "set -e\n{pasted}\naws s3 cp s3://stage/hello.txt -\nprintf 'secret=%s' \"$AWS_SECRET_ACCESS_KEY\""
        );
        let mut command = Command::new("sh");
        forget_environment(&mut command);
        python::with_programs(&mut command);
        let output = command.args(["-c", &script]).output().expect("a shell");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{script}\n{output:?}");
        let (hello, secret) = text.split_once("secret=").unwrap_or_else(|| panic!("{output:?}"));
        assert!(hello.ends_with("hello\n"), "{output:?}");
        secrets.push((secret.to_owned(), server.printed().text().contains(secret)));
        assert!(!server.journal().text().contains(secret), "the secret is in the log");
    }
    let [(first, shown), (second, shown_again)] = &secrets[..] else { panic!("{} starts", secrets.len()) };
    assert_eq!(first, second, "the credential is kept");
    assert!(*shown && !shown_again, "the secret is shown once: {shown}, {shown_again}");
}
