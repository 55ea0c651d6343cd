//! How much a request may bring.

/// Limits of request bodies, as they are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The most bytes of one PUT or one part.
    ///
    /// AWS: "Uploading objects": 5 GiB in a single operation.
    pub object_bytes_max: u64,
    /// The most bytes of an XML or JSON document.
    ///
    /// AWS: `CompleteMultipartUpload`: 10,000 parts with their checksums, however indented, stay within
    /// 4 MiB.
    pub document_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { object_bytes_max: 5 * 1024 * 1024 * 1024, document_bytes_max: 4 * 1024 * 1024 }
    }
}

impl Config {
    /// Small limits, so that tests can reach them.
    pub fn for_tests() -> Self {
        Self { object_bytes_max: 64 * 1024 * 1024, document_bytes_max: 64 * 1024 }
    }
}
