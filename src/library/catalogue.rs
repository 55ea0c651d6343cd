//! The catalogue: templates that stages are made by, as `library.toml` describes them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::name::label_trouble;
use super::placeholder;
use super::spec::Restart;
use crate::config::{Size, Span};
use crate::model::BucketName;

/// Templates by their names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The template of a checkout that names none.
    pub default: String,
    /// The templates.
    #[serde(rename = "template", default)]
    pub templates: BTreeMap<String, Template>,
}

/// How a stage is made.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// For people.
    #[serde(default)]
    pub description: String,
    /// The image of the store; `--image` goes before it.
    #[serde(default)]
    pub image: Option<String>,
    /// The preset that the settings build on.
    #[serde(default)]
    pub preset: Option<String>,
    /// Buckets that are made at the start.
    #[serde(default)]
    pub buckets: Vec<BucketName>,
    /// What everybody may do, unsigned.
    #[serde(default)]
    pub anonymous: Option<String>,
    /// The text of a configuration file: buckets with their fallback rules, limits and the like.
    #[serde(default)]
    pub config: Option<String>,
    /// Further variables of the store.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What is copied into it before it is handed out.
    #[serde(default)]
    pub seed: Vec<Seed>,
    /// How long a lease lasts if `--due` does not say.
    #[serde(default)]
    pub due: Option<Span>,
    /// The most memory.
    #[serde(default)]
    pub memory: Option<Size>,
    /// The most processors.
    #[serde(default)]
    pub cpus: Option<Cpus>,
    /// When the engine starts it again.
    #[serde(default)]
    pub restart: Restart,
    /// Services beside the store.
    #[serde(rename = "companion", default)]
    pub companions: BTreeMap<String, Companion>,
}

/// What is copied into a stage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// As `understudy seed` takes it.
    pub from: String,
    /// The bucket that it goes to.
    pub bucket: BucketName,
    /// Where in the bucket.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Whether a bucket is read without a key pair, instead of that of whoever checks out.
    #[serde(default)]
    pub anonymous: bool,
    /// The server of a bucket, if it is not AWS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region of a bucket.
    #[serde(default)]
    pub region: Option<String>,
}

impl Seed {
    /// Whether it is read with the key pair of whoever checks out.
    pub(super) fn needs_keys(&self) -> bool {
        self.from.starts_with("s3://") && !self.anonymous
    }
}

/// A service beside the store, on the same network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Companion {
    /// The image.
    pub image: String,
    /// What is run; the image's own if it is empty.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its variables, with places for the store's address and keys.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Ports that the machine is given on its loopback address.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// How the engine knows that it is well.
    #[serde(default)]
    pub health: Option<Health>,
    /// What has to be well before it starts: `"store"` or companions.
    #[serde(default = "the_store")]
    pub wait_for: Vec<String>,
    /// The user; the image's own if it is none.
    #[serde(default)]
    pub user: Option<String>,
    /// The most memory.
    #[serde(default)]
    pub memory: Option<Size>,
    /// The most processors.
    #[serde(default)]
    pub cpus: Option<Cpus>,
    /// When the engine starts it again.
    #[serde(default)]
    pub restart: Restart,
}

/// How the engine knows that a companion is well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// What is run in it; 0 is well.
    pub command: Vec<String>,
    /// How often.
    #[serde(default)]
    pub interval: Option<Span>,
    /// How long it may take.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// How long the start may take.
    #[serde(default)]
    pub start: Option<Span>,
}

/// A number of processors, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpus(pub u32);

/// Why a text is not a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCatalogue {
    /// It is not TOML, or has what a catalogue has not.
    #[error(transparent)]
    Grammar(#[from] toml::de::Error),
    /// It contradicts itself.
    #[error("{place}: {reason}")]
    Sense {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
}

/// The catalogue that is there without a file.
pub const BUILT_IN: &str = include_str!("../../docker/library.toml");

/// Variables of the store that a checkout sets, or that would make another thing of it: one without
/// a volume, or one whose address is not what `env` says.
const RESERVED: [&str; 12] = [
    "PORT",
    "UNDERSTUDY_ACCESS_KEY_ID",
    "UNDERSTUDY_ANONYMOUS",
    "UNDERSTUDY_BUCKETS",
    "UNDERSTUDY_CONFIG",
    "UNDERSTUDY_DATA_DIR",
    "UNDERSTUDY_EPHEMERAL",
    "UNDERSTUDY_LISTEN",
    "UNDERSTUDY_PRESET",
    "UNDERSTUDY_SECRET_ACCESS_KEY",
    "UNDERSTUDY_TLS_CERT",
    "UNDERSTUDY_TLS_KEY",
];

/// What companions wait for if they do not say.
pub(super) const STORE: &str = "store";

fn the_store() -> Vec<String> {
    vec![STORE.to_owned()]
}

impl Catalogue {
    /// Reads a catalogue and checks that it makes sense.
    pub fn parse(text: &str) -> Result<Self, InvalidCatalogue> {
        let catalogue: Self = toml::from_str(text)?;
        if !catalogue.templates.contains_key(&catalogue.default) {
            let reason = format!("there is no template {:?}", catalogue.default);
            return Err(InvalidCatalogue::Sense { place: "default".to_owned(), reason });
        }
        for (name, template) in &catalogue.templates {
            let place = format!("template.{name}");
            if name.is_empty() || name.contains('@') {
                let reason = "a template's name is not empty and has no '@'".to_owned();
                return Err(InvalidCatalogue::Sense { place, reason });
            }
            template.check().map_err(|(below, reason)| InvalidCatalogue::Sense {
                place: if below.is_empty() { place } else { format!("{place}.{below}") },
                reason,
            })?;
        }
        Ok(catalogue)
    }
}

fn check_variable(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("it is not the name of a variable".to_owned());
    }
    placeholder::check(value).map_err(|error| error.to_string())
}

/// Where something is wrong below a template, and what.
type Trouble = (String, String);

impl Template {
    fn check(&self) -> Result<(), Trouble> {
        for (name, value) in &self.environment {
            let place = || format!("environment.{name}");
            if RESERVED.contains(&name.as_str()) {
                return Err((place(), "the checkout sets this itself".to_owned()));
            }
            check_variable(name, value).map_err(|reason| (place(), reason))?;
        }
        if let Some(config) = &self.config {
            toml::from_str::<toml::Table>(config)
                .map_err(|error| ("config".to_owned(), error.message().to_owned()))?;
        }
        // It is copied from within the container, which has no files.
        let reachable = ["s3://", "https://", "http://"];
        if let Some(seed) =
            self.seed.iter().find(|seed| !reachable.iter().any(|with| seed.from.starts_with(with)))
        {
            let reason = format!("{:?} is not in the stage's reach: write s3://… or https://…", seed.from);
            return Err(("seed".to_owned(), reason));
        }
        for (name, companion) in &self.companions {
            let place = || format!("companion.{name}");
            if let Some(why) = label_trouble(name) {
                return Err((place(), why.to_owned()));
            }
            if name == STORE {
                return Err((place(), "this is the name of the store".to_owned()));
            }
            for (variable, value) in &companion.environment {
                check_variable(variable, value)
                    .map_err(|reason| (format!("{}.environment.{variable}", place()), reason))?;
            }
            let probe = companion.health.iter().flat_map(|health| &health.command);
            for part in companion.command.iter().chain(probe) {
                placeholder::check(part)
                    .map_err(|error| (format!("{}.command", place()), error.to_string()))?;
            }
            let strange = companion
                .wait_for
                .iter()
                .find(|wanted| *wanted != STORE && !self.companions.contains_key(*wanted));
            if let Some(strange) = strange {
                let reason = format!("there is no companion {strange:?}; the store is called \"store\"");
                return Err((format!("{}.wait_for", place()), reason));
            }
        }
        self.in_order().map(drop).map_err(|names| {
            (String::new(), format!("these companions wait for each other: {}", names.join(", ")))
        })
    }

    /// Companions, each behind what it waits for; or those that wait for each other.
    pub(super) fn in_order(&self) -> Result<Vec<(&str, &Companion)>, Vec<String>> {
        let mut ready: BTreeSet<&str> = BTreeSet::from([STORE]);
        let mut waiting: Vec<(&str, &Companion)> =
            self.companions.iter().map(|(name, companion)| (name.as_str(), companion)).collect();
        let mut ordered = Vec::new();
        while !waiting.is_empty() {
            let (next, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, companion)| {
                companion.wait_for.iter().all(|wanted| ready.contains(wanted.as_str()))
            });
            if next.is_empty() {
                return Err(later.into_iter().map(|(name, _)| name.to_owned()).collect());
            }
            ready.extend(next.iter().map(|(name, _)| *name));
            ordered.extend(next);
            waiting = later;
        }
        Ok(ordered)
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        let rounded = (number * 1000.0).round();
        if !(10.0..=1_000_000.0).contains(&rounded) {
            return Err(serde::de::Error::custom("write a number of processors such as 0.5 or 2.0"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the bounds above"
        )]
        let thousandths = rounded as u32;
        Ok(Self(thousandths))
    }
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, Catalogue, Cpus};

    #[test]
    fn the_built_in_catalogue_reads() {
        let catalogue = Catalogue::parse(BUILT_IN).expect("docker/library.toml");
        let mozilla = &catalogue.templates[&catalogue.default];
        assert_eq!(mozilla.preset.as_deref(), Some("mozilla"));
        assert!(catalogue.templates["empty"].buckets.is_empty());
    }

    #[test]
    fn the_example_in_the_built_in_catalogue_reads() {
        let (_, example) =
            BUILT_IN.split_once("# Everything that a template may say:\n#\n").expect("an example");
        let bare = |line: &str| line.strip_prefix("# ").unwrap_or_default().to_owned() + "\n";
        let text: String = example.lines().map(bare).collect();
        let catalogue = Catalogue::parse(&format!("default = 'rehearsal'\n{text}")).expect("a catalogue");
        let companions = &catalogue.templates["rehearsal"].companions;
        assert_eq!(companions.keys().collect::<Vec<_>>(), ["balrog", "balrogdb"]);
    }

    #[test]
    fn companions_come_behind_what_they_wait_for() {
        let catalogue = Catalogue::parse(
            "default = 'a'\n[template.a]\ncpus = 0.5\n\
             [template.a.companion.agent]\nimage = 'x'\nwait_for = ['balrog', 'store']\n\
             [template.a.companion.balrog]\nimage = 'x'\nwait_for = ['zdb']\n\
             [template.a.companion.zdb]\nimage = 'x'\nwait_for = []\n",
        )
        .expect("a catalogue");
        let template = &catalogue.templates["a"];
        let order: Vec<_> =
            template.in_order().expect("no circle").into_iter().map(|(name, _)| name).collect();
        assert_eq!((order, template.cpus), (vec!["zdb", "balrog", "agent"], Some(Cpus(500))));
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place() {
        for (text, told) in [
            ("default = 'b'\n[template.a]\n", "default: there is no template \"b\""),
            ("default = 'a'\n[template.a]\ncolour = 1\n", "unknown field `colour`"),
            ("default = 'a'\n[template.a]\nbuckets = ['UPPER']\n", "UPPER"),
            ("default = 'a'\n[template.a]\ncpus = 0.0\n", "a number of processors"),
            ("default = 'a'\n[template.a]\nmemory = '1 horse'\n", "is not a size"),
            ("default = 'a'\n[template.a]\nconfig = '[server'\n", "template.a.config: "),
            (
                "default = 'a'\n[template.a]\nseed = [{ from = '/srv/x.tar', bucket = 'one' }]\n",
                "template.a.seed: \"/srv/x.tar\" is not in the stage's reach",
            ),
            (
                "default = 'a'\n[template.a.environment]\n'A=B' = 'x'\n",
                "template.a.environment.A=B: it is not the name of a variable",
            ),
            (
                "default = 'a'\n[template.a.environment]\nUNDERSTUDY_EPHEMERAL = 'true'\n",
                "template.a.environment.UNDERSTUDY_EPHEMERAL: the checkout sets this itself",
            ),
            (
                "default = 'a'\n[template.a.environment]\nUNDERSTUDY_LISTEN = 'x'\n",
                "template.a.environment.UNDERSTUDY_LISTEN: the checkout sets this itself",
            ),
            (
                "default = 'a'\n[template.a.environment]\nX = '${nothing}'\n",
                "template.a.environment.X: ${nothing} is not known",
            ),
            ("default = 'a'\n[template.a.companion.store]\nimage = 'x'\n", "the name of the store"),
            (
                "default = 'a'\n[template.a.companion.Db]\nimage = 'x'\n",
                "template.a.companion.Db: it may have",
            ),
            (
                "default = 'a'\n[template.a.companion.b]\nimage = 'x'\nwait_for = ['c']\n",
                "template.a.companion.b.wait_for: there is no companion \"c\"",
            ),
            (
                "default = 'a'\n[template.a.companion.b]\nimage = 'x'\nwait_for = ['b']\n",
                "template.a: these companions wait for each other: b",
            ),
        ] {
            let error = Catalogue::parse(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
