//! `aws-chunked` bodies: taking the framing off and checking what signs it.
//!
//! A pure state machine over bytes; reading the body and comparing the checksum that a trailer
//! carries are its caller's.
//!
//! AWS: "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
//! Chunks", "… Including Trailing Headers".

mod announced;
mod decoder;
mod signing;
#[cfg(test)]
mod tests;

pub use announced::{Announced, InvalidAnnouncement};
pub use decoder::{DecodeError, Decoder};
pub use signing::Signing;
