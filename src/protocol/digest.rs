//! Digests of bytes that are stored already: read once, and digested off the threads that serve.

use crate::checksum::{Digester, Digests};
use crate::model::{ByteRange, ChecksumAlgorithm};
use crate::store::{self, Content};

/// Reads a range and computes its digests, `extra` ones too.
pub async fn digest(
    content: &Content,
    range: ByteRange,
    extra: &[ChecksumAlgorithm],
) -> Result<Digests, store::Error> {
    Ok(add(Digester::new(extra), content, range).await?.finish())
}

/// The digests of several contents, one behind the other.
pub async fn digest_all(contents: &[Content]) -> Result<Digests, store::Error> {
    let mut digester = Digester::new(&[]);
    for content in contents {
        digester = add(digester, content, ByteRange::whole(content.size_bytes())).await?;
    }
    Ok(digester.finish())
}

async fn add(mut digester: Digester, content: &Content, range: ByteRange) -> Result<Digester, store::Error> {
    // A digest of other bytes than were written would make them right for ever.
    let mut reader = content.verified_reader(range);
    while let Some(chunk) = reader.next().await {
        let chunk = chunk?;
        // Digesting is work without a wait in it, and a source may have 5 GiB. A blocking thread is
        // taken for one chunk at a time, and is gone only while the runtime shuts down.
        let work = tokio::task::spawn_blocking(move || {
            digester.update(&chunk);
            digester
        });
        digester = work.await.map_err(|_| store::Error::Closed)?;
    }
    Ok(digester)
}
