//! The query string, decoded once.

use crate::signature;

/// The parameters of a request, in the order in which they came.
///
/// They are read as signatures are (`signature::Query`), so that what was signed is what is done.
/// Names are compared exactly, as S3 and GCS do: `Prefix` is not `prefix`.
#[derive(Debug, Default, Clone)]
pub struct Query(Vec<(String, String)>);

/// A parameter that is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the query holds {0:?}, which is not UTF-8")]
pub struct InvalidQuery(String);

impl Query {
    /// Decodes a raw query string: `%XX` and, as in forms, `+` for a space.
    pub fn parse(raw: &str) -> Result<Self, InvalidQuery> {
        let text = |bytes: &[u8]| {
            let decoded = std::str::from_utf8(bytes).map(str::to_owned);
            decoded.map_err(|_| InvalidQuery(String::from_utf8_lossy(bytes).chars().take(200).collect()))
        };
        signature::Query::parse(raw)
            .pairs()
            .map(|(name, value)| Ok((text(name)?, text(value)?)))
            .collect::<Result<_, InvalidQuery>>()
            .map(Self)
    }

    /// The value of the first parameter of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(present, _)| present == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is a parameter of that name, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every parameter, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
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
