//! The key pair that a command asks a server with.
//!
//! A server that is named by `--endpoint` need not be the one that has the folder here, whose key
//! pairs would then be refused. So what a person says decides first, and what merely lies around last.

use super::failure::Failure;
use super::serving::Serving;
use super::welcome::most_able;
use crate::config::{Environment, Settings};
use crate::model::{AccessKeyId, SecretKey};

/// An access key id and its secret.
pub(super) type Pair = (AccessKeyId, SecretKey);

/// Finds the key pair for the server at `url`, which `--endpoint` named or not.
///
/// In this order: configured pairs (a file, `UNDERSTUDY_ACCESS_KEY_ID`), then, for a named server,
/// `AWS_ACCESS_KEY_ID`, then the pairs of the data folder, if the folder was named too or its server
/// is the one that is asked. Where no server was named, the folder's pairs go before `AWS_…`.
///
/// # Errors
/// There is none.
pub(super) fn find(
    settings: &Settings,
    environment: &Environment,
    url: &str,
    named: bool,
) -> Result<Pair, Failure> {
    let pair = || {
        most_able(&settings.credentials)
            .map(|credential| (credential.access_key_id.clone(), credential.secret_key.clone()))
    };
    let configured = !settings.credentials_are_kept();
    let found = if configured || !named {
        pair().or_else(|| exported(environment))
    } else {
        let of_this_server = || settings.data_dir_is_named() || is_served_at(settings, url);
        exported(environment).or_else(|| of_this_server().then(pair).flatten())
    };
    found.ok_or_else(|| {
        Failure::Usage(format!(
            "no key pair to ask {url} with: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the same \
             with UNDERSTUDY_) to a pair that has the admin permission there, or name its data folder with \
             --data-dir"
        ))
    })
}

/// The key pair that a start prints to be pasted.
fn exported(environment: &Environment) -> Option<Pair> {
    let id = AccessKeyId::parse(environment.get("AWS_ACCESS_KEY_ID")?)?;
    Some((id, SecretKey::parse(environment.get("AWS_SECRET_ACCESS_KEY")?)?))
}

/// Whether the server of the data folder has this address.
fn is_served_at(settings: &Settings, url: &str) -> bool {
    Serving::find(&settings.store.data_dir)
        .is_some_and(|serving| serving.url.trim_end_matches('/') == url.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::super::serving::Serving;
    use super::find;
    use crate::config::{Environment, Flags, Settings};

    const HERE: &str = "http://127.0.0.1:8000";

    /// The id that is used, in a folder with a pair `FOLDER` whose server is at `HERE`.
    fn used(variables: &[(&str, &str)], url: &str, named: bool, folder_is_named: bool) -> Option<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(
            folder.path().join("credentials.toml"),
            "[[credential]]\naccess_key_id = \"FOLDER\"\nsecret_access_key = \"secret-of-the-folder\"\ngrants = [\"admin:*\"]\n",
        )
        .expect("a writable folder");
        let serving = Serving { url: HERE.to_owned(), pid: 1, certificate: None };
        let _announced = serving.announce(folder.path()).expect("a writable folder");
        let environment: Environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let data_dir = folder.path().to_str().expect("UTF-8").to_owned();
        let flags = Flags { data_dir: Some(data_dir), ..Flags::default() };
        let mut settings = Settings::load(&flags, &environment).expect("valid settings");
        if !folder_is_named {
            settings.forget_that_data_dir_is_named();
        }
        find(&settings, &environment, url, named).ok().map(|(id, _)| id.to_string())
    }

    #[test]
    fn what_a_person_says_goes_before_what_lies_around() {
        let aws = [("AWS_ACCESS_KEY_ID", "AWS"), ("AWS_SECRET_ACCESS_KEY", "secret-of-aws")];
        let own = [("UNDERSTUDY_ACCESS_KEY_ID", "OWN"), ("UNDERSTUDY_SECRET_ACCESS_KEY", "secret-of-ours")];
        let both = [aws, own].concat();
        let elsewhere = "http://127.0.0.1:9000";
        for (variables, url, named, folder_is_named, expected) in [
            (&[][..], HERE, false, false, Some("FOLDER")),
            (&aws, HERE, false, false, Some("FOLDER")),
            (&both, HERE, false, false, Some("OWN")),
            (&aws, elsewhere, true, false, Some("AWS")),
            (&aws, elsewhere, true, true, Some("AWS")),
            (&both, elsewhere, true, false, Some("OWN")),
            (&[], elsewhere, true, true, Some("FOLDER")),
            (&[], HERE, true, false, Some("FOLDER")),
            (&[], "http://127.0.0.1:8000/", true, false, Some("FOLDER")),
            (&[], elsewhere, true, false, None),
        ] {
            let found = used(variables, url, named, folder_is_named);
            assert_eq!(found.as_deref(), expected, "{variables:?} {url} {named} {folder_is_named}");
        }
    }
}
