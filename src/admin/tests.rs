//! The face over a store of its own.
