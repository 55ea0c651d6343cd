//! Signature version 2: what boto3 presigns with by default.
//!
//! Pure, like version 4. Deliberately elsewhere: choosing between the versions (`presented`).
//!
//! AWS: "Signing and authenticating REST requests (AWS signature version 2)".

mod header;
mod query;
mod string_to_sign;
#[cfg(test)]
mod tests;

pub use header::HeaderAuth;
pub use query::QueryAuth;
pub use string_to_sign::signs;
