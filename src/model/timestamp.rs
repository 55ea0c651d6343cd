//! Points in time.

use std::fmt;

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

    /// Reads an HTTP date in any of the three forms of RFC 9110 section 5.6.7.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let time = httpdate::parse_http_date(text.trim()).ok()?;
        let since_epoch = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Self::from_ms(i64::try_from(since_epoch.as_millis()).ok()?))
    }

    /// Reads an RFC 3339 time with its offset, such as `2026-11-20T21:20:19.123Z`.
    pub fn parse_iso(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self::from_ms(time.as_millisecond()))
    }

    /// As in headers: `Fri, 20 Nov 2026 21:20:19 GMT`.
    pub fn http_date(self) -> impl fmt::Display {
        let since_epoch = std::time::Duration::from_millis(self.0.unsigned_abs());
        httpdate::HttpDate::from(std::time::UNIX_EPOCH + since_epoch)
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
    fn times_outside_the_calendar_are_clamped() {
        assert_eq!(Timestamp::from_seconds(i64::MAX).iso().to_string(), "9999-12-30T21:59:59.999Z");
        assert_eq!(Timestamp::from_ms(-1).as_ms(), 0);
    }
}
