//! What a start prints: where the server is, and lines to paste into a shell. Pure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::uri::Scheme;

use crate::config::reachable;
use crate::model::{BucketName, Credential, Permission};

/// What becomes of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// It was made by this very start: this is the one time to show it.
    Shown,
    /// It is in this file.
    Kept(PathBuf),
    /// Whoever configured it has it.
    Configured,
}

/// Everything that is printed.
#[derive(Debug)]
pub(super) struct Welcome<'a> {
    pub(super) scheme: Scheme,
    pub(super) address: SocketAddr,
    pub(super) credential: &'a Credential,
    pub(super) secret: Secret,
    pub(super) region: &'a str,
    pub(super) certificate: Option<&'a Path>,
    pub(super) bucket: Option<BucketName>,
    /// What is said of the releases under test.
    pub(super) release: Option<String>,
}

/// The credential that can do the most, which a person at this machine will want to use.
pub(super) fn most_able(credentials: &[Credential]) -> Option<&Credential> {
    let everywhere = |credential: &&Credential| {
        credential.grants.iter().any(|grant| {
            grant.bucket.is_none()
                && grant.prefix.is_empty()
                && grant.permissions.contains(&Permission::Admin)
        })
    };
    credentials.iter().find(everywhere).or_else(|| credentials.first())
}

impl Welcome<'_> {
    /// The text. Its first line is a promise to scripts; the rest is for people.
    pub(super) fn render(&self) -> String {
        let endpoint = format!("{}://{}", self.scheme, reachable(self.address));
        let mut lines = vec![
            format!("export AWS_ENDPOINT_URL_S3={endpoint}"),
            format!("export AWS_ACCESS_KEY_ID={}", self.credential.access_key_id),
        ];
        let mut prose = "To use it from another shell, paste:".to_owned();
        match &self.secret {
            Secret::Shown => {
                lines.push(format!("export AWS_SECRET_ACCESS_KEY={}", self.credential.secret_key.expose()));
            }
            Secret::Kept(path) => lines.push(self.secret_from(path)),
            Secret::Configured => {
                prose = format!(
                    "To use it from another shell, set AWS_SECRET_ACCESS_KEY to the secret that is configured for {}, and paste:",
                    self.credential.access_key_id
                );
            }
        }
        lines.push(format!("export AWS_DEFAULT_REGION={}", self.region));
        if let Some(certificate) = self.certificate {
            let certificate = std::path::absolute(certificate).unwrap_or_else(|_| certificate.to_owned());
            lines.push(format!("export AWS_CA_BUNDLE={}", quoted(&certificate.to_string_lossy())));
        }
        lines.push(match &self.bucket {
            Some(bucket) => format!("echo hello | aws s3 cp - s3://{bucket}/hello.txt"),
            None => "aws s3 mb s3://stage && echo hello | aws s3 cp - s3://stage/hello.txt".to_owned(),
        });
        let release = self.release.as_ref().map_or_else(String::new, |line| format!("{line}\n"));
        let first =
            format!("understudy listening on {}://{}\n{release}\n{prose}\n\n", self.scheme, self.address);
        // Not a comment in front of the lines: some shells take none that is pasted.
        lines.iter().fold(first, |text, line| text + "  " + line + "\n")
    }

    /// Pasted, this reads the file; printed, it gives nothing away.
    fn secret_from(&self, path: &Path) -> String {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        format!(
            "export AWS_SECRET_ACCESS_KEY=\"$(sed -n '/\"{}\"/,$s/^secret_access_key = \"\\(.*\\)\"/\\1/p' {} | head -n 1)\"",
            self.credential.access_key_id,
            quoted(&path.to_string_lossy())
        )
    }
}

/// A word as a shell takes it literally.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use http::uri::Scheme;

    use super::{Secret, Welcome, most_able, quoted};
    use crate::model::{AccessKeyId, BucketName, Credential, Grant, Owner, SecretKey};

    fn credential(id: &str, grant: &str) -> Credential {
        Credential {
            access_key_id: AccessKeyId::parse(id).expect("an id"),
            secret_key: SecretKey::parse("correct-horse").expect("a secret"),
            owner: Owner::anonymous(),
            grants: vec![Grant::parse(grant).expect("a grant")],
        }
    }

    fn rendered(address: &str, secret: Secret, bucket: Option<&str>) -> String {
        let credential = credential("abc", "read:*");
        Welcome {
            scheme: Scheme::HTTP,
            address: address.parse().expect("an address"),
            credential: &credential,
            secret,
            region: "us-east-1",
            certificate: None,
            bucket: bucket.map(|name| BucketName::parse(name).expect("a name")),
            release: None,
        }
        .render()
    }

    #[test]
    fn a_first_start_prints_all_that_is_to_paste() {
        insta::assert_snapshot!(rendered("127.0.0.1:8000", Secret::Shown, None), @r"
        understudy listening on http://127.0.0.1:8000

        To use it from another shell, paste:

          export AWS_ENDPOINT_URL_S3=http://127.0.0.1:8000
          export AWS_ACCESS_KEY_ID=abc
          export AWS_SECRET_ACCESS_KEY=correct-horse
          export AWS_DEFAULT_REGION=us-east-1
          aws s3 mb s3://stage && echo hello | aws s3 cp - s3://stage/hello.txt
        ");
    }

    #[test]
    fn later_starts_do_not_show_the_secret() {
        let kept = Secret::Kept(PathBuf::from("/data/it's/credentials.toml"));
        for (secret, told) in
            [(kept, r"'/data/it'\''s/credentials.toml'"), (Secret::Configured, "configured for abc")]
        {
            let text = rendered("0.0.0.0:81", secret, Some("mine"));
            assert!(!text.contains("correct-horse") && text.contains(told), "{text}");
            assert!(text.starts_with("understudy listening on http://0.0.0.0:81\n"), "{text}");
            assert!(
                text.contains("=http://127.0.0.1:81\n") && text.contains("s3://mine/hello.txt"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_line_that_reads_the_secret_reads_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = crate::config::credentials::generate().expect("random bytes");
        let path = crate::config::credentials::keep(folder.path(), &made).expect("a writable folder");
        let welcome = Welcome {
            scheme: Scheme::HTTP,
            address: "127.0.0.1:1".parse().expect("an address"),
            credential: &made,
            secret: Secret::Kept(path.clone()),
            region: "us-east-1",
            certificate: Some(Path::new("/cert.pem")),
            bucket: None,
            release: None,
        };
        let script = format!("{}\nprintf %s \"$AWS_SECRET_ACCESS_KEY\"", welcome.secret_from(&path));
        let shell = std::process::Command::new("sh").arg("-c").arg(script).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&shell.stdout), made.secret_key.expose());
    }

    #[test]
    fn the_credential_that_can_do_the_most_is_offered() {
        let known = [credential("one", "read:*"), credential("two", "read,write,list,admin:*")];
        assert_eq!(most_able(&known).map(|found| found.access_key_id.as_str()), Some("two"));
        assert_eq!(most_able(&known[..1]).map(|found| found.access_key_id.as_str()), Some("one"));
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        for (text, expected) in
            [("/a/b.pem", "/a/b.pem"), ("a b", "'a b'"), ("", "''"), ("a'$b", "'a'\\''$b'")]
        {
            assert_eq!(quoted(text), expected);
        }
    }
}
