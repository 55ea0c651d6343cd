//! The card of a stage: what may change of a lease.
//!
//! Labels cannot be changed, so each change is a new card, an empty volume `understudy-NAME.card.N`
//! with what it says in a label. The highest N counts; two that write the same N at a time are told
//! apart by the engine, since a name is there once.

use serde::{Deserialize, Serialize};

use super::labels::{self, Labels};
use super::lease::iso;
use super::name::StageName;
use crate::model::Timestamp;

/// What may change of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Which card it is: the one with the highest number counts.
    #[serde(skip)]
    pub number: u64,
    /// When the stage is to be back.
    #[serde(with = "iso")]
    pub due: Timestamp,
    /// How often it was renewed.
    pub renewals: u32,
    /// When a sweep warned that it is overdue.
    #[serde(default, with = "iso::maybe", skip_serializing_if = "Option::is_none")]
    pub warned: Option<Timestamp>,
    /// When a sweep stopped it.
    #[serde(default, with = "iso::maybe", skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Timestamp>,
    /// When somebody began to give it back: whoever writes this card is the one who removes it all.
    #[serde(default, with = "iso::maybe", skip_serializing_if = "Option::is_none")]
    pub returned: Option<Timestamp>,
}

/// Why a volume's label is not a card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the card {volume} does not read: {reason}")]
pub struct InvalidCard {
    /// The volume.
    pub volume: String,
    reason: String,
}

impl Card {
    /// The card that ends a checkout.
    pub fn first(due: Timestamp) -> Self {
        Self { number: 1, due, renewals: 0, warned: None, stopped: None, returned: None }
    }

    /// The next one: due at another time, and what sweeps did is forgotten.
    pub fn renewed(&self, due: Timestamp) -> Self {
        Self { number: self.number + 1, renewals: self.renewals + 1, ..Self::first(due) }
    }

    /// The next one, after a sweep has warned.
    pub fn with_warning(&self, now: Timestamp) -> Self {
        Self { number: self.number + 1, warned: Some(now), ..self.clone() }
    }

    /// The next one, after a sweep has stopped the stage.
    pub fn with_stop(&self, now: Timestamp) -> Self {
        Self { number: self.number + 1, stopped: Some(now), ..self.clone() }
    }

    /// The last one, before everything goes.
    pub fn claimed(&self, now: Timestamp) -> Self {
        Self { number: self.number + 1, returned: Some(now), ..self.clone() }
    }

    /// As a label's value.
    pub fn to_label(&self) -> String {
        // Numbers and times: there is nothing that JSON lacks.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the card of a stage; `None` where the volume is no card of it.
    pub fn read(name: &StageName, volume: &str, labels: &Labels) -> Option<Result<Self, InvalidCard>> {
        let number = name.card_number(volume)?;
        let text = labels.get(labels::CARD).map_or("", String::as_str);
        let read = serde_json::from_str::<Self>(text)
            .map(|card| Self { number, ..card })
            .map_err(|error| InvalidCard { volume: volume.to_owned(), reason: error.to_string() });
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::Card;
    use crate::library::labels::{self, Labels};
    use crate::library::name::StageName;
    use crate::model::Timestamp;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse_iso(text).expect("a time")
    }

    #[test]
    fn a_card_is_what_its_volume_says() {
        let name = StageName::parse("one").expect("a name");
        let first = Card::first(time("2026-11-27T12:00:00Z"));
        assert_eq!(first.to_label(), r#"{"due":"2026-11-27T12:00:00.000Z","renewals":0}"#);
        let warned = first.with_warning(time("2026-11-28T12:00:00Z"));
        let stopped = warned.with_stop(time("2026-11-29T12:00:00Z"));
        let renewed = stopped.renewed(time("2026-12-04T12:00:00Z"));
        let claimed = renewed.claimed(time("2026-12-01T12:00:00Z"));
        for (card, number) in [(&first, 1), (&warned, 2), (&stopped, 3), (&renewed, 4), (&claimed, 5)] {
            assert_eq!(card.number, number);
            let labels = Labels::from([(labels::CARD.to_owned(), card.to_label())]);
            let read = Card::read(&name, &name.card(number), &labels).expect("a card's name");
            assert_eq!(read.as_ref(), Ok(card));
        }
        assert_eq!((stopped.warned, stopped.due), (warned.warned, first.due));
        assert_eq!((renewed.warned, renewed.stopped, renewed.renewals), (None, None, 1));
    }

    #[test]
    fn what_is_no_card_is_none_and_a_broken_one_is_told() {
        let name = StageName::parse("one").expect("a name");
        assert_eq!(Card::read(&name, "understudy-one", &Labels::new()), None);
        assert_eq!(Card::read(&name, "understudy-two.card.1", &Labels::new()), None);
        let error = Card::read(&name, "understudy-one.card.1", &Labels::new()).expect("a card's name");
        assert!(error.expect_err("without a label").to_string().contains("understudy-one.card.1"));
    }
}
