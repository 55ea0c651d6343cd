//! Request bodies: what is read can be written, and reads back the same.

use understudy::xml::{Element, Writer};

fn write(xml: &mut Writer, element: &Element) {
    for child in element.children() {
        xml.element(child.name(), |xml| write(xml, child));
    }
    if element.children().is_empty() {
        xml.text(element.text());
    }
}

/// Text between elements is nobody's, so it is not written.
fn same(one: &Element, other: &Element) -> bool {
    one.name() == other.name()
        && (!one.children().is_empty() || one.text() == other.text())
        && one.children().len() == other.children().len()
        && one.children().iter().zip(other.children()).all(|(one, other)| same(one, other))
}

/// A document.
pub(crate) fn run(data: &[u8]) {
    let Ok(element) = Element::parse(data, "Delete") else { return };
    let written = Writer::bare_document("Delete", |xml| write(xml, &element));
    let again = Element::parse(&written, "Delete").expect("what was written can be read");
    assert!(same(&element, &again), "{element:?}\n{again:?}");
}
