//! What lets a data folder be written that cannot be: one command, with the values in it.
//!
//! The words are pure; `remedy` reads what they need to know from the system. In a container the
//! folder is seldom called what its host calls it: the mounts of this process tell.

use std::io;
use std::path::Path;

/// Where this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Machine,
    /// In a container, of the engine that is spoken to by this command.
    Container(&'static str),
}

/// One mount: a line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// What of the file system is mounted.
    root: String,
    /// Where.
    point: String,
    kind: String,
}

/// What to do so that `folder` can be written by the user `uid`, after `error`.
pub fn remedy(folder: &Path, uid: u32, error: io::ErrorKind) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    if error == io::ErrorKind::ReadOnlyFilesystem {
        return "it is mounted read-only: mount it for writing, or give another --data-dir".to_owned();
    }
    if error != io::ErrorKind::PermissionDenied {
        return "put that right, or give another --data-dir".to_owned();
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_there = folder.try_exists().unwrap_or(true);
    format!("to mend it: {}", command(place(), &folder.display().to_string(), is_there, uid, &mounts))
}

/// Engines leave a file in each container.
fn place() -> Place {
    let marks = [("/run/.containerenv", "podman"), ("/.dockerenv", "docker")];
    let found = marks.iter().find(|(mark, _)| Path::new(mark).exists());
    found.map_or(Place::Machine, |(_, engine)| Place::Container(engine))
}

fn command(place: Place, folder: &str, is_there: bool, uid: u32, mounts: &str) -> String {
    let Place::Container(engine) = place else {
        return if is_there {
            format!("sudo chown -R {uid} {}", quoted(folder))
        } else {
            format!("sudo install -d -o {uid} {}", quoted(folder))
        };
    };
    let Some(Mount { root, point, kind }) = mount_of(folder, mounts).filter(|mount| mount.point != "/")
    else {
        return format!("it is on no volume; start the container with -v understudy:{}", quoted(folder));
    };
    if let Some(volume) = volume_of(&root) {
        let mounted = quoted(&format!("{volume}:{point}"));
        return format!("{engine} run --rm -v {mounted} busybox chown -R {uid} {}", quoted(&point));
    }
    if kind == "tmpfs" {
        return format!("start the container with --tmpfs {}", quoted(&format!("{point}:uid={uid}")));
    }
    if root == "/" {
        let chown = format!("chown -R {uid} {}", quoted(&point));
        return format!("as root, where the same file system is at {point}: {chown}");
    }
    format!("on the container's host, sudo chown -R {uid} {}", quoted(&root))
}

/// The volume that an engine keeps in this folder of its own.
fn volume_of(root: &str) -> Option<&str> {
    let (_, volume) = root.strip_suffix("/_data")?.rsplit_once("/volumes/")?;
    (!volume.is_empty() && !volume.contains('/')).then_some(volume)
}

/// The mount that a folder is on: the last of those that are deepest.
fn mount_of(folder: &str, mounts: &str) -> Option<Mount> {
    let covers = |mount: &Mount| Path::new(folder).starts_with(&mount.point);
    mounts.lines().filter_map(read).filter(covers).max_by_key(|mount| mount.point.len())
}

/// proc(5): `36 35 98:0 /root /point options … - kind source options`.
fn read(line: &str) -> Option<Mount> {
    let (mount, system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let kind = system.split(' ').next()?.to_owned();
    Some(Mount { root: unescaped(root), point: unescaped(point), kind })
}

/// Space, tab, line feed and backslash come as octal numbers.
fn unescaped(text: &str) -> String {
    [(r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, letter)| text.replace(escape, letter))
}

/// A word as a shell takes it.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{Place, command, quoted};

    const DOCKER: Place = Place::Container("docker");

    fn mounts(more: &str) -> String {
        format!(
            "600 500 0:50 / / ro,relatime master:1 - overlay overlay rw,lowerdir=/a\n\
             601 600 0:52 / /proc rw - proc proc rw\n\
             602 600 254:1 /var/lib/docker/containers/4f/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n{more}\n"
        )
    }

    #[test]
    fn the_command_names_the_volume_or_folder_as_its_host_knows_it() {
        for (mount, folder, expected) in [
            (
                "603 600 254:1 /var/lib/docker/volumes/understudy/_data /data rw - ext4 /dev/vda1 rw",
                "/data",
                "docker run --rm -v understudy:/data busybox chown -R 12345 /data",
            ),
            (
                "603 600 254:1 /var/lib/docker/volumes/understudy-nick-83/_data /data rw - ext4 /dev/vda1 rw",
                "/data/stage",
                "docker run --rm -v understudy-nick-83:/data busybox chown -R 12345 /data",
            ),
            (
                "603 600 254:1 /srv/my\\040stage /data rw - ext4 /dev/vda1 rw",
                "/data",
                "on the container's host, sudo chown -R 12345 '/srv/my stage'",
            ),
            (
                "603 600 254:1 /var/lib/docker/volumes/a/_data/below /data rw - ext4 /dev/vda1 rw",
                "/data",
                "on the container's host, sudo chown -R 12345 /var/lib/docker/volumes/a/_data/below",
            ),
            (
                "603 600 0:60 / /data rw - tmpfs tmpfs rw",
                "/data",
                "start the container with --tmpfs /data:uid=12345",
            ),
            (
                "603 600 8:16 / /data rw - xfs /dev/sdb rw",
                "/data",
                "as root, where the same file system is at /data: chown -R 12345 /data",
            ),
            (
                "603 600 254:1 /srv/other /database rw - ext4 /dev/vda1 rw",
                "/data",
                "it is on no volume; start the container with -v understudy:/data",
            ),
        ] {
            assert_eq!(command(DOCKER, folder, true, 12345, &mounts(mount)), expected, "{mount}");
        }
        let twice = "603 600 254:1 /srv/under /data rw - ext4 /dev/vda1 rw\n\
                     604 603 254:1 /srv/over /data rw - ext4 /dev/vda1 rw";
        let told = command(DOCKER, "/data", true, 0, &mounts(twice));
        assert_eq!(
            told, "on the container's host, sudo chown -R 0 /srv/over",
            "the later mount hides the other"
        );
    }

    #[test]
    fn podman_is_spoken_to_by_its_own_command() {
        let mount =
            "603 600 0:30 /user/.local/share/containers/storage/volumes/a/_data /data rw - btrfs x rw";
        let told = command(Place::Container("podman"), "/data", true, 7, &mounts(mount));
        assert_eq!(told, "podman run --rm -v a:/data busybox chown -R 7 /data");
    }

    #[test]
    fn on_a_machine_the_folder_is_given_away_or_made() {
        let told = |folder, is_there| command(Place::Machine, folder, is_there, 1000, &mounts(""));
        assert_eq!(told("/srv/stage", true), "sudo chown -R 1000 /srv/stage");
        assert_eq!(told("/srv/it's mine", true), r"sudo chown -R 1000 '/srv/it'\''s mine'");
        assert_eq!(told("/srv/stage", false), "sudo install -d -o 1000 /srv/stage");
    }

    #[test]
    fn words_of_a_shell_stay_one_word() {
        for (text, expected) in
            [("/a-b_c.d/é", "'/a-b_c.d/é'"), ("", "''"), ("$(x)", "'$(x)'"), ("a:b", "a:b")]
        {
            assert_eq!(quoted(text), expected);
        }
    }
}
