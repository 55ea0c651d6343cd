//! Points in time.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::fmt::rfc2822;

/// Milliseconds since 1970-01-01 UTC, S3's resolution for `LastModified`.
///
/// Invariant: within the years 1970 to 9999, so that every rendering exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// 9999-12-30T21:59:59.999Z: the last point that has a date in every time zone.
const LAST_MS: i64 = 253_402_207_199_999;

impl Timestamp {
    /// The point `ms` milliseconds after the epoch, clamped to the years 1970 to 9999.
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(0, LAST_MS))
    }

    /// The point `seconds` after the epoch, clamped likewise.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_ms(seconds.saturating_mul(1000))
    }

    /// The point that a clock or a file system gives, clamped likewise: both may be wrong.
    pub fn from_system(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// The same point for libraries that know nothing else.
    pub fn to_system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.unsigned_abs())
    }

    /// Milliseconds since the epoch.
    pub fn as_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0 / 1000
    }

    /// Without its milliseconds: what an HTTP date can say, and so what it is compared with.
    pub fn truncated_to_seconds(self) -> Self {
        Self(self.0 - self.0 % 1000)
    }

    /// Reads an HTTP date in any of the three forms of RFC 9110 section 5.6.7, from 1970 on.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        httpdate::parse_http_date(text.trim()).ok().map(Self::from_system)
    }

    /// Reads a date as mail has it (RFC 2822), from 1970 on: with `GMT`, or with a numeric zone, which
    /// RFC 9110 does not know and which Python's `formatdate` writes as `-0000`.
    pub fn parse_mail_date(text: &str) -> Option<Self> {
        // As clients have the wrong weekday, and S3's own tests too, it is not compared with the date.
        static PARSER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
        let ms = PARSER.parse_timestamp(text.trim()).ok()?.as_millisecond();
        (ms >= 0).then(|| Self::from_ms(ms))
    }

    /// Reads a date in any form that S3 takes in its conditions: an HTTP date, one with a zone of its
    /// own, or ISO 8601.
    pub fn parse_any(text: &str) -> Option<Self> {
        // Clients of libs3 write `UTC`, which is neither a zone of RFC 2822 nor the `GMT` of RFC 9110.
        let in_utc =
            || text.trim().strip_suffix("UTC").and_then(|date| Self::parse_http_date(&format!("{date}GMT")));
        Self::parse_http_date(text)
            .or_else(|| Self::parse_mail_date(text))
            .or_else(|| Self::parse_iso(text))
            .or_else(in_utc)
    }

    /// Reads an RFC 3339 time with its offset, such as `2026-11-20T21:20:19.123Z`.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self::from_ms(time.as_millisecond()))
    }

    /// As in headers: `Fri, 20 Nov 2026 21:20:19 GMT`.
    pub fn http_date(self) -> impl fmt::Display {
        httpdate::HttpDate::from(self.to_system())
    }

    /// As in XML and JSON: `2026-11-20T21:20:19.123Z`.
    pub fn iso(self) -> impl fmt::Display {
        self.jiff().strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
    }

    /// As in `X-Amz-Date`: `20261120T212019Z`.
    pub fn amz_date(self) -> impl fmt::Display {
        self.jiff().strftime("%Y%m%dT%H%M%SZ")
    }

    /// As the archive's index shows it: `20-Nov-2026 21:20`.
    pub fn index_date(self) -> impl fmt::Display {
        self.jiff().strftime("%d-%b-%Y %H:%M")
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).expect("the years 1970 to 9999 are within jiff's range")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::{Strategy as _, any, prop_oneof};

    use super::Timestamp;

    #[test]
    fn renderings() {
        let time = Timestamp::from_ms(1_795_209_619_123);
        assert_eq!(time.http_date().to_string(), "Fri, 20 Nov 2026 21:20:19 GMT");
        assert_eq!(time.iso().to_string(), "2026-11-20T21:20:19.123Z");
        assert_eq!(time.amz_date().to_string(), "20261120T212019Z");
        assert_eq!(time.index_date().to_string(), "20-Nov-2026 21:20");
    }

    #[test]
    fn all_three_http_date_forms_are_read() {
        let expected = Some(Timestamp::from_seconds(784_111_777));
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(Timestamp::parse_http_date(text), expected, "{text}");
        }
        assert_eq!(Timestamp::parse_http_date("yesterday"), None);
    }

    #[test]
    fn every_form_that_s3_takes_is_read() {
        let expected = Some(Timestamp::from_seconds(784_111_777));
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 -0000",
            "Sun, 06 Nov 1994 09:49:37 +0100",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
            "1994-11-06T08:49:37.000Z",
            "1994-11-06T09:49:37+01:00",
            "19941106T084937Z",
            " 1994-11-06T08:49:37Z ",
        ] {
            assert_eq!(Timestamp::parse_any(text), expected, "{text}");
        }
        for text in
            ["", "yesterday", "784111777", "1994-11-06", "1994-11-06T08:49:37", "UTC", "06 Nov 1994 UTC"]
        {
            assert_eq!(Timestamp::parse_any(text), None, "{text}");
        }
    }

    #[test]
    fn dates_before_1970_are_none_in_words_and_the_first_of_1970_in_iso() {
        for text in ["Fri, 07 Jul 1950 21:53:04 GMT", "Fri, 07 Jul 1950 21:53:04 -0000"] {
            assert_eq!(Timestamp::parse_any(text), None, "{text}");
        }
        assert_eq!(Timestamp::parse_any("1950-07-07T21:53:04Z"), Some(Timestamp::from_ms(0)));
    }

    #[test]
    fn times_outside_the_calendar_are_clamped() {
        assert_eq!(Timestamp::from_seconds(i64::MAX).iso().to_string(), "9999-12-30T21:59:59.999Z");
        assert_eq!(Timestamp::from_ms(-1).as_ms(), 0);
        let year = Duration::from_hours(8784);
        assert_eq!(Timestamp::from_system(UNIX_EPOCH - year), Timestamp::from_ms(0));
        assert_eq!(Timestamp::from_system(UNIX_EPOCH + 9000 * year), Timestamp::from_ms(i64::MAX));
    }

    /// Uses a time in every way there is.
    fn render_everywhere(time: Timestamp) {
        let texts = [
            time.http_date().to_string(),
            time.iso().to_string(),
            time.amz_date().to_string(),
            time.index_date().to_string(),
        ];
        assert!(texts.iter().all(|text| !text.is_empty()), "{texts:?}");
        assert_eq!(Timestamp::from_system(time.to_system()), time);
        assert_eq!(Timestamp::parse_any(&texts[0]), Some(time.truncated_to_seconds()));
        assert_eq!(Timestamp::parse_any(&texts[1]), Some(time));
    }

    proptest::proptest! {
        #[test]
        fn every_number_is_a_time_that_can_be_written(number in any::<i64>()) {
            render_everywhere(Timestamp::from_ms(number));
            render_everywhere(Timestamp::from_seconds(number));
        }

        #[test]
        fn every_time_of_a_clock_is_one_too(seconds in any::<u32>(), years in 0_u32..12_000, before in any::<bool>()) {
            let away = years * Duration::from_secs(31_556_952) + Duration::from_secs(u64::from(seconds));
            let time = if before { UNIX_EPOCH.checked_sub(away) } else { UNIX_EPOCH.checked_add(away) };
            if let Some(time) = time {
                render_everywhere(Timestamp::from_system(time));
            }
        }

        #[test]
        fn every_text_is_a_date_or_none(text in prop_oneof![
            "\\PC{0,40}",
            "(Mon|Tue|Sun), [0-9]{2} (Jan|Feb|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|UTC|[+-][0-9]{4})",
            "-?[0-9]{4,6}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})",
            "(Sunday|Friday), [0-9]{2}-(Jan|Feb)-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
            "(Sun|Fri) (Jan|Feb) [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}",
        ].prop_map(|text: String| text)) {
            if let Some(time) = Timestamp::parse_any(&text) {
                render_everywhere(time);
            }
        }
    }
}
