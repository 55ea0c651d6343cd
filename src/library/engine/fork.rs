//! A new stage from a snapshot of another, without a copy: a helper container sees both volumes
//! below the folder that they have in common, since files can be shared within one mount only.

use std::path::{Path, PathBuf};

use bollard::query_parameters::WaitContainerOptions;
use futures_util::StreamExt as _;

use super::{Engine, Error};
use crate::library::Remedy;
use crate::library::plan::{DATA_FOLDER, VOLUME_AT};
use crate::library::spec::{ContainerSpec, Mounted};

/// Where the helper sees the volumes.
const VOLUMES_AT: &str = "/volumes";
impl Engine {
    /// Fills `volume` with the content that the stage of the container `source` had at `snapshot`.
    pub(super) async fn fork(
        &self,
        helper: &ContainerSpec,
        source: &str,
        snapshot: &str,
        volume: &str,
    ) -> Result<(), Error> {
        let from = self.folder_of(source).await?;
        let to = self.folder_of(volume).await?;
        let parent =
            common_parent(&from, &to).ok_or_else(|| Error::Apart(source.to_owned(), volume.to_owned()))?;
        let environment = self.environment(source).await?;
        let data_dir = environment.get("UNDERSTUDY_DATA_DIR").map_or("", String::as_str);
        let inside = |folder: &Path, data_dir: &str| {
            let folder = Path::new(VOLUMES_AT).join(folder.strip_prefix(&parent).unwrap_or(folder));
            // Without a folder of its own the data is in the volume itself.
            let below = Path::new(data_dir).strip_prefix(VOLUME_AT).unwrap_or(Path::new(""));
            folder.join(below).display().to_string()
        };
        let own = format!("{VOLUME_AT}/{DATA_FOLDER}");
        let command = ["fork", &inside(&from, data_dir), &inside(&to, &own), "--snapshot", snapshot];
        let spec = ContainerSpec {
            command: command.map(str::to_owned).to_vec(),
            // A snapshot is found by its file: the helper asks nobody, and needs no key.
            network: Some(("none".to_owned(), Vec::new())),
            mounts: vec![Mounted::Folder { path: parent.display().to_string(), at: VOLUMES_AT.to_owned() }],
            ..helper.clone()
        };
        let id = self.make_container(&spec).await?;
        self.start(&spec.name).await?;
        let code = self.end_of(&spec.name).await?;
        let text = self.log_end(&spec.name).await;
        self.mend(&Remedy::RemoveContainer { name: spec.name, id }).await?;
        if code == 0 {
            return Ok(());
        }
        let command = format!("fork --snapshot {snapshot}");
        let text = text.trim_start_matches("understudy: ").to_owned();
        Err(Error::Command { command, container: source.to_owned(), code, text })
    }

    /// Where this machine has a volume.
    async fn folder_of(&self, volume: &str) -> Result<PathBuf, Error> {
        let found = self.docker.inspect_volume(volume).await;
        let found = found.map_err(self.failed(format!("look at the volume {volume}")))?;
        if found.driver != "local" || !found.options.is_empty() {
            return Err(Error::Driver(found.name, found.driver));
        }
        Ok(PathBuf::from(found.mountpoint))
    }

    /// The exit code of a container, once it has ended.
    async fn end_of(&self, container: &str) -> Result<i64, Error> {
        let mut ends = std::pin::pin!(self.docker.wait_container(container, None::<WaitContainerOptions>));
        match ends.next().await {
            Some(Ok(end)) => Ok(end.status_code),
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(self.failed(format!("wait for {container}"))(error)),
            None => Ok(-1),
        }
    }
}

/// The deepest folder that both are below.
fn common_parent(one: &Path, other: &Path) -> Option<PathBuf> {
    let common: PathBuf = one
        .components()
        .zip(other.components())
        .take_while(|(one, other)| one == other)
        .map(|(part, _)| part)
        .collect();
    // The root of the machine is more than a helper is given.
    (common.components().count() > 1).then_some(common)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::common_parent;

    #[test]
    fn the_folder_in_common() {
        for (one, other, expected) in [
            (
                "/var/lib/docker/volumes/a/_data",
                "/var/lib/docker/volumes/b/_data",
                Some("/var/lib/docker/volumes"),
            ),
            ("/mnt/a", "/srv/b", None),
        ] {
            let found = common_parent(Path::new(one), Path::new(other));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{one} {other}");
        }
    }
}
