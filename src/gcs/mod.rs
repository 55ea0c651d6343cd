//! GCS.

mod fields;
mod mime;
