//! A lease: who has a stage, for what and until when, as a label says it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::StageName;
use crate::model::Timestamp;

/// A lease as it was when it began. What may change later is on the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The version of this form: [`Lease::VERSION`].
    pub version: u32,
    /// The stage.
    pub name: StageName,
    /// Who has it.
    #[serde(rename = "for")]
    pub person: String,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The release that is rehearsed in it; several with commas between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The template that it was made by.
    pub template: String,
    /// The stage and the snapshot that it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// When it was checked out.
    #[serde(with = "iso")]
    pub created: Timestamp,
    /// When it was to be back at first.
    #[serde(with = "iso")]
    pub due: Timestamp,
    /// Who typed the checkout, and where.
    pub owner: String,
    /// Whether content is copied in before it is handed out, which may take long.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seeded: bool,
}

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// There is time.
    Ok,
    /// A day or less.
    DueSoon,
    /// It should be back.
    Overdue,
    /// It should be back, and the time of grace is over, too.
    GraceOver,
}

/// Why a label is not a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLease {
    /// There is no such label.
    #[error("it has no lease")]
    Missing,
    /// It was made by a later understudy.
    #[error("its lease has version {0}, and this understudy reads version {own}: use a newer one", own = Lease::VERSION)]
    Newer(u32),
    /// It does not read.
    #[error("its lease does not read: {0}")]
    Broken(String),
}

/// What is said early: a day before.
const SOON: Duration = Duration::from_hours(24);

impl Lease {
    /// The version of the form that is written.
    pub const VERSION: u32 = 1;

    /// The longest time from a checkout or a renewal to its end.
    pub const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

    /// When a lease ends that begins now; `None` if that is too far away.
    pub fn due_after(now: Timestamp, span: Duration) -> Option<Timestamp> {
        (span <= Self::LONGEST).then(|| after(now, span))
    }

    /// How long it was to last at first.
    pub fn span(&self) -> Duration {
        let ms = self.due.as_ms().saturating_sub(self.created.as_ms());
        Duration::from_millis(u64::try_from(ms).unwrap_or_default())
    }

    /// As a label's value.
    pub fn to_label(&self) -> String {
        // Names, numbers and text: there is nothing that JSON lacks.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a label's value. What later versions add to the form is passed over.
    pub fn from_label(label: Option<&str>) -> Result<Self, InvalidLease> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let text = label.ok_or(InvalidLease::Missing)?;
        let broken = |error: serde_json::Error| InvalidLease::Broken(error.to_string());
        let Version { version } = serde_json::from_str(text).map_err(broken)?;
        if version > Self::VERSION {
            return Err(InvalidLease::Newer(version));
        }
        serde_json::from_str(text).map_err(broken)
    }
}

impl Standing {
    /// How a lease stands that is due at `due`.
    pub fn of(due: Timestamp, now: Timestamp, grace: Duration) -> Self {
        if now < due {
            let soon = now >= before(due, SOON);
            if soon { Self::DueSoon } else { Self::Ok }
        } else if now >= after(due, grace) {
            Self::GraceOver
        } else {
            Self::Overdue
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::DueSoon => "due soon",
            Self::Overdue => "overdue",
            Self::GraceOver => "long overdue",
        }
    }
}

/// So much later.
pub(super) fn after(time: Timestamp, span: Duration) -> Timestamp {
    let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_ms(time.as_ms().saturating_add(ms))
}

fn before(time: Timestamp, span: Duration) -> Timestamp {
    let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_ms(time.as_ms().saturating_sub(ms))
}

/// Times as JSON has them here.
pub(super) mod iso {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::model::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in the field")]
    pub(in crate::library) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.iso())
    }

    pub(in crate::library) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Timestamp::parse_iso(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a time")))
    }

    pub(in crate::library) mod maybe {
        use serde::{Deserialize as _, Deserializer, Serializer};

        use crate::model::Timestamp;

        #[expect(clippy::ref_option, reason = "serde hands in the field")]
        pub(in crate::library) fn serialize<S: Serializer>(
            time: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => serializer.collect_str(&time.iso()),
                None => serializer.serialize_none(),
            }
        }

        pub(in crate::library) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            let read = |text: String| {
                Timestamp::parse_iso(&text)
                    .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a time")))
            };
            text.map(read).transpose()
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::{InvalidLease, Lease, Standing};
    use crate::library::name::StageName;
    use crate::model::Timestamp;

    /// A lease from 2026-11-20 to 2026-11-27.
    pub(in crate::library) fn lease(name: &str) -> Lease {
        Lease {
            version: Lease::VERSION,
            name: StageName::parse(name).expect("a name"),
            person: "nick".to_owned(),
            purpose: Some("a rehearsal".to_owned()),
            release: Some("firefox-83.0b3-build1".to_owned()),
            template: "mozilla".to_owned(),
            from: None,
            created: Timestamp::parse_iso("2026-11-20T12:00:00Z").expect("a time"),
            due: Timestamp::parse_iso("2026-11-27T12:00:00Z").expect("a time"),
            owner: "nick@desk".to_owned(),
            seeded: false,
        }
    }

    #[test]
    fn a_lease_goes_into_a_label_and_comes_back() {
        let lease = lease("one");
        let label = lease.to_label();
        assert_eq!(
            label,
            r#"{"version":1,"name":"one","for":"nick","purpose":"a rehearsal","release":"firefox-83.0b3-build1","template":"mozilla","created":"2026-11-20T12:00:00.000Z","due":"2026-11-27T12:00:00.000Z","owner":"nick@desk"}"#
        );
        assert_eq!(Lease::from_label(Some(&label)), Ok(lease.clone()));
        assert_eq!(lease.span(), Duration::from_hours(7 * 24));
        // What this version does not know does not matter to it.
        let more = label.replace("\"version\":1", "\"version\":1,\"colour\":\"red\"");
        assert_eq!(Lease::from_label(Some(&more)), Ok(lease));
    }

    #[test]
    fn labels_that_are_no_lease_say_why() {
        let newer = lease("one").to_label().replace("\"version\":1", "\"version\":2");
        assert_eq!(Lease::from_label(None), Err(InvalidLease::Missing));
        assert_eq!(Lease::from_label(Some(&newer)), Err(InvalidLease::Newer(2)));
        for text in ["", "{}", "[]", "{\"version\":1}", "{\"version\":-1}"] {
            assert!(matches!(Lease::from_label(Some(text)), Err(InvalidLease::Broken(_))), "{text}");
        }
    }

    #[test]
    fn a_lease_ends_at_a_time_that_can_be_told() {
        let now = Timestamp::parse_iso("2026-11-20T12:00:00Z").expect("a time");
        let due = |span| Lease::due_after(now, span).map(|due| due.iso().to_string());
        assert_eq!(due(Duration::from_hours(24)).as_deref(), Some("2026-11-21T12:00:00.000Z"));
        assert_eq!(due(Lease::LONGEST).as_deref(), Some("2036-11-17T12:00:00.000Z"));
        assert_eq!(due(Lease::LONGEST + Duration::from_secs(1)), None);
        assert_eq!(due(Duration::MAX), None);
    }

    #[test]
    fn standings() {
        let due = Timestamp::parse_iso("2026-11-27T12:00:00Z").expect("a time");
        let grace = Duration::from_hours(72);
        for (now, standing) in [
            ("2026-11-20T12:00:00Z", Standing::Ok),
            ("2026-11-26T11:59:59.999Z", Standing::Ok),
            ("2026-11-26T12:00:00Z", Standing::DueSoon),
            ("2026-11-27T11:59:59.999Z", Standing::DueSoon),
            ("2026-11-27T12:00:00Z", Standing::Overdue),
            ("2026-11-30T11:59:59.999Z", Standing::Overdue),
            ("2026-11-30T12:00:00Z", Standing::GraceOver),
        ] {
            let time = Timestamp::parse_iso(now).expect("a time");
            assert_eq!(Standing::of(due, time, grace), standing, "{now}");
        }
        assert_eq!(Standing::of(due, due, Duration::ZERO), Standing::GraceOver);
    }
}
