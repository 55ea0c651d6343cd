//! What XML 1.0 and "Namespaces in XML 1.0" demand of names, attributes and declarations. The reader
//! takes tags apart and looks at none of these. Pure.

use super::MalformedXml;
use super::parser::resolved;

/// The most attributes of one element: S3's documents have two at most. They are compared in pairs.
const ATTRIBUTES_MAX: usize = 32;

/// The prefixes that mean something where an element stands.
#[derive(Debug, Default)]
pub(super) struct Names {
    depth: usize,
    bindings: Vec<Binding>,
}

#[derive(Debug)]
struct Binding {
    depth: usize,
    prefix: Box<str>,
    namespace: Box<str>,
}

impl Names {
    /// Enters an element; gives its name without the prefix. Each is left once.
    pub(super) fn enter<'a>(&mut self, name: &'a str, attributes: &str) -> Result<&'a str, MalformedXml> {
        self.depth += 1;
        let (prefix, local) = qualified(name).ok_or_else(|| malformed("element", name))?;
        if !attributes.is_empty() {
            self.read_attributes(attributes)?;
        }
        if prefix.is_some_and(|prefix| self.namespace(prefix).is_none()) {
            return Err(MalformedXml::new(format!("the prefix of {} is not declared", shown(name))));
        }
        Ok(local)
    }

    /// Leaves the element that was entered last.
    pub(super) fn leave(&mut self) {
        let depth = self.depth;
        self.bindings.retain(|binding| binding.depth < depth);
        self.depth -= 1;
    }

    fn read_attributes(&mut self, text: &str) -> Result<(), MalformedXml> {
        let mut found: Vec<(Option<&str>, &str)> = Vec::new();
        let mut attributes = Attributes(text);
        while let Some((name, value)) = attributes.next()? {
            if found.len() == ATTRIBUTES_MAX {
                return Err(MalformedXml::new("an element has too many attributes"));
            }
            check_value(value)?;
            let (prefix, local) = qualified(name).ok_or_else(|| malformed("attribute", name))?;
            if prefix == Some("xmlns") {
                self.bind(local, value)?;
            }
            found.push((prefix, local));
        }
        // A prefix may be declared behind its use. Section 6.3: no two have the same namespace and name.
        let mut expanded: Vec<(&str, &str)> = Vec::new();
        for (prefix, local) in found {
            let namespace = match prefix {
                None => "",
                Some("xmlns") => "xmlns",
                Some(prefix) => self.namespace(prefix).ok_or_else(|| {
                    MalformedXml::new(format!("the prefix of the attribute {} is not declared", shown(local)))
                })?,
            };
            if expanded.contains(&(namespace, local)) {
                return Err(MalformedXml::new(format!("an element has two attributes {}", shown(local))));
            }
            expanded.push((namespace, local));
        }
        Ok(())
    }

    /// Section 3: `xmlns` is never declared, nothing is bound to nothing, and `xml` is what it is.
    fn bind(&mut self, prefix: &str, namespace: &str) -> Result<(), MalformedXml> {
        if namespace.is_empty() || matches!(prefix, "xmlns" | "xml") {
            return Err(MalformedXml::new(format!("the prefix {} cannot be declared so", shown(prefix))));
        }
        self.bindings.push(Binding { depth: self.depth, prefix: prefix.into(), namespace: namespace.into() });
        Ok(())
    }

    fn namespace(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some("xml");
        }
        let found = self.bindings.iter().rev().find(|binding| &*binding.prefix == prefix);
        found.map(|binding| &*binding.namespace)
    }
}

/// Attributes of a tag, from the end of its name to the end of the tag. XML 1.0 section 3.1: white
/// space before each, and a quoted value.
struct Attributes<'a>(&'a str);

impl<'a> Attributes<'a> {
    fn next(&mut self) -> Result<Option<(&'a str, &'a str)>, MalformedXml> {
        let rest = trim_start(self.0);
        if rest.is_empty() {
            return Ok(None);
        }
        let attribute = if rest.len() == self.0.len() { None } else { split_attribute(rest) };
        let (name, value, rest) =
            attribute.ok_or_else(|| MalformedXml::new("a tag has something in it that is no attribute"))?;
        self.0 = rest;
        Ok(Some((name, value)))
    }
}

/// `name = "value"` and what follows.
fn split_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let rest = trim_start(rest);
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (value, rest) = rest.get(1..)?.split_once(quote)?;
    Some((name.trim_end_matches(is_space), value, rest))
}

/// XML 1.0 section 3.1: no `<`, and references as in text.
fn check_value(value: &str) -> Result<(), MalformedXml> {
    if value.contains('<') {
        return Err(MalformedXml::new("the value of an attribute contains <"));
    }
    for reference in value.split('&').skip(1) {
        let (name, _) =
            reference.split_once(';').ok_or_else(|| MalformedXml::new("a reference does not end"))?;
        resolved(name)?;
    }
    Ok(())
}

/// Whether `<?xml …?>` is a declaration of a document that can be read as UTF-8.
///
/// XML 1.0 section 2.8: version, encoding and whether it stands alone, in this order.
pub(super) fn is_utf8_declaration(text: &str, is_ascii: bool) -> bool {
    let inside = text.strip_prefix("<?xml").and_then(|rest| rest.strip_suffix("?>"));
    let Some(inside) = inside else { return false };
    let mut attributes = Attributes(inside);
    let names = ["version", "encoding", "standalone"];
    let mut behind = 0;
    while let Ok(next) = attributes.next() {
        let Some((name, value)) = next else { return behind > 0 };
        let Some(at) = names.iter().position(|known| *known == name) else { return false };
        let is_fine = match at {
            0 => value
                .strip_prefix("1.")
                .is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|digit| digit.is_ascii_digit())),
            1 => is_readable_encoding(value, is_ascii),
            _ => matches!(value, "yes" | "no"),
        };
        // The version comes first and cannot be left out.
        if !is_fine || at < behind || (behind == 0) != (at == 0) {
            return false;
        }
        behind = at + 1;
    }
    false
}

/// Other encodings would give the same bytes another meaning.
fn is_readable_encoding(name: &str, is_ascii: bool) -> bool {
    let is_same_for_ascii = ["us-ascii", "iso-8859-1"].iter().any(|same| name.eq_ignore_ascii_case(same));
    name.eq_ignore_ascii_case("utf-8") || is_ascii && is_same_for_ascii
}

/// XML 1.0 section 2.6: any name but `xml`, and by its namespaces without a colon.
pub(super) fn is_processing_target(target: &str) -> bool {
    is_plain_name(target) && !target.eq_ignore_ascii_case("xml")
}

/// XML 1.0 section 2.2: `Char`.
pub(super) fn is_xml_char(character: char) -> bool {
    matches!(character, ' '..='\u{fffd}' | '\u{10000}'.. | '\t' | '\n' | '\r')
}

/// Prefix and local part of a name with at most one colon.
fn qualified(name: &str) -> Option<(Option<&str>, &str)> {
    let (prefix, local) = match name.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, name),
    };
    (prefix.is_none_or(is_plain_name) && is_plain_name(local)).then_some((prefix, local))
}

/// "Namespaces in XML 1.0": `NCName`.
fn is_plain_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(begins_name) && characters.all(continues_name)
}

/// XML 1.0 section 2.3: `NameStartChar`, without the colon.
fn begins_name(character: char) -> bool {
    matches!(
        character,
        'A'..='Z'
            | 'a'..='z'
            | '_'
            | '\u{c0}'..='\u{d6}'
            | '\u{d8}'..='\u{f6}'
            | '\u{f8}'..='\u{2ff}'
            | '\u{370}'..='\u{37d}'
            | '\u{37f}'..='\u{1fff}'
            | '\u{200c}'..='\u{200d}'
            | '\u{2070}'..='\u{218f}'
            | '\u{2c00}'..='\u{2fef}'
            | '\u{3001}'..='\u{d7ff}'
            | '\u{f900}'..='\u{fdcf}'
            | '\u{fdf0}'..='\u{fffd}'
            | '\u{10000}'..='\u{effff}'
    )
}

/// XML 1.0 section 2.3: `NameChar`, without the colon.
fn continues_name(character: char) -> bool {
    begins_name(character)
        || matches!(character, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// XML 1.0 section 2.3: `S`.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

fn malformed(what: &str, name: &str) -> MalformedXml {
    MalformedXml::new(format!("{} is not the name of an {what}", shown(name)))
}

/// Names come from strangers and may be long.
fn shown(name: &str) -> String {
    format!("{:?}", name.chars().take(64).collect::<String>())
}
