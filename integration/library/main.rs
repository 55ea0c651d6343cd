//! The library of stages, against a real Docker Engine.
