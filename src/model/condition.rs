//! The If-Match family as values and rules; the store evaluates them inside its transaction.
//!
//! RFC 9110 section 13; AWS: "Conditional requests"; GCS: "Request preconditions".

use super::{ETag, Timestamp};

/// What conditions are compared with: the current object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectState {
    /// Its entity tag.
    pub etag: ETag,
    /// When it was written.
    pub modified: Timestamp,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its generation: a number that grows with every write of any object.
    pub generation: u64,
    /// How often its metadata was changed since it was written, counted from 1.
    pub metageneration: u64,
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ETagMatch {
    /// `*`: any object.
    Any,
    /// One of these tags.
    OneOf(Vec<ETag>),
}

/// How tags are compared (RFC 9110 section 8.8.3.2). Tags of objects are strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// A weak tag matches nothing: `If-Match`, `If-Range`.
    Strong,
    /// A weak tag matches the strong one of the same text: `If-None-Match`.
    Weak,
}

impl ETagMatch {
    /// Reads a header value. A tag that cannot be that of an object matches nothing.
    pub fn parse(header: &str, comparison: Comparison) -> Self {
        if header.trim() == "*" {
            return Self::Any;
        }
        let strong = |tag| match comparison {
            Comparison::Strong => tag,
            Comparison::Weak => str::trim(tag).strip_prefix("W/").unwrap_or(tag),
        };
        Self::OneOf(members(header).filter_map(|tag| ETag::parse(strong(tag)).ok()).collect())
    }

    fn matches(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.contains(etag),
        }
    }
}

/// The members of a list of tags: a comma between quotation marks belongs to a tag.
fn members(list: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    list.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
}

/// Why a condition did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConditionFailed {
    /// A read whose client already has the object: 304.
    #[error("the object was not modified")]
    NotModified,
    /// 412. The text is the name of the condition that failed.
    #[error("at least one of the preconditions you specified did not hold: {0}")]
    Precondition(&'static str),
    /// `If-Match` on a write where there is no object: 404.
    #[error("the condition needs an object, and there is none")]
    Missing,
}

/// Conditions of GET, HEAD and of the source of a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// `If-Match`.
    pub if_match: Option<ETagMatch>,
    /// `If-None-Match`.
    pub if_none_match: Option<ETagMatch>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Checks the conditions in the order of RFC 9110 section 13.2.2.
    ///
    /// AWS: `GetObject`: with `If-Match` true, `If-Unmodified-Since` is not looked at; with
    /// `If-None-Match` false, `If-Modified-Since` is not either.
    pub fn check(&self, object: &ObjectState) -> Result<(), ConditionFailed> {
        let modified = object.modified.truncated_to_seconds();
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches(&object.etag) => {
                return Err(ConditionFailed::Precondition("If-Match"));
            }
            (None, Some(time)) if modified > time => {
                return Err(ConditionFailed::Precondition("If-Unmodified-Since"));
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => not_modified_if(tags.matches(&object.etag)),
            (None, Some(time)) => not_modified_if(modified <= time),
            (None, None) => Ok(()),
        }
    }
}

fn not_modified_if(fresh: bool) -> Result<(), ConditionFailed> {
    if fresh { Err(ConditionFailed::NotModified) } else { Ok(()) }
}

/// Conditions of PUT, Copy, Complete and DELETE on what they would replace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteConditions {
    /// `If-Match`.
    pub if_match: Option<ETagMatch>,
    /// `If-None-Match`.
    pub if_none_match: Option<ETagMatch>,
    /// `x-amz-if-match-size` (DELETE), in bytes.
    pub if_match_size: Option<u64>,
    /// `x-amz-if-match-last-modified-time` (DELETE), whole seconds.
    pub if_match_modified: Option<Timestamp>,
    /// GCS `ifGenerationMatch`; 0 means that there must be no object.
    pub if_generation_match: Option<u64>,
    /// GCS `ifGenerationNotMatch`; 0 means that there must be an object.
    pub if_generation_not_match: Option<u64>,
    /// GCS `ifMetagenerationMatch`.
    pub if_metageneration_match: Option<u64>,
    /// GCS `ifMetagenerationNotMatch`.
    pub if_metageneration_not_match: Option<u64>,
}

impl WriteConditions {
    /// Checks the conditions against the object that the write would replace or delete.
    pub fn check(&self, current: Option<&ObjectState>) -> Result<(), ConditionFailed> {
        self.check_tags(current)?;
        self.check_attributes(current)?;
        self.check_generations(current)
    }

    fn check_tags(&self, current: Option<&ObjectState>) -> Result<(), ConditionFailed> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(ConditionFailed::Missing),
            (Some(tags), Some(object)) if !tags.matches(&object.etag) => {
                return Err(ConditionFailed::Precondition("If-Match"));
            }
            _ => {}
        }
        match (&self.if_none_match, current) {
            (Some(tags), Some(object)) if tags.matches(&object.etag) => {
                Err(ConditionFailed::Precondition("If-None-Match"))
            }
            _ => Ok(()),
        }
    }

    /// A DELETE of what is not there succeeds whatever it asks of size and time.
    fn check_attributes(&self, current: Option<&ObjectState>) -> Result<(), ConditionFailed> {
        let Some(object) = current else { return Ok(()) };
        if self.if_match_size.is_some_and(|size| size != object.size_bytes) {
            return Err(ConditionFailed::Precondition("x-amz-if-match-size"));
        }
        let modified = object.modified.truncated_to_seconds();
        if self.if_match_modified.is_some_and(|time| time.truncated_to_seconds() != modified) {
            return Err(ConditionFailed::Precondition("x-amz-if-match-last-modified-time"));
        }
        Ok(())
    }

    fn check_generations(&self, current: Option<&ObjectState>) -> Result<(), ConditionFailed> {
        // GCS: "no object" behaves like generation 0 and metageneration 0.
        let generation = current.map_or(0, |object| object.generation);
        let metageneration = current.map_or(0, |object| object.metageneration);
        let failed = [
            ("ifGenerationMatch", self.if_generation_match.is_some_and(|wanted| wanted != generation)),
            ("ifGenerationNotMatch", self.if_generation_not_match == Some(generation)),
            (
                "ifMetagenerationMatch",
                self.if_metageneration_match.is_some_and(|wanted| wanted != metageneration),
            ),
            ("ifMetagenerationNotMatch", self.if_metageneration_not_match == Some(metageneration)),
        ];
        match failed.into_iter().find(|(_, failed)| *failed) {
            Some((name, _)) => Err(ConditionFailed::Precondition(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, ConditionFailed, ETagMatch, ObjectState, ReadConditions, WriteConditions};
    use crate::model::{ETag, Timestamp};

    const WRITTEN_MS: i64 = 1_000_500;

    fn object() -> ObjectState {
        ObjectState {
            etag: ETag::parse("aaa").expect("a tag"),
            modified: Timestamp::from_ms(WRITTEN_MS),
            size_bytes: 3,
            generation: 7,
            metageneration: 2,
        }
    }

    #[test]
    fn weak_tags_match_where_rfc_9110_compares_weakly() {
        let tag = |text| ETag::parse(text).expect("a tag");
        for (header, strong, weak) in [
            ("\"aaa\"", vec![tag("aaa")], vec![tag("aaa")]),
            ("W/\"aaa\"", vec![], vec![tag("aaa")]),
            ("\"b\", W/\"aaa\"", vec![tag("b")], vec![tag("b"), tag("aaa")]),
            ("\"a,b\" , W/\"c,d\"", vec![tag("a,b")], vec![tag("a,b"), tag("c,d")]),
            ("w/\"aaa\"", vec![], vec![]),
            ("\"aaa", vec![], vec![]),
            ("", vec![], vec![]),
        ] {
            assert_eq!(ETagMatch::parse(header, Comparison::Strong), ETagMatch::OneOf(strong), "{header}");
            assert_eq!(ETagMatch::parse(header, Comparison::Weak), ETagMatch::OneOf(weak), "{header}");
        }
    }

    #[test]
    fn reads_follow_rfc_9110_precedence() {
        let tags = |text| Some(ETagMatch::parse(text, Comparison::Strong));
        let none = ReadConditions::default;
        let failed = |name| Err(ConditionFailed::Precondition(name));
        for (conditions, expected) in [
            (none(), Ok(())),
            (ReadConditions { if_match: tags("\"aaa\""), ..none() }, Ok(())),
            (ReadConditions { if_match: tags("*"), ..none() }, Ok(())),
            (ReadConditions { if_match: tags("\"b\", \"aaa\""), ..none() }, Ok(())),
            (ReadConditions { if_match: tags("\"b\""), ..none() }, failed("If-Match")),
            (ReadConditions { if_match: tags("W/\"aaa\""), ..none() }, failed("If-Match")),
            (ReadConditions { if_none_match: tags("aaa"), ..none() }, Err(ConditionFailed::NotModified)),
            (ReadConditions { if_none_match: tags("b"), ..none() }, Ok(())),
            (
                ReadConditions { if_modified_since: Some(Timestamp::from_seconds(1000)), ..none() },
                Err(ConditionFailed::NotModified),
            ),
            (ReadConditions { if_modified_since: Some(Timestamp::from_seconds(999)), ..none() }, Ok(())),
            (ReadConditions { if_unmodified_since: Some(Timestamp::from_seconds(1000)), ..none() }, Ok(())),
            (
                ReadConditions { if_unmodified_since: Some(Timestamp::from_seconds(999)), ..none() },
                failed("If-Unmodified-Since"),
            ),
            // AWS: If-Match true and If-Unmodified-Since false: 200.
            (
                ReadConditions {
                    if_match: tags("aaa"),
                    if_unmodified_since: Some(Timestamp::from_seconds(1)),
                    ..none()
                },
                Ok(()),
            ),
            // AWS: If-None-Match false and If-Modified-Since true: 304.
            (
                ReadConditions {
                    if_none_match: tags("aaa"),
                    if_modified_since: Some(Timestamp::from_seconds(1)),
                    ..none()
                },
                Err(ConditionFailed::NotModified),
            ),
            (
                ReadConditions {
                    if_none_match: tags("b"),
                    if_modified_since: Some(Timestamp::from_seconds(2000)),
                    ..none()
                },
                Ok(()),
            ),
        ] {
            assert_eq!(conditions.check(&object()), expected, "{conditions:?}");
        }
    }

    #[test]
    fn writes_compare_with_what_they_replace() {
        let tags = |text| Some(ETagMatch::parse(text, Comparison::Strong));
        let none = WriteConditions::default;
        let failed = |name| Err(ConditionFailed::Precondition(name));
        for (conditions, on_object, on_nothing) in [
            (none(), Ok(()), Ok(())),
            (WriteConditions { if_none_match: tags("*"), ..none() }, failed("If-None-Match"), Ok(())),
            (WriteConditions { if_match: tags("aaa"), ..none() }, Ok(()), Err(ConditionFailed::Missing)),
            (
                WriteConditions { if_match: tags("b"), ..none() },
                failed("If-Match"),
                Err(ConditionFailed::Missing),
            ),
            (WriteConditions { if_match_size: Some(4), ..none() }, failed("x-amz-if-match-size"), Ok(())),
            (WriteConditions { if_match_size: Some(3), ..none() }, Ok(()), Ok(())),
            (
                WriteConditions { if_match_modified: Some(Timestamp::from_seconds(1000)), ..none() },
                Ok(()),
                Ok(()),
            ),
            (
                WriteConditions { if_match_modified: Some(Timestamp::from_seconds(1001)), ..none() },
                failed("x-amz-if-match-last-modified-time"),
                Ok(()),
            ),
            (WriteConditions { if_generation_match: Some(0), ..none() }, failed("ifGenerationMatch"), Ok(())),
            (WriteConditions { if_generation_match: Some(7), ..none() }, Ok(()), failed("ifGenerationMatch")),
            (
                WriteConditions { if_generation_not_match: Some(7), ..none() },
                failed("ifGenerationNotMatch"),
                Ok(()),
            ),
            (
                WriteConditions { if_metageneration_match: Some(1), ..none() },
                failed("ifMetagenerationMatch"),
                failed("ifMetagenerationMatch"),
            ),
        ] {
            assert_eq!(conditions.check(Some(&object())), on_object, "{conditions:?}");
            assert_eq!(conditions.check(None), on_nothing, "{conditions:?}");
        }
    }
}
