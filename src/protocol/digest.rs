//! Digests of bytes that are stored already: read once, in turn with other requests.

use crate::checksum::{Digester, Digests};
use crate::model::{ByteRange, ChecksumAlgorithm};
use crate::store::{self, Content};

/// Reads a range and computes its digests, `extra` ones too.
pub async fn digest(
    content: &Content,
    range: ByteRange,
    extra: &[ChecksumAlgorithm],
) -> Result<Digests, store::Error> {
    let mut digester = Digester::new(extra);
    add(&mut digester, content, range).await?;
    Ok(digester.finish())
}

/// The digests of several contents, one behind the other.
pub async fn digest_all(contents: &[Content]) -> Result<Digests, store::Error> {
    let mut digester = Digester::new(&[]);
    for content in contents {
        add(&mut digester, content, ByteRange::whole(content.size_bytes())).await?;
    }
    Ok(digester.finish())
}

async fn add(digester: &mut Digester, content: &Content, range: ByteRange) -> Result<(), store::Error> {
    let mut reader = content.reader(range);
    while let Some(chunk) = reader.next().await {
        digester.update(&chunk?);
        // Hashing is work without a wait in it: let other requests have their turn.
        tokio::task::yield_now().await;
    }
    Ok(())
}
