//! `GET /-/api/v1/receipt`: what was done with the stage, and what it holds.

use std::collections::BTreeMap;

use http::StatusCode;

use super::api::{Done, FromUpstream, Held, NotAnswered, Reads, Receipt, Sum, Written};
use super::refusal::Refusal;
use super::{Inner, response};
use crate::model::Timestamp;
use crate::protocol::request::Response;
use crate::store::{Amount, Counted, Error, Holding, Tallied, Total};

/// The receipt as of now, with what was read a moment ago.
pub(super) async fn get(service: &Inner, now: Timestamp) -> Result<Response, Refusal> {
    let store = service.view.store().clone();
    service.meter.flush(&store).await?;
    // It looks at every object, which takes a while where there are millions.
    let looked = tokio::task::spawn_blocking(move || Ok((store.tally()?, store.holdings()?))).await;
    // The runtime drops blocking work only while it shuts down.
    let (tallied, holdings) = looked.unwrap_or(Err(Error::Closed))?;
    let mut receipt = receipt(tallied, &holdings, now);
    receipt.under_test = service.view.fallback().release().names();
    Ok(response::json(StatusCode::OK, &receipt))
}

fn receipt(tallied: Tallied, holdings: &[Holding], now: Timestamp) -> Receipt {
    // What was read is written down only when it is asked for: that may be later than `now`.
    let until = tallied.totals.iter().map(|total| total.last).fold(now, Timestamp::max);
    let mut receipt = Receipt {
        since: tallied.since.iso().to_string(),
        until: until.iso().to_string(),
        under_test: Vec::new(),
        written: Written::default(),
        read: Reads::default(),
        production: Vec::new(),
        refused: NotAnswered::default(),
        buckets: holdings.iter().map(held).collect(),
    };
    let mut production = BTreeMap::new();
    for total in tallied.totals {
        *place(&mut receipt, &mut production, &total) = done(&total);
    }
    receipt.production = production.into_values().collect();
    receipt
}

/// Where a count stands in the receipt.
fn place<'a>(
    receipt: &'a mut Receipt,
    production: &'a mut BTreeMap<String, FromUpstream>,
    total: &Total,
) -> &'a mut Done {
    let Receipt { written, read, refused, .. } = receipt;
    match total.counted {
        Counted::Uploaded => &mut written.uploaded,
        Counted::Overwritten => &mut written.overwritten,
        Counted::Copied => &mut written.copied,
        Counted::Deleted => &mut written.deleted,
        Counted::Tombstone => &mut written.tombstones,
        Counted::Undeleted => &mut written.undeleted,
        Counted::ReadHere => &mut read.here,
        Counted::ReadCached => &mut read.cached,
        Counted::LookedUp => &mut read.looked_up,
        Counted::Fetched => &mut of(production, &total.upstream).fetched,
        Counted::ReadFilled => &mut of(production, &total.upstream).filled,
        Counted::ReadProxied => &mut of(production, &total.upstream).proxied,
        Counted::ReadRedirected => &mut of(production, &total.upstream).redirected,
        Counted::ReadPresigned => &mut of(production, &total.upstream).presigned,
        Counted::UpstreamFailed => &mut of(production, &total.upstream).failed,
        Counted::UnderTest => &mut refused.under_test,
        Counted::Hidden => &mut refused.hidden,
        Counted::Denied => &mut refused.denied,
        Counted::Absent => &mut refused.absent,
        Counted::Refused => &mut refused.forbidden,
    }
}

/// What was had from an upstream.
fn of<'a>(production: &'a mut BTreeMap<String, FromUpstream>, name: &str) -> &'a mut FromUpstream {
    let nothing = || FromUpstream { upstream: name.to_owned(), ..FromUpstream::default() };
    production.entry(name.to_owned()).or_insert_with(nothing)
}

fn done(total: &Total) -> Done {
    let Amount { count, bytes } = total.amount;
    Done {
        count,
        bytes,
        first: Some(total.first.iso().to_string()),
        last: Some(total.last.iso().to_string()),
    }
}

fn held(holding: &Holding) -> Held {
    let sum = |amount: Amount| Sum { objects: amount.count, bytes: amount.bytes };
    Held {
        bucket: holding.bucket.to_string(),
        written: sum(holding.written),
        cached: sum(holding.cached),
        tombstones: holding.tombstones,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::receipt;
    use crate::model::Timestamp;
    use crate::store::{Amount, Counted, Tallied, Total};

    /// A count that stood in the place of another one would be lost.
    #[test]
    fn every_count_has_a_place_of_its_own() {
        let time = Timestamp::from_seconds(1_795_209_619);
        let total = |(index, counted): (u64, &Counted)| Total {
            counted: *counted,
            upstream: "https://one/".to_owned(),
            amount: Amount { count: 1000 + index, bytes: 2000 + index },
            first: time,
            last: time,
        };
        let totals: Vec<_> = (0..).zip(Counted::ALL).map(total).collect();
        let receipt = receipt(Tallied { since: time, totals }, &[], time);
        let text = serde_json::to_string(&receipt).expect("plain data");
        let numbers: BTreeSet<u64> = text
            .split(|letter: char| !letter.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect();
        for index in 0..Counted::ALL.len() as u64 {
            assert!(
                numbers.contains(&(1000 + index)) && numbers.contains(&(2000 + index)),
                "{index}: {text}"
            );
        }
        assert_eq!(receipt.production.len(), 1);
    }

    /// Reads are written down when they are asked for, which is after the question has come.
    #[test]
    fn a_receipt_is_as_of_what_it_counts_last() {
        let [begun, asked, noted] = [1, 2, 3].map(Timestamp::from_seconds);
        for (last, until) in [(begun, asked), (noted, noted)] {
            let amount = Amount { count: 1, bytes: 1 };
            let counted = Counted::ReadHere;
            let total = Total { counted, upstream: String::new(), amount, first: begun, last };
            let receipt = receipt(Tallied { since: begun, totals: vec![total] }, &[], asked);
            assert_eq!(receipt.until, until.iso().to_string());
        }
    }
}
