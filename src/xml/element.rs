//! A document as a small tree, and finding elements in it.

use super::parser::Parser;

/// The largest document that is read: 10,000 parts with their checksums need about 3 MB.
const BYTES_MAX: usize = 8 << 20;

/// An element: its name without prefix, its text, its children. Attributes are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub(super) name: Box<str>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

/// The body is not a document that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The XML you provided was not well-formed or did not validate against our published schema")]
pub struct MalformedXml {
    /// What is wrong, for the log.
    pub reason: String,
}

impl MalformedXml {
    /// A document that is well-formed but not of the shape that an operation needs.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl Element {
    /// Reads a document and gives its root element, which must be called `root`.
    ///
    /// It must be well-formed, by XML 1.0 and its namespaces; then namespaces, attributes, comments and
    /// processing instructions are ignored. Document types are refused, so there are no entities but
    /// the five of XML. Characters that XML has no place for may come as references, since S3 writes
    /// them so in its listings.
    pub fn parse(body: &[u8], root: &str) -> Result<Self, MalformedXml> {
        if body.len() > BYTES_MAX {
            return Err(MalformedXml::new(format!("the body has more than {BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(body).map_err(|_| MalformedXml::new("the body is not UTF-8"))?;
        let element = Parser::new(text.strip_prefix('\u{feff}').unwrap_or(text)).document()?;
        if element.name() == root {
            Ok(element)
        } else {
            Err(MalformedXml::new(format!("the root element is not {root}")))
        }
    }

    /// The name, without a prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text directly within, unescaped, as it stands.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All children, in order.
    pub fn children(&self) -> &[Element] {
        &self.children
    }

    /// The children of a name, in order.
    pub fn children_named(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.name() == name)
    }

    /// The child of a name, if there is one; two are an error.
    pub fn find(&self, name: &str) -> Result<Option<&Element>, MalformedXml> {
        let mut children = self.children_named(name);
        let child = children.next();
        if children.next().is_some() {
            return Err(MalformedXml::new(format!("{} has more than one {name}", self.name)));
        }
        Ok(child)
    }

    /// The child of a name, which must be there once.
    pub fn get(&self, name: &str) -> Result<&Element, MalformedXml> {
        self.find(name)?.ok_or_else(|| MalformedXml::new(format!("{} has no {name}", self.name)))
    }
}
