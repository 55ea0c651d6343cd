//! Versions and releases: the order is total, names read back, and whatever a rule says, the release
//! under test is never looked for elsewhere and no address leaves what is configured.

use std::cmp::Ordering;

use understudy::fallback::{
    ClientKind, Decision, Fallback, ReadMethod, ReleaseConfig, ReleaseId, Rule, Target, Version, layout,
};
use understudy::model::{BucketName, ObjectKey};

const PRODUCTION: &str = "https://production.example/mirror/";

/// The first line is a rule's pattern, the second a release under test; each further line is a
/// version and a key.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let words: Vec<_> = text.lines().collect();
    order_is_total(&words);
    let [pattern, release, keys @ ..] = words.as_slice() else { return };
    let Ok(release) = ReleaseId::parse(release) else { return };
    assert_eq!(ReleaseId::parse(&release.to_string()), Ok(release.clone()), "it reads back");
    let rule = serde_json::json!({ "match": pattern, "mode": "redirect", "to": PRODUCTION });
    let Ok(rule) = serde_json::from_value::<Rule>(rule) else { return };
    let bucket = BucketName::parse("bucket").expect("a name");
    let release = ReleaseConfig { under_test: vec![release] };
    let fallback = Fallback::new([(bucket.clone(), vec![rule])], release.clone(), |_| None)
        .expect("no variable is named, and nothing is for older releases only");
    for key in keys.iter().filter_map(|key| ObjectKey::parse(key).ok()) {
        let decision = fallback.decide(&bucket, &key, ReadMethod::Get, ClientKind::Plain);
        if let Decision::Redirect(redirect) = &decision {
            let Target::Plain(address) = &redirect.target else { panic!("nothing is signed") };
            assert!(address.starts_with(PRODUCTION), "{address}");
            assert!(!is_under_test(&release, key.as_str()), "{key:?} leads to {address}");
        }
    }
}

/// What the path says, without the help of the decision.
fn is_under_test(config: &ReleaseConfig, key: &str) -> bool {
    layout::release_of(key).is_some_and(|found| config.under_test.contains(&found))
}

fn order_is_total(words: &[&str]) {
    let versions: Vec<_> = words.iter().filter_map(|word| Version::parse(word).ok()).take(8).collect();
    for one in &versions {
        assert_eq!(one.cmp(one), Ordering::Equal);
        for other in &versions {
            assert_eq!(one.cmp(other), other.cmp(one).reverse(), "{one} and {other}");
            for third in &versions {
                if one <= other && other <= third {
                    assert!(one <= third, "{one}, {other} and {third}");
                }
            }
        }
    }
}
