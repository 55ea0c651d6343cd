//! The client against servers of its own.
