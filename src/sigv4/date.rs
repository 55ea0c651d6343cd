//! The dates of version 4.

use crate::model::Timestamp;

/// Reads `X-Amz-Date`: `20130524T000000Z` and nothing else.
pub(super) fn parse_amz_date(text: &str) -> Option<Timestamp> {
    // strptime alone would also take fewer digits, signs and blanks.
    let digits = |range: std::ops::Range<usize>| {
        text.as_bytes().get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    if text.len() != 16 || !digits(0..8) || !digits(9..15) {
        return None;
    }
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_ms(time.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::parse_amz_date;

    #[test]
    fn only_the_basic_form_in_utc_is_read() {
        for (text, expected) in [
            ("20130524T000000Z", Some("20130524T000000Z")),
            ("20261120T212019Z", Some("20261120T212019Z")),
            ("20130524T000000", None),
            ("20130524T000000z", None),
            ("20130524t000000Z", None),
            ("20131324T000000Z", None),
            ("2013-05-24T00:00:00Z", None),
            ("2013052 T000000Z", None),
            ("+0130524T000000Z", None),
            ("Fri, 24 May 2013 00:00:00 GMT", None),
            ("é0130524T00000Z", None),
            ("", None),
        ] {
            let read = parse_amz_date(text).map(|date| date.amz_date().to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
