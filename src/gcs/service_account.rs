//! Service accounts: minting their keys, and finding them again.
//!
//! A minted key is two files: the one that clients read, with the private key, which is shown once
//! and kept nowhere here; and the account, with the public key and the grants, in a folder of the
//! data folder. The folder is looked at for each request, so an account works as soon as it is
//! minted and stops working as soon as its file is removed, without a restart.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::route::TOKEN_PATH;
use crate::model::{AccessKeyId, Credential, Grant, Owner, SecretKey};

/// RSA keys of this many bits: what Google's own have.
const KEY_BITS: usize = 2048;

/// An account that signs assertions.
#[derive(Debug)]
pub(super) struct Account {
    /// Who says so in the assertions.
    pub(super) email: String,
    /// The public key, PKCS #1.
    pub(super) public_key: Vec<u8>,
    /// What its key file calls this server, without a slash at the end.
    pub(super) server_url: Option<String>,
    /// What it may do. Its access key id is the id of its key; its secret makes its tokens.
    pub(super) credential: Arc<Credential>,
}

/// An account as its file holds it.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    email: String,
    /// Base64 of PKCS #1.
    public_key: String,
    /// What tokens are made with, in hexadecimal.
    token_secret: String,
    grants: Vec<Grant>,
    /// Accounts of earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_url: Option<String>,
}

/// The accounts of a folder. Clones share what they have read.
#[derive(Debug, Clone, Default)]
pub struct ServiceAccounts {
    folder: Option<PathBuf>,
    read: Arc<Mutex<HashMap<AccessKeyId, Read>>>,
}

/// An account that was read, and of when its file was.
type Read = (SystemTime, Arc<Account>);

impl ServiceAccounts {
    /// The accounts whose files are in `folder`, which need not be there yet.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..Self::default() }
    }

    /// No accounts: everybody is anonymous.
    pub fn none() -> Self {
        Self::default()
    }

    /// The account of a key.
    pub(super) fn find(&self, key_id: &str) -> Option<Arc<Account>> {
        let id = key_id_of(key_id)?;
        let path = file(self.folder.as_deref()?, &id);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(modified) = std::fs::metadata(&path).and_then(|found| found.modified()) else {
            read.remove(&id);
            return None;
        };
        if let Some((seen, account)) = read.get(&id)
            && *seen == modified
        {
            return Some(Arc::clone(account));
        }
        let account = Arc::new(load(&id, &path)?);
        read.insert(id, (modified, Arc::clone(&account)));
        Some(account)
    }
}

/// Ids of keys are 40 hexadecimal digits: nothing else becomes a file name.
fn key_id_of(text: &str) -> Option<AccessKeyId> {
    let digits = text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    AccessKeyId::parse(text).filter(|_| digits)
}

fn file(folder: &Path, id: &AccessKeyId) -> PathBuf {
    folder.join(format!("{id}.json"))
}

fn load(id: &AccessKeyId, path: &Path) -> Option<Account> {
    let stored: Stored = match std::fs::read(path).map(|bytes| serde_json::from_slice(&bytes)) {
        Ok(Ok(stored)) => stored,
        Ok(Err(reason)) => {
            tracing::error!(path = %path.display(), %reason, "a service account cannot be read: mint it again");
            return None;
        }
        Err(_) => return None,
    };
    let credential = Credential {
        access_key_id: id.clone(),
        secret_key: SecretKey::parse(&stored.token_secret)?,
        owner: owner(&stored.email),
        grants: stored.grants,
    };
    let public_key = BASE64_STANDARD.decode(stored.public_key).ok()?;
    let server_url = stored.server_url;
    Some(Account { email: stored.email, public_key, server_url, credential: Arc::new(credential) })
}

/// S3's clients see the owner of an object as a canonical id of 64 digits.
fn owner(email: &str) -> Owner {
    Owner { id: hex::encode(Sha256::digest(email.as_bytes())), display_name: email.to_owned() }
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The part of its address before the `@`: letters, digits and `-`.
    pub name: String,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// How its clients reach this server, such as `http://understudy:8000`.
    pub server_url: String,
}

/// A key that was made.
#[derive(Debug)]
pub struct Minted {
    /// The file for clients, as Google's key files are. It holds the private key.
    pub key_file: String,
    /// Where the account is kept.
    pub account: PathBuf,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The name cannot be part of an address.
    #[error("{0:?} cannot be the name of a service account: use 1 to 30 letters a-z, digits and '-'")]
    Name(String),
    /// The key could not be made.
    #[error("no RSA key could be made: {0}")]
    Key(String),
    /// The account could not be kept.
    #[error("the service account cannot be kept in {}: {source}", path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Makes a key for a new account, and keeps the account in `folder`.
pub fn mint(folder: &Path, new: &NewAccount) -> Result<Minted, MintError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=30).contains(&new.name.len()) || !new.name.bytes().all(plain) {
        return Err(MintError::Name(new.name.clone()));
    }
    let unmade = |reason: &dyn std::fmt::Display| MintError::Key(reason.to_string());
    let private =
        RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS).map_err(|reason| unmade(&reason))?;
    let public = private.to_public_key().to_pkcs1_der().map_err(|reason| unmade(&reason))?;
    let pem = private.to_pkcs8_pem(LineEnding::LF).map_err(|reason| unmade(&reason))?;
    let mut random = [0; 52];
    getrandom::fill(&mut random).map_err(|reason| unmade(&reason))?;
    let (id, secret) = random.split_at(20);
    let key_id = hex::encode(id);
    let email = format!("{}@understudy.iam.gserviceaccount.com", new.name);
    let url = new.server_url.trim_end_matches('/');
    let stored = Stored {
        email: email.clone(),
        public_key: BASE64_STANDARD.encode(public.as_bytes()),
        token_secret: hex::encode(secret),
        grants: new.grants.clone(),
        server_url: Some(url.to_owned()),
    };
    let path = folder.join(format!("{key_id}.json"));
    keep(folder, &path, &stored).map_err(|source| MintError::File { path: path.clone(), source })?;
    let key_file = json!({
        "type": "service_account",
        "project_id": "understudy",
        "private_key_id": key_id,
        "private_key": pem.as_str(),
        "client_email": email,
        "client_id": "0",
        "auth_uri": format!("{url}/__gcs__/auth"),
        "token_uri": format!("{url}{TOKEN_PATH}"),
        "universe_domain": "googleapis.com",
    });
    Ok(Minted { key_file: format!("{key_file:#}\n"), account: path })
}

/// Whole or not at all, and for nobody else to read: `tempfile` makes files of mode 0600.
fn keep(folder: &Path, path: &Path, stored: &Stored) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, stored)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MintError, NewAccount, ServiceAccounts, mint};
    use crate::model::Grant;

    fn new(name: &str) -> NewAccount {
        let grants = vec![Grant::parse("read:bucket/pub/").expect("a grant")];
        NewAccount { name: name.to_owned(), grants, server_url: "http://understudy:8000/".to_owned() }
    }

    #[test]
    fn a_minted_account_is_found_until_its_file_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let accounts = ServiceAccounts::in_folder(folder.path());
        let minted = mint(folder.path(), &new("beetmover")).expect("a key");
        let key: serde_json::Value = serde_json::from_str(&minted.key_file).expect("JSON");
        assert_eq!(key["token_uri"], "http://understudy:8000/__gcs__/token");
        assert_eq!(key["type"], "service_account");
        let id = key["private_key_id"].as_str().expect("an id");
        let account = accounts.find(id).expect("the account");
        assert_eq!(key["client_email"], account.email.as_str());
        assert_eq!(account.credential.grants, new("x").grants);
        let kept = std::fs::read_to_string(&minted.account).expect("the account's file");
        assert!(!kept.contains("PRIVATE"), "the private key is nobody's but the client's");
        std::fs::remove_file(&minted.account).expect("a file");
        assert!(accounts.find(id).is_none());
    }

    #[test]
    fn what_is_no_key_id_never_becomes_a_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let accounts = ServiceAccounts::in_folder(folder.path());
        for id in ["", "..", "../../etc/passwd", &"A".repeat(40), &"0".repeat(41)] {
            assert!(accounts.find(id).is_none(), "{id}");
        }
        assert!(ServiceAccounts::none().find(&"0".repeat(40)).is_none());
    }

    #[test]
    fn names_become_part_of_an_address() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["", "Upper", "a b", "a@b", &"a".repeat(31)] {
            assert!(matches!(mint(folder.path(), &new(name)), Err(MintError::Name(_))), "{name}");
        }
    }
}
