//! Files into a container, and out of it.

use std::io::Read as _;

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use futures_util::StreamExt as _;

use super::{Engine, Error};
use crate::library::tarball::{FileOf, pack};

/// The user of the image.
const OWNER: (u32, u32) = (10001, 10001);
/// The most that is read of a file.
const FILE_BYTES_MAX: usize = 1 << 20;

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

    /// A small file of a container that need not run; `None` if there is none.
    pub async fn read_file(&self, container: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let doing = || format!("read {path} of {container}");
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut parts = std::pin::pin!(self.docker.download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(part) = parts.next().await {
            match part {
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                    return Ok(None);
                }
                part => archive.extend_from_slice(&part.map_err(self.failed(doing()))?),
            }
            if archive.len() > FILE_BYTES_MAX {
                return Err(Error::Engine { doing: doing(), reason: "it is too large".to_owned() });
            }
        }
        let unpacked = || -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            for entry in tar::Archive::new(archive.as_slice()).entries()? {
                entry?.read_to_end(&mut bytes)?;
            }
            Ok(bytes)
        };
        unpacked().map(Some).map_err(|source| Error::Io { what: format!("cannot {}", doing()), source })
    }
}
