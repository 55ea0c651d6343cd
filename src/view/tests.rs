//! The view over a real store and small servers.
