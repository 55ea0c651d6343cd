//! Partial responses: the mask of `fields=`. Pure.
//!
//! GCS: "Performance tips", "Partial response": `a,b/c,items(name,size),*`.
//!
//! A name that Google's resource does not have is refused, as Google does; one that it has and that is not
//! shown here selects nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::Shape;

/// Which parts of a document a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldMask(Selection);

/// The children of a field that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Selection {
    /// All of them.
    All,
    /// These. `*` stands for every name.
    Of(BTreeMap<String, Selection>),
}

/// A mask that breaks its grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid field selection {0}")]
pub(super) struct InvalidMask(String);

/// Masks deeper than this are refused; no resource is half as deep.
const DEPTH_MAX: usize = 16;

/// A message carries this much of a name.
const NAME_CHARS_MAX: usize = 200;

impl FieldMask {
    /// Reads the value of `fields`.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidMask> {
        let mut parser = Parser { rest: text, whole: text };
        let selection = parser.list(0)?;
        if parser.rest.is_empty() { Ok(Self(selection)) } else { Err(parser.invalid()) }
    }

    /// Checks that a resource of this shape has all that is wanted.
    pub(super) fn check(&self, shape: Shape) -> Result<(), InvalidMask> {
        self.0.check(shape)
    }

    /// Takes away what is not wanted. Lists are looked through: the mask is about their items.
    pub(super) fn apply(&self, document: Value) -> Value {
        self.0.apply(document)
    }

    /// Whether the field at this path is wanted, so that what costs something to know is not
    /// found out in vain.
    pub(super) fn wants(&self, path: &[&str]) -> bool {
        let mut selection = &self.0;
        for name in path {
            match selection {
                Selection::All => return true,
                Selection::Of(children) => match children.get(*name).or_else(|| children.get("*")) {
                    Some(child) => selection = child,
                    None => return false,
                },
            }
        }
        true
    }
}

impl Selection {
    fn check(&self, shape: Shape) -> Result<(), InvalidMask> {
        let Self::Of(children) = self else { return Ok(()) };
        for (name, child) in children {
            let invalid = || InvalidMask(name.chars().take(NAME_CHARS_MAX).collect());
            if name != "*" {
                child.check(shape.member(name).ok_or_else(invalid)?)?;
                continue;
            }
            // Below `*` a name must be one of any member's.
            let mut members = shape.members().peekable();
            if members.peek().is_some() && *child != Self::All {
                let checked: Vec<_> = members.map(|member| child.check(member)).collect();
                if checked.iter().all(Result::is_err) {
                    checked.into_iter().collect::<Result<Vec<()>, _>>()?;
                }
            }
        }
        Ok(())
    }

    fn apply(&self, document: Value) -> Value {
        let Self::Of(children) = self else { return document };
        match document {
            Value::Array(items) => items.into_iter().map(|item| self.apply(item)).collect(),
            Value::Object(members) => members
                .into_iter()
                .filter_map(|(name, value)| {
                    let child = children.get(&name).or_else(|| children.get("*"))?;
                    Some((name, child.apply(value)))
                })
                .collect(),
            leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => leaf,
        }
    }

    /// Both: a name that is given twice selects what either selects.
    fn merge(self, other: Self) -> Self {
        let (Self::Of(mut children), Self::Of(more)) = (self, other) else { return Self::All };
        for (name, child) in more {
            let merged = match children.remove(&name) {
                Some(present) => present.merge(child),
                None => child,
            };
            children.insert(name, merged);
        }
        Self::Of(children)
    }
}

/// Reads a mask from left to right.
struct Parser<'mask> {
    rest: &'mask str,
    whole: &'mask str,
}

impl Parser<'_> {
    /// `path[,path…]`
    fn list(&mut self, depth: usize) -> Result<Selection, InvalidMask> {
        let mut selection = self.path(depth)?;
        while self.take(',') {
            selection = selection.merge(self.path(depth)?);
        }
        Ok(selection)
    }

    /// `name[/path]` or `name(list)`
    fn path(&mut self, depth: usize) -> Result<Selection, InvalidMask> {
        if depth > DEPTH_MAX {
            return Err(self.invalid());
        }
        self.rest = self.rest.trim_start();
        let end = self.rest.find([',', '/', '(', ')']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        let name = name.trim();
        if name.is_empty() {
            return Err(self.invalid());
        }
        self.rest = rest;
        let children = if self.take('/') {
            self.path(depth + 1)?
        } else if self.take('(') {
            let children = self.list(depth + 1)?;
            if !self.take(')') {
                return Err(self.invalid());
            }
            self.rest = self.rest.trim_start();
            children
        } else {
            Selection::All
        };
        Ok(Selection::Of(BTreeMap::from([(name.to_owned(), children)])))
    }

    fn take(&mut self, letter: char) -> bool {
        match self.rest.strip_prefix(letter) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn invalid(&self) -> InvalidMask {
        InvalidMask(self.whole.chars().take(NAME_CHARS_MAX).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::FieldMask;
    use crate::gcs::route::{Operation, Place};
    use crate::gcs::shape::Shape;
    use crate::model::{BucketName, ObjectKey};

    #[test]
    fn masks_take_what_they_name() {
        let document = json!({
            "kind": "storage#objects",
            "nextPageToken": "t",
            "prefixes": ["a/", "b/"],
            "items": [
                {"name": "a", "size": "1", "metadata": {"x": "1", "y": "2"}},
                {"name": "b", "size": "2"},
            ],
        });
        for (mask, expected) in [
            ("kind", json!({"kind": "storage#objects"})),
            ("items(name)", json!({"items": [{"name": "a"}, {"name": "b"}]})),
            ("items/name", json!({"items": [{"name": "a"}, {"name": "b"}]})),
            (
                "items(name,size),nextPageToken",
                json!({"nextPageToken": "t", "items": [{"name": "a", "size": "1"}, {"name": "b", "size": "2"}]}),
            ),
            ("prefixes, kind", json!({"prefixes": ["a/", "b/"], "kind": "storage#objects"})),
            ("items/metadata/x", json!({"items": [{"metadata": {"x": "1"}}, {}]})),
            ("items/metadata(x,y)", json!({"items": [{"metadata": {"x": "1", "y": "2"}}, {}]})),
            ("items(metadata/x,metadata/y)", json!({"items": [{"metadata": {"x": "1", "y": "2"}}, {}]})),
            ("items/metadata/*", json!({"items": [{"metadata": {"x": "1", "y": "2"}}, {}]})),
            (
                "items/name,items/size,items/name",
                json!({"items": [{"name": "a", "size": "1"}, {"name": "b", "size": "2"}]}),
            ),
            ("items,items/name", json!({"items": document["items"]})),
            ("*", document.clone()),
            ("nothing", json!({})),
        ] {
            let parsed = FieldMask::parse(mask).expect("a mask");
            assert_eq!(parsed.apply(document.clone()), expected, "{mask}");
        }
    }

    #[test]
    fn masks_know_what_they_want() {
        for (mask, path, expected) in [
            ("items(name,size)", &["items", "md5Hash"][..], false),
            ("items(name,md5Hash)", &["items", "md5Hash"], true),
            ("items", &["items", "md5Hash"], true),
            ("*/md5Hash", &["items", "md5Hash"], true),
            ("name", &["md5Hash"], false),
            ("*", &["md5Hash"], true),
        ] {
            assert_eq!(FieldMask::parse(mask).expect("a mask").wants(path), expected, "{mask}");
        }
    }

    #[test]
    fn names_that_google_does_not_know_are_refused() {
        let place = Place {
            bucket: BucketName::parse("bucket").expect("a name"),
            key: ObjectKey::parse("a").expect("a key"),
        };
        let list = Shape::of(&Operation::ListObjects(place.bucket.clone()));
        let get = Shape::of(&Operation::GetObject(place.clone()));
        for (shape, mask, wrong) in [
            (get, "nonexistent", Some("nonexistent")),
            (get, "name,nonexistent", Some("nonexistent")),
            (get, "items/name", Some("items")),
            (get, "name/x", Some("x")),
            (get, "metadata/anything,componentCount,acl/role,*", None),
            (get, "acl(role,rule)", Some("rule")),
            (list, "items(name,size),nextPageToken,prefixes,kind", None),
            (list, "items/nonexistent", Some("nonexistent")),
            (list, "*/md5Hash", None),
            (list, "*/nonexistent", Some("nonexistent")),
            (list, "name", Some("name")),
            (Shape::of(&Operation::Download(place)), "nonexistent", None),
        ] {
            let checked = FieldMask::parse(mask).expect("a mask").check(shape);
            let expected = wrong.map(|name| format!("Invalid field selection {name}"));
            assert_eq!(checked.err().map(|invalid| invalid.to_string()), expected, "{mask}");
        }
    }

    #[test]
    fn malformed_masks_are_refused() {
        let deep = "a(".repeat(200);
        for mask in ["", ",", "a,", "a/", "a(", "a()", "a(b", "a)b", "a(b))", "(a)", "a(b)c", deep.as_str()] {
            assert!(FieldMask::parse(mask).is_err(), "{mask:?} was taken");
        }
    }
}
