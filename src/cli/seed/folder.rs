//! The files below a folder, in the order of their names.

use std::fs::FileType;
use std::path::{Path, PathBuf};

use super::found::Finder;
use super::item::{From, Item};
use super::plan::Known;

/// Finds every file. Links to files are followed; links to folders are refused, as they may lead
/// anywhere, also back.
pub(super) fn find(root: &Path, finder: &Finder) {
    let mut folders = vec![(root.to_path_buf(), String::new())];
    while let Some((folder, below)) = folders.pop() {
        let mut entries = match entries(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                finder.failed(folder.display(), error);
                continue;
            }
        };
        // The last one in is the first one out.
        entries.sort_by(|one, other| other.0.cmp(&one.0));
        let mut files = Vec::new();
        for (path, kind) in entries {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                finder.failed(path.display(), "its name is not UTF-8, which keys are");
                continue;
            };
            let name = format!("{below}{name}");
            if kind.is_dir() {
                folders.push((path, name + "/"));
            } else {
                files.push((path, name));
            }
        }
        for (path, name) in files.into_iter().rev() {
            if !file(path, &name, finder) {
                return;
            }
        }
    }
}

fn entries(folder: &Path) -> std::io::Result<Vec<(PathBuf, FileType)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        found.push((entry.path(), entry.file_type()?));
    }
    Ok(found)
}

/// Tells of one file; says whether anybody still listens.
fn file(path: PathBuf, name: &str, finder: &Finder) -> bool {
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) => return finder.failed(path.display(), error),
    };
    if metadata.is_dir() {
        return finder.failed(path.display(), "is a link to a folder, which is not followed");
    }
    if !metadata.is_file() {
        return finder.failed(path.display(), "is neither a file nor a folder");
    }
    let Some(key) = finder.key(path.display(), name) else { return true };
    let known = Known { size_bytes: metadata.len(), etag: None, md5: None };
    finder.found(Item { key, name: path.display().to_string(), known, from: From::Path(path) })
}
