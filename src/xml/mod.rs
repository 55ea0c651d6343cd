//! XML as S3 writes and reads it: a writer of documents and a reader of small request bodies.
//!
//! Bytes in, bytes out; which elements a document has is known where operations are.

mod element;
mod escape;
mod parser;
#[cfg(test)]
mod tests;
mod well_formed;
mod writer;

pub use element::{Element, MalformedXml};
pub use writer::{NAMESPACE, Writer};
