//! The key pair that a data folder makes for itself when nobody configured one.
//!
//! It is kept in `credentials.toml`, which only its owner may read, in the grammar of a
//! configuration file, so that grants can be edited and key pairs added.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::file;
use super::layer::Entry;
use crate::model::{AccessKeyId, Credential, Grant, Owner, SecretKey};
use crate::store;

/// The file's name in the data folder.
const FILE: &str = "credentials.toml";

/// Where the credentials of a data folder are.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// The credentials that a data folder has, as a layer.
pub(super) fn layer(data_dir: &Path) -> Result<Vec<Entry>, Error> {
    let path = path(data_dir);
    match std::fs::read_to_string(&path) {
        Ok(text) => file::read(&path, &text),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(source) => {
            let uid = rustix::process::geteuid().as_raw();
            let remedy = store::remedy(data_dir, uid, source.kind());
            Err(Error::UnreadableCredentials { path, uid, source, remedy })
        }
    }
}

/// Makes a key pair that may do everything. It is nowhere kept yet.
///
/// # Panics
/// Never: what it generates is in the alphabets of both halves.
pub fn generate() -> Result<Credential, Error> {
    // AWS's ids have 20 characters; ours begin differently, so that nobody takes one for a real one.
    let id = format!("UNDERSTUDY{}", random_text(10, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")?);
    let secret = random_text(40, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")?;
    let table = super::grammar::CredentialTable {
        access_key_id: AccessKeyId::parse(&id).expect("letters and digits make an access key id"),
        secret_access_key: SecretKey::parse(&secret).expect("40 letters, digits, '-' and '_' make a secret"),
        owner: super::grammar::owner_default(),
        owner_id: None,
        grants: vec![Grant::all()],
    };
    Ok(credential(table))
}

/// Puts a credential together.
pub(super) fn credential(table: super::grammar::CredentialTable) -> Credential {
    let owner: Owner = table.owner();
    Credential {
        access_key_id: table.access_key_id,
        secret_key: table.secret_access_key,
        owner,
        grants: table.grants,
    }
}

/// Letters of an alphabet of 32 or 64, so that each byte's low bits choose evenly.
fn random_text(length: usize, alphabet: &[u8]) -> Result<String, Error> {
    let mut bytes = vec![0_u8; length];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect())
}

/// Keeps a credential in a data folder: whole or not at all, and for nobody else to read.
pub fn keep(data_dir: &Path, credential: &Credential) -> Result<PathBuf, Error> {
    let path = path(data_dir);
    let text = format!(
        "# Made at the first start. More [[credential]] tables may follow; `grants` says what each may do.\n\n\
         [[credential]]\naccess_key_id = \"{}\"\nsecret_access_key = \"{}\"\nowner = \"{}\"\ngrants = [{}]\n",
        credential.access_key_id,
        credential.secret_key.expose(),
        credential.owner.display_name,
        credential.grants.iter().map(|grant| format!("\"{grant}\"")).collect::<Vec<_>>().join(", "),
    );
    write(data_dir, &path, &text).map_err(|source| Error::Keep { path: path.clone(), source })?;
    Ok(path)
}

fn write(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{generate, keep, layer};

    #[test]
    fn a_kept_credential_reads_back_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(layer(folder.path()).expect("no file is no mistake"), []);
        let credential = generate().expect("random bytes");
        let path = keep(folder.path(), &credential).expect("a writable folder");
        let mode = std::fs::metadata(&path).expect("just written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let entries = layer(folder.path()).expect("our own grammar");
        let secret = entries.iter().find(|entry| entry.place.key == "secret_access_key").expect("a secret");
        assert_eq!(secret.value.as_str(), Some(credential.secret_key.expose()));
        keep(folder.path(), &credential).expect_err("what is kept is never replaced");
    }

    #[test]
    fn no_two_are_alike() {
        let (one, other) = (generate().expect("random bytes"), generate().expect("random bytes"));
        assert_ne!(one.access_key_id, other.access_key_id);
        assert_ne!(one.secret_key, other.secret_key);
        assert_eq!(one.owner, other.owner);
    }
}
