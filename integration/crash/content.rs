//! Content that is known by a seed and a size, and the dice that all is drawn from.

use md5::{Digest as _, Md5};

/// The least that a part may have which is not the last.
pub(crate) const PART_BYTES: usize = 5 * 1024 * 1024;

/// What an object holds, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// What the bytes are drawn from.
    pub(crate) seed: u64,
    /// How many there are.
    pub(crate) size: usize,
    /// Whether it was uploaded in two parts.
    pub(crate) in_parts: bool,
}

impl Content {
    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut dice = Dice::new(self.seed);
        let mut bytes = Vec::with_capacity(self.size + 8);
        while bytes.len() < self.size {
            bytes.extend_from_slice(&dice.next().to_le_bytes());
        }
        bytes.truncate(self.size);
        bytes
    }

    /// The ETag that the object must have.
    pub(crate) fn etag(&self) -> String {
        let bytes = self.bytes();
        if !self.in_parts {
            return format!("\"{}\"", hex::encode(Md5::digest(bytes)));
        }
        let (one, two) = bytes.split_at(PART_BYTES);
        let digests = [Md5::digest(one), Md5::digest(two)].concat();
        format!("\"{}-2\"", hex::encode(Md5::digest(digests)))
    }
}

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice with a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
