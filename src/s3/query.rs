//! The query string, decoded once.

use super::error::{Code, Error};
use crate::signature;

/// The parameters of a request, in the order in which they came.
///
/// They are read as signatures are (`signature::Query`), so that what was signed is what is done.
/// Names are compared exactly, as S3 does: `Prefix` is not `prefix`.
#[derive(Debug, Default, Clone)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a raw query string: `%XX` and, as in forms, `+` for a space.
    ///
    /// # Errors
    /// `InvalidURI` where a parameter is not UTF-8.
    pub(super) fn parse(raw: &str) -> Result<Self, Error> {
        let text = |bytes: &[u8]| {
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| {
                let shown = String::from_utf8_lossy(bytes);
                Error::with_message(
                    Code::InvalidURI,
                    format!("the query holds {shown:?}, which is not UTF-8"),
                )
            })
        };
        signature::Query::parse(raw)
            .pairs()
            .map(|(name, value)| Ok((text(name)?, text(value)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The value of the first parameter of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is a parameter of that name, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every parameter, in order.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn parameters_are_decoded_once() {
        let query = Query::parse("prefix=a%2Fb+c%2B&delimiter=%252F&uploads&&x=1=2").expect("UTF-8");
        assert_eq!(
            query.iter().collect::<Vec<_>>(),
            [("prefix", "a/b c+"), ("delimiter", "%2F"), ("uploads", ""), ("x", "1=2")]
        );
    }

    #[test]
    fn what_is_not_utf8_is_refused() {
        assert!(Query::parse("prefix=%FF").is_err());
    }
}
