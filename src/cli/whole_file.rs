//! A file that is written whole or not at all. A kill leaves nothing of it: it has no name before it is
//! whole, and where a file system needs one, the next attempt removes what an earlier one has left.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};

use super::failure::Failure;

/// How the name of a file that is not whole ends; random digits stand before it.
const ENDING: &str = ".partial";
/// How many those digits are.
const DIGITS: usize = 16;

/// How long the name of a file may be, so that there is room for the name that it has before.
const NAME_BYTES_MAX: usize = 255 - (DIGITS + ENDING.len() + "..".len());

/// Writes a file, for its owner alone. One that is there is replaced when the new one is whole.
pub(super) fn write<T>(
    path: &Path,
    work: impl FnOnce(&mut File) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let failed = |error: io::Error| Failure::Usage(format!("cannot write {}: {error}", path.display()));
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::IsADirectory.into()))?.to_string_lossy();
    if name.len() > NAME_BYTES_MAX {
        let (path, length) = (path.display(), name.len());
        return Err(Failure::Usage(format!(
            "cannot write {path}: its name has {length} bytes, and {NAME_BYTES_MAX} is the most: give a shorter one"
        )));
    }
    remove_abandoned(folder, &name);
    let mut random = [0_u8; DIGITS / 2];
    getrandom::fill(&mut random).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let partial = folder.join(format!(".{name}.{}{ENDING}", hex::encode(random)));
    let mut file = Partial::create(folder, partial).map_err(failed)?;
    let done = work(&mut file.file)?;
    file.finish(path, folder).map_err(failed)?;
    Ok(done)
}

/// A file on its way.
struct Partial {
    file: File,
    path: PathBuf,
    has_name: bool,
}

impl Partial {
    fn create(folder: &Path, path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        // Not every file system has files without a name, nor every place a /proc to give them one by.
        if let Ok(unnamed) = rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)
            && fs::symlink_metadata(by_number(&unnamed)).is_ok()
        {
            return Ok(Self { file: File::from(unnamed), path, has_name: false });
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let partial = Self { file, path, has_name: true };
        partial.hold()?;
        Ok(partial)
    }

    /// Nobody else takes it for abandoned while it is open.
    fn hold(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive)?)
    }

    /// Puts it in its place; on return it survives power loss there.
    fn finish(mut self, path: &Path, folder: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        if !self.has_name {
            self.hold()?;
            // No file can be linked over another one: it is renamed over it.
            rustix::fs::linkat(CWD, by_number(&self.file), CWD, &self.path, AtFlags::SYMLINK_FOLLOW)?;
            self.has_name = true;
        }
        fs::rename(&self.path, path)?;
        self.has_name = false;
        File::open(folder)?.sync_all()
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.has_name {
            // What stays goes with the next attempt.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn by_number(file: &impl std::os::fd::AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// Removes what killed attempts at this file have left.
fn remove_abandoned(folder: &Path, name: &str) {
    let is_partial = |found: &str| {
        let digits = found.strip_prefix('.').and_then(|rest| rest.strip_prefix(name));
        let digits = digits.and_then(|rest| rest.strip_prefix('.')?.strip_suffix(ENDING));
        digits.is_some_and(|digits| {
            digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_str().is_some_and(is_partial) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // It is no reason to fail if somebody else was quicker.
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_and_replaces_the_one_before() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("export");
        for text in ["one", "two"] {
            let written = write(&path, |file| {
                assert!(!names(folder.path()).iter().any(|name| name == "export") || text == "two");
                file.write_all(text.as_bytes()).map_err(|source| Failure::io("it", source))
            });
            written.expect("written");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        let failed = write(&path, |_| Err::<(), _>(Failure::Usage("no".to_owned())));
        failed.expect_err("it failed");
        assert_eq!(
            (names(folder.path()), fs::read_to_string(&path).expect("there")),
            (vec!["export".to_owned()], "two".to_owned())
        );
    }

    #[test]
    fn a_name_that_is_too_long_is_refused_before_anything_is_done() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(&folder.path().join("n".repeat(229)), |_| Ok(())).expect("written");
        let mut is_asked = false;
        let refused = write(&folder.path().join("n".repeat(230)), |_| {
            is_asked = true;
            Ok(())
        });
        let Err(Failure::Usage(message)) = refused else { panic!("it was taken") };
        assert!(message.contains("230 bytes") && message.contains("229") && !is_asked, "{message}");
    }

    #[test]
    fn what_a_kill_has_left_goes_and_what_is_in_work_or_somebody_elses_stays() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("export");
        let live = folder.path().join(".export.00112233445566aa.partial");
        let others =
            [".other.00112233445566aa.partial", ".export.x.partial", "export.00112233445566aa.partial"];
        for name in others.iter().chain(&[".export.0123456789abcdef.partial"]) {
            fs::write(folder.path().join(name), "").expect("writable");
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&live).expect("writable");
        let held = Partial { file, path: live, has_name: true };
        held.hold().expect("it is free");
        write(&path, |_| Ok(())).expect("written");
        let mut expected: Vec<_> = others.iter().map(ToString::to_string).collect();
        expected.extend([".export.00112233445566aa.partial".to_owned(), "export".to_owned()]);
        expected.sort();
        assert_eq!(names(folder.path()), expected);
        drop(held);
    }

    #[test]
    fn where_a_file_needs_a_name_it_is_whole_all_the_same() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let partial = folder.path().join(".export.0123456789abcdef.partial");
        let file = OpenOptions::new().write(true).create_new(true).open(&partial).expect("writable");
        let named = Partial { file, path: partial.clone(), has_name: true };
        named.finish(&folder.path().join("export"), folder.path()).expect("renamed");
        assert_eq!(names(folder.path()), ["export"]);
        let file = OpenOptions::new().write(true).create_new(true).open(&partial).expect("writable");
        drop(Partial { file, path: partial, has_name: true });
        assert_eq!(names(folder.path()), ["export"]);
    }
}
