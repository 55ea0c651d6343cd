//! Writing documents.

use std::fmt::{Display, Write as _};

use bytes::Bytes;

use super::escape::Escaped;

/// The namespace of S3's documents.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Writes one document, element by element.
///
/// Elements nest as the closures do, so a document is always well-formed.
#[derive(Debug)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// A document of S3's namespace with the root element `name`.
    pub fn document(name: &str, content: impl FnOnce(&mut Self)) -> Bytes {
        Self::with_root(name, &[("xmlns", NAMESPACE)], content)
    }

    /// A document without a namespace: `Error`.
    pub fn bare_document(name: &str, content: impl FnOnce(&mut Self)) -> Bytes {
        Self::with_root(name, &[], content)
    }

    fn with_root(name: &str, attributes: &[(&str, &str)], content: impl FnOnce(&mut Self)) -> Bytes {
        let mut writer = Self { text: DECLARATION.to_owned() };
        writer.element_with(name, attributes, content);
        writer.text.into()
    }

    /// An element with what `content` writes into it.
    pub fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.element_with(name, &[], content);
    }

    /// An element with attributes.
    pub fn element_with(&mut self, name: &str, attributes: &[(&str, &str)], content: impl FnOnce(&mut Self)) {
        self.push(&["<", name]);
        for (attribute, value) in attributes {
            self.push(&[" ", attribute, "=\""]);
            self.text(value);
            self.push(&["\""]);
        }
        self.push(&[">"]);
        let begin = self.text.len();
        content(self);
        if self.text.len() == begin {
            // As S3 writes an element that is empty: `<Prefix/>`.
            self.text.truncate(begin - 1);
            self.push(&["/>"]);
        } else {
            self.push(&["</", name, ">"]);
        }
    }

    /// An element with a text.
    pub fn value(&mut self, name: &str, value: impl Display) {
        self.element(name, |writer| writer.text(value));
    }

    /// An element with a text, if there is one.
    pub fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// Text, escaped.
    pub fn text(&mut self, value: impl Display) {
        // Writing to a String does not fail; a `Display` that says it did has nothing more to say.
        write!(Escaped(&mut self.text), "{value}").ok();
    }

    fn push(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
    }
}
