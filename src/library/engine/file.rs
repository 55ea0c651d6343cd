//! Files into a container.

use bollard::query_parameters::UploadToContainerOptionsBuilder;

use super::{Engine, Error};
use crate::library::tarball::{FileOf, pack};

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
}
