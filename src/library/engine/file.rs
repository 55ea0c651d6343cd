//! Files into a container, and out of it.

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use futures_util::StreamExt as _;

use super::{Engine, Error};
use crate::library::tarball::{FileOf, pack, unpack};

/// The user of the image.
const OWNER: (u32, u32) = (10001, 10001);

impl Engine {
    /// Puts a file into a folder of a container that need not run. Engine: with a read-only root the
    /// folder has to be in a volume.
    pub(super) async fn put_file(
        &self,
        container: &str,
        folder: &str,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let archive = pack(FileOf { name, bytes, owner: OWNER, mode: 0o644 });
        let options = UploadToContainerOptionsBuilder::default().path(folder).build();
        let put = self
            .docker
            .upload_to_container(container, Some(options), bollard::body_full(archive.into()))
            .await;
        put.map_err(self.failed(format!("put {name} into {container}")))
    }

    /// A small file of a container, which need not run; none if it is not there.
    pub async fn find_file(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut parts = std::pin::pin!(self.docker.download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(part) = parts.next().await {
            match part {
                Ok(part) => archive.extend_from_slice(&part),
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                    return Ok(None);
                }
                Err(error) => return Err(self.failed(format!("read {path} of {container}"))(error)),
            }
        }
        Ok(unpack(&archive))
    }
}
