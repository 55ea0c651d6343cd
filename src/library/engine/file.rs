//! Files into a container and out of it.

use std::io::Write;

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use futures_util::StreamExt as _;

use super::{Engine, Error};
use crate::library::tarball::{FileOf, Unpacking, pack};

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

    /// Writes a container's file to `out`, and gives its length.
    pub async fn fetch_file(&self, container: &str, path: &str, out: &mut impl Write) -> Result<u64, Error> {
        let doing = || format!("fetch {path} from {container}");
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut pieces = std::pin::pin!(self.docker.download_from_container(container, Some(options)));
        let (mut unpacking, mut length_bytes, mut written) = (Unpacking::new(), 0, Ok(()));
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(self.failed(doing()))?;
            let fed = unpacking.feed(&piece, |bytes| {
                length_bytes += bytes.len() as u64;
                if written.is_ok() {
                    written = out.write_all(bytes);
                }
            });
            fed.map_err(|broken| Error::Engine { doing: doing(), reason: broken.to_string() })?;
            if written.is_err() {
                break;
            }
        }
        written.map_err(|source| Error::Io { what: "cannot write the export".to_owned(), source })?;
        if unpacking.is_done() {
            Ok(length_bytes)
        } else {
            Err(Error::Engine { doing: doing(), reason: "it ended too early".to_owned() })
        }
    }
}
