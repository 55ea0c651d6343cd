//! Reading a document: bounds, nesting, text. `well_formed` judges names, attributes and declarations.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::well_formed::{Names, is_processing_target, is_utf8_declaration, is_xml_char};
use super::{Element, MalformedXml};

/// The deepest document that is read: S3's own go to about 8.
const DEPTH_MAX: usize = 16;
/// The most elements: 10,000 parts with up to seven each.
const ELEMENTS_MAX: usize = 100_000;

/// What is known of a document half-way.
pub(super) struct Parser<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    names: Names,
    elements: usize,
    /// The elements that have begun and not ended, the innermost last.
    open: Vec<Element>,
    root: Option<Element>,
}

impl<'a> Parser<'a> {
    /// Begins to read a text without a byte order mark.
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        Self { text, reader, names: Names::default(), elements: 0, open: Vec::new(), root: None }
    }

    /// Reads all of it.
    pub(super) fn document(mut self) -> Result<Element, MalformedXml> {
        // The reader would pass over a second byte order mark.
        if self.text.starts_with('\u{feff}') || !self.text.chars().all(is_xml_char) {
            return Err(MalformedXml::new("there is a character that XML 1.0 has no place for"));
        }
        loop {
            let begin = self.position();
            let event = self.reader.read_event().map_err(|error| MalformedXml::new(error.to_string()))?;
            let raw = self.text.get(begin..self.position()).unwrap_or_default();
            match event {
                Event::Start(start) => self.begin(&start)?,
                Event::Empty(start) => {
                    self.begin(&start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                // XML 1.0 section 2.4: `]]>` ends a CDATA section and stands nowhere else.
                Event::Text(_) if raw.contains("]]>") => {
                    return Err(MalformedXml::new("there is a stray ]]>"));
                }
                Event::Text(text) => self.push_text(&text.xml10_content())?,
                Event::CData(_) if self.open.is_empty() || !raw.starts_with("<![CDATA[") => {
                    return Err(MalformedXml::new("a CDATA section is out of place"));
                }
                Event::CData(text) => self.push_text(&text.xml10_content())?,
                Event::GeneralRef(_) if self.open.is_empty() => {
                    return Err(MalformedXml::new("there is a reference outside the root element"));
                }
                Event::GeneralRef(reference) => self.push_text(&resolved(&reference)?)?,
                Event::Comment(_) => {}
                Event::PI(instruction) if is_processing_target(instruction.target()) => {}
                Event::PI(_) => return Err(MalformedXml::new("a processing instruction has no proper name")),
                Event::Decl(_) if begin == 0 && is_utf8_declaration(raw, self.text.is_ascii()) => {}
                Event::Decl(_) => {
                    return Err(MalformedXml::new("the XML declaration is out of place, or not of UTF-8"));
                }
                Event::DocType(_) => return Err(MalformedXml::new("a document type is not allowed")),
                Event::Eof => break,
            }
        }
        if !self.open.is_empty() {
            return Err(MalformedXml::new("the document ends before its root element does"));
        }
        self.root.ok_or_else(|| MalformedXml::new("there is no root element"))
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
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
        let name = self.names.enter(start.name().into_inner(), start.attributes_raw())?;
        self.open.push(Element { name: name.into(), text: String::new(), children: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), MalformedXml> {
        let element =
            self.open.pop().ok_or_else(|| MalformedXml::new("an element ends that did not begin"))?;
        self.names.leave();
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
pub(super) fn resolved(name: &str) -> Result<Cow<'static, str>, MalformedXml> {
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
