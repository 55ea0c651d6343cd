//! Reading request bodies into a small tree.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// The deepest document that is read: S3's own go to about 8.
const DEPTH_MAX: usize = 16;
/// The largest document that is read: 10,000 parts with their checksums need about 3 MB.
const BYTES_MAX: usize = 8 << 20;
/// The most elements: 10,000 parts with up to seven each.
const ELEMENTS_MAX: usize = 100_000;

/// An element: its name without prefix, its text, its children. Attributes are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    name: Box<str>,
    text: String,
    children: Vec<Element>,
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
    /// Namespaces, comments and processing instructions are ignored. Document types are refused, so
    /// there are no entities but the five of XML.
    pub fn parse(body: &[u8], root: &str) -> Result<Self, MalformedXml> {
        if body.len() > BYTES_MAX {
            return Err(MalformedXml::new(format!("the body has more than {BYTES_MAX} bytes")));
        }
        let text = std::str::from_utf8(body).map_err(|_| MalformedXml::new("the body is not UTF-8"))?;
        let element = Parser::new(text).document()?;
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

struct Parser<'a> {
    reader: Reader<&'a [u8]>,
    elements: usize,
    /// The elements that have begun and not ended, the innermost last.
    open: Vec<Element>,
    root: Option<Element>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { reader: Reader::from_str(text), elements: 0, open: Vec::new(), root: None }
    }

    fn document(mut self) -> Result<Element, MalformedXml> {
        loop {
            let event = self.reader.read_event().map_err(|error| MalformedXml::new(error.to_string()))?;
            match event {
                Event::Start(start) => self.begin(&start)?,
                Event::Empty(start) => {
                    self.begin(&start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.push_text(&text.xml10_content())?,
                Event::CData(text) => self.push_text(&text.xml10_content())?,
                Event::GeneralRef(reference) => self.push_text(&resolved(&reference)?)?,
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::DocType(_) => return Err(MalformedXml::new("a document type is not allowed")),
                Event::Eof => break,
            }
        }
        if !self.open.is_empty() {
            return Err(MalformedXml::new("the document ends before its root element does"));
        }
        self.root.ok_or_else(|| MalformedXml::new("there is no root element"))
    }

    fn begin(&mut self, start: &BytesStart<'a>) -> Result<(), MalformedXml> {
        if self.root.is_some() {
            return Err(MalformedXml::new("there is more than one root element"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(MalformedXml::new("elements are nested too deeply"));
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(MalformedXml::new("there are too many elements"));
        }
        let name = start.local_name().as_ref().into();
        self.open.push(Element { name, text: String::new(), children: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), MalformedXml> {
        let element =
            self.open.pop().ok_or_else(|| MalformedXml::new("an element ends that did not begin"))?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn push_text(&mut self, text: &str) -> Result<(), MalformedXml> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim_ascii().is_empty() => {}
            None => return Err(MalformedXml::new("there is text outside the root element")),
        }
        Ok(())
    }
}

/// What a reference stands for: a character by number, or one of the five entities of XML.
fn resolved(reference: &BytesRef<'_>) -> Result<Cow<'static, str>, MalformedXml> {
    let name: &str = reference;
    let Some(number) = name.strip_prefix('#') else {
        return quick_xml::escape::resolve_predefined_entity(name)
            .map(Cow::Borrowed)
            .ok_or_else(|| MalformedXml::new("an entity is not one of XML's own"));
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    let signed = digits.starts_with('+');
    u32::from_str_radix(digits, radix)
        .ok()
        .filter(|_| !signed)
        .and_then(char::from_u32)
        .map(|character| Cow::Owned(character.to_string()))
        .ok_or_else(|| MalformedXml::new("a reference names no character"))
}
