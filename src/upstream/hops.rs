//! Finding out that a request has been here before: `CDN-Loop`.
//!
//! RFC 8586: each server on the way appends its name and passes on what was there.

use http::{HeaderMap, HeaderValue};

/// The name of the header.
pub(super) const CDN_LOOP: &str = "cdn-loop";

/// What the name of every stage begins with.
const STAGE: &str = "understudy-";

/// The most stages in a row: more are not a fallback any longer.
const STAGES_MAX: usize = 8;

/// The most servers of any kind.
const HOPS_MAX: usize = 64;

/// Which stages a request has passed on its way here: RFC 8586, `CDN-Loop`.
#[derive(Debug, Clone, Default)]
pub struct Hops(Vec<String>);

impl Hops {
    /// Reads the header of a request.
    pub fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(CDN_LOOP).iter().filter_map(|value| value.to_str().ok());
        // One more than the most is enough to see that there are too many.
        let hops = values.flat_map(hops_of).take(HOPS_MAX + 1);
        Self(hops.map(str::to_owned).collect())
    }

    /// Whether the stage called `name` must not ask any further.
    pub(super) fn lead_back_to(&self, name: &StageName) -> bool {
        let stages = || self.0.iter().map(|hop| id(hop)).filter(|id| id.starts_with(STAGE));
        self.0.len() > HOPS_MAX || stages().count() > STAGES_MAX || stages().any(|id| id == name.0)
    }

    /// The header of a request that goes on from the stage called `name`.
    pub(super) fn onward(&self, name: &StageName) -> HeaderValue {
        let hops = self.0.iter().map(String::as_str).chain([name.0.as_str()]);
        let text = hops.collect::<Vec<_>>().join(", ");
        HeaderValue::from_str(&text).expect("each hop is text of a header, and so is the name")
    }
}

/// The elements of a list, which commas within quotes do not divide.
fn hops_of(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(move |letter| {
            let divides = letter == ',' && !quoted;
            quoted ^= letter == '"' && !escaped;
            escaped = quoted && letter == '\\' && !escaped;
            divides
        })
        .map(str::trim)
        .filter(|hop| !hop.is_empty())
}

/// RFC 8586: `cdn-info = cdn-id *( OWS ";" OWS parameter )`.
fn id(hop: &str) -> &str {
    hop.split(';').next().unwrap_or_default().trim()
}

/// How this stage calls itself to others: random, so that two stages never share a name.
#[derive(Debug, Clone)]
pub(super) struct StageName(String);

impl StageName {
    /// Chooses one.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{STAGE}{}", hex::encode(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{CDN_LOOP, HOPS_MAX, Hops, STAGES_MAX, StageName};

    fn hops(values: &[&str]) -> Hops {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CDN_LOOP, HeaderValue::from_str(value).expect("a header value"));
        }
        Hops::read(&headers)
    }

    #[test]
    fn what_was_there_is_passed_on_with_our_name_behind_it() {
        let name = StageName("understudy-a".to_owned());
        for (values, expected) in [
            (&[][..], "understudy-a"),
            (
                &["fastly; v=\"1, \\\"2\", cdn.example:80"],
                "fastly; v=\"1, \\\"2\", cdn.example:80, understudy-a",
            ),
            (&["one,, two ", "understudy-b"], "one, two, understudy-b, understudy-a"),
        ] {
            assert_eq!(hops(values).onward(&name), expected);
        }
    }

    #[test]
    fn our_own_name_too_many_stages_and_too_many_servers_are_loops() {
        let name = StageName("understudy-a".to_owned());
        let stages = |count: usize| vec!["understudy-b"; count].join(",");
        for (value, expected) in [
            ("understudy-a".to_owned(), true),
            ("x, understudy-a;time=5".to_owned(), true),
            ("understudy-ab, understudy-".to_owned(), false),
            ("x;y=\", understudy-a\"".to_owned(), false),
            (stages(STAGES_MAX), false),
            (stages(STAGES_MAX + 1), true),
            (vec!["x"; HOPS_MAX].join(","), false),
            (vec!["x"; HOPS_MAX + 1].join(","), true),
        ] {
            assert_eq!(hops(&[&value]).lead_back_to(&name), expected, "{value}");
        }
    }

    #[test]
    fn a_stage_finds_itself_in_what_it_sent() {
        let (ours, other) =
            (StageName::random().expect("randomness"), StageName::random().expect("randomness"));
        let mut headers = HeaderMap::new();
        headers.insert(CDN_LOOP, Hops::default().onward(&ours));
        assert!(Hops::read(&headers).lead_back_to(&ours));
        assert!(!Hops::read(&headers).lead_back_to(&other));
    }
}
