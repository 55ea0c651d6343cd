//! Requests through the face, in process, over a real store.
