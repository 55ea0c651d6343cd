//! Dates of signatures in words, as both versions may have them.

use crate::model::Timestamp;

/// Reads the date of a signature in words, from 1970 on: an HTTP date, or one with a numeric zone.
///
/// AWS's own examples of version 2 have `+0000`, and botocore signs version 4 over `-0000` where its
/// caller has set `Date` (Ceph's s3-tests, `test_object_create_date_and_amz_date`).
pub(crate) fn read_date(text: &str) -> Option<Timestamp> {
    Timestamp::parse_http_date(text).or_else(|| Timestamp::parse_mail_date(text))
}

#[cfg(test)]
mod tests {
    use super::read_date;

    #[test]
    fn a_date_in_words_is_one_of_http_or_of_mail_from_1970_on() {
        for (text, expected) in [
            ("Fri, 24 May 2013 00:00:00 GMT", Some("20130524T000000Z")),
            ("Fri, 24 May 2013 00:00:00 -0000", Some("20130524T000000Z")),
            ("Fri, 24 May 2013 00:00:00 +0000", Some("20130524T000000Z")),
            ("Thu, 23 May 2013 20:00:00 -0400", Some("20130524T000000Z")),
            // Ceph's s3-tests, `test_object_create_bad_date_before_today_aws2`: a Wednesday.
            ("Tue, 07 Jul 2010 21:53:04 GMT", Some("20100707T215304Z")),
            ("Tue, 07 Jul 1950 21:53:04 GMT", None),
            ("Fri, 07 Jul 1950 21:53:04 GMT", None),
            ("Fri, 07 Jul 1950 21:53:04 -0000", None),
            ("Bad Date", None),
            ("", None),
        ] {
            let read = read_date(text).map(|date| date.amz_date().to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
