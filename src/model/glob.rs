//! Patterns over keys, as shells write them over paths.
//!
//! `?` is one character other than `/` and `*` any number of them; `[a-z]` is one of a set and
//! `[!a-z]` one that is not in it; `{a,b}` is one of several, each again a pattern; `\` takes the
//! meaning from the next character. `**` as a whole segment is any number of segments: `**/a` is `a`
//! in any folder, `a/**` all that is below `a/`, `a/**/b` also `a/b`. Within a segment it is `*`.
//!
//! GCS: "List objects and prefixes using glob" is a dialect of it: there `**` crosses slashes wherever it
//! stands, `[!a]` is never a slash, `\` works within brackets, and a lone `}` is itself.
//!
//! Matching follows all ways through a pattern at once: its steps grow with the length of the key times
//! that of the pattern, whoever wrote either. They are counted, so that a long match can be interrupted.

mod parser;

use std::fmt;
use std::sync::Arc;

use self::parser::Parser;

/// A pattern, ready to match.
#[derive(Clone)]
pub struct Glob {
    text: Arc<str>,
    /// What every match begins with.
    literal: Arc<str>,
    /// What comes then; each step leads to the one behind it.
    steps: Arc<[Step]>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a pattern: {problem}")]
pub struct InvalidGlob {
    pattern: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("it has more than {} characters", Glob::LENGTH_MAX)]
    TooLong,
    #[error("`[` is not followed by `]`; write `\\[` for the character itself")]
    OpenSet,
    #[error("the range {0}-{1} is empty; write the lower end first")]
    EmptyRange(char, char),
    #[error("more than {} braces are within each other", Parser::DEPTH_MAX)]
    TooDeep,
    #[error("`{{` is not followed by `}}`; write `\\{{` for the character itself")]
    OpenBrace,
    #[error("`}}` follows no `{{`; write `\\}}` for the character itself")]
    LoneBrace,
    #[error("`\\` is its last character; write `\\\\` for the character itself")]
    LoneBackslash,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    One(Taken),
    /// `**` and nothing else.
    Everything,
    /// `*`
    Run,
    /// `**/` at the beginning.
    Folders,
    /// `/**` at the end.
    Below,
    /// `/**/` in between.
    Between,
    Either(Vec<Vec<Piece>>),
}

/// What one character may be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Taken {
    This(char),
    NoSlash,
    Any,
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// One step of a match.
#[derive(Debug)]
enum Step {
    /// Takes a character and goes to the next step.
    Take(Taken),
    /// Goes on at the next step and at this one.
    Fork(usize),
    Go(usize),
    Done,
}

/// Whose patterns are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Ours,
    Gcs,
}

impl Glob {
    /// The most characters of a pattern. No key is longer.
    pub const LENGTH_MAX: usize = 1024;

    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidGlob> {
        Self::read(text, Dialect::Ours)
    }

    /// Reads a pattern of GCS.
    pub fn parse_gcs(text: &str) -> Result<Self, InvalidGlob> {
        Self::read(text, Dialect::Gcs)
    }

    fn read(text: &str, dialect: Dialect) -> Result<Self, InvalidGlob> {
        let refused = |problem| InvalidGlob { pattern: text.to_owned(), problem };
        if text.chars().count() > Self::LENGTH_MAX {
            let pattern = text.chars().take(80).chain(['…']).collect();
            return Err(InvalidGlob { pattern, problem: Problem::TooLong });
        }
        let mut pieces = Parser::new(text, dialect).branch().map_err(refused)?;
        if dialect == Dialect::Ours && pieces == [Piece::Folders] {
            pieces = vec![Piece::Everything];
        }
        let letter = |piece: &Piece| {
            if let Piece::One(Taken::This(letter)) = piece { Some(*letter) } else { None }
        };
        let literal: String = pieces.iter().map_while(letter).collect();
        pieces.drain(..literal.chars().count());
        let mut steps = Vec::new();
        write_all(&pieces, &mut steps);
        steps.push(Step::Done);
        Ok(Self { text: text.into(), literal: literal.into(), steps: steps.into() })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches the whole of `key`.
    pub fn is_match(&self, key: &str) -> bool {
        let mut matching = self.matching(key);
        loop {
            let mut left = usize::MAX;
            if let Some(matches) = matching.advance(&mut left) {
                return matches;
            }
        }
    }

    /// Begins to match the whole of `key`.
    pub fn matching<'a>(&'a self, key: &'a str) -> Matching<'a> {
        let rest = key.strip_prefix(&*self.literal);
        let mut now = Places::new(self.steps.len());
        if rest.is_some() {
            now.reach(0, &self.steps);
        }
        let next = Places::new(self.steps.len());
        Matching { steps: &self.steps, rest: rest.map(str::chars), now, next }
    }
}

/// A match that can be interrupted.
#[derive(Debug)]
pub struct Matching<'a> {
    steps: &'a [Step],
    /// What is still to be read; `None` if the key does not begin as it must.
    rest: Option<std::str::Chars<'a>>,
    now: Places,
    next: Places,
}

impl Matching<'_> {
    /// Goes on until `left` steps are done, or a few more; says whether the key matches once that is known.
    pub fn advance(&mut self, left: &mut usize) -> Option<bool> {
        let Some(rest) = &mut self.rest else { return Some(false) };
        while *left > 0 {
            let Some(letter) = rest.next() else {
                return Some(self.now.list.iter().any(|place| matches!(self.steps[*place], Step::Done)));
            };
            let mut done = 1;
            for place in self.now.drain() {
                done += 1;
                if matches!(&self.steps[place], Step::Take(taken) if taken.takes(letter)) {
                    self.next.reach(place + 1, self.steps);
                }
            }
            *left = left.saturating_sub(done);
            if self.next.list.is_empty() {
                return Some(false);
            }
            std::mem::swap(&mut self.now, &mut self.next);
        }
        None
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Glob({:?})", self.text)
    }
}

impl Taken {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::This(this) => *this == letter,
            Self::NoSlash => letter != '/',
            Self::Any => true,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != *negated
            }
        }
    }
}

/// Steps that a match has come to, each once.
#[derive(Debug)]
struct Places {
    list: Vec<usize>,
    is_in: Vec<bool>,
    /// Those that are still to be looked at.
    waiting: Vec<usize>,
}

impl Places {
    fn new(steps: usize) -> Self {
        Self { list: Vec::new(), is_in: vec![false; steps], waiting: Vec::new() }
    }

    /// Comes to a step, and to all that it leads to without a character.
    fn reach(&mut self, place: usize, steps: &[Step]) {
        self.waiting.push(place);
        while let Some(place) = self.waiting.pop() {
            if std::mem::replace(&mut self.is_in[place], true) {
                continue;
            }
            match &steps[place] {
                Step::Take(_) | Step::Done => {}
                Step::Fork(other) => self.waiting.extend([place + 1, *other]),
                Step::Go(other) => self.waiting.push(*other),
            }
            self.list.push(place);
        }
    }

    fn drain(&mut self) -> impl Iterator<Item = usize> {
        let Self { list, is_in, .. } = self;
        list.drain(..).inspect(|place| is_in[*place] = false)
    }
}

fn write_all(pieces: &[Piece], steps: &mut Vec<Step>) {
    for piece in pieces {
        match piece {
            Piece::One(taken) => steps.push(Step::Take(taken.clone())),
            Piece::Everything => write_run(Taken::Any, steps),
            Piece::Run => write_run(Taken::NoSlash, steps),
            Piece::Folders => write_folders(steps),
            Piece::Below => {
                steps.push(Step::Take(Taken::This('/')));
                write_run(Taken::Any, steps);
            }
            Piece::Between => {
                steps.push(Step::Take(Taken::This('/')));
                write_folders(steps);
            }
            Piece::Either(branches) => write_branches(branches, steps),
        }
    }
}

/// Any number of such characters.
fn write_run(taken: Taken, steps: &mut Vec<Step>) {
    let begin = steps.len();
    steps.extend([Step::Fork(begin + 3), Step::Take(taken), Step::Go(begin)]);
}

/// Nothing, or anything that ends in `/`.
fn write_folders(steps: &mut Vec<Step>) {
    steps.push(Step::Fork(steps.len() + 5));
    write_run(Taken::Any, steps);
    steps.push(Step::Take(Taken::This('/')));
}

fn write_branches(branches: &[Vec<Piece>], steps: &mut Vec<Step>) {
    let mut ends = Vec::new();
    for (index, branch) in branches.iter().enumerate() {
        let fork = steps.len();
        let is_last = index + 1 == branches.len();
        // Where the next branch begins is known behind this one.
        steps.push(Step::Go(fork + 1));
        write_all(branch, steps);
        ends.push(steps.len());
        steps.push(Step::Done);
        if !is_last {
            steps[fork] = Step::Fork(steps.len());
        }
    }
    let behind = steps.len();
    for end in ends {
        steps[end] = Step::Go(behind);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, Strategy as _, prop_assert_eq};
    use proptest::{collection, proptest, sample};

    use super::Glob;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn patterns_match_whole_keys() {
        for (pattern, key, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a?", "aé", true),
            ("[é-í]", "ì", true),
            ("[!é]", "é", false),
            ("[]-]", "]", true),
            ("[]-]", "-", true),
            ("[a-]", "-", true),
            ("[^a]", "/", true),
            ("a**b", "a/b", false),
            ("a/**", "a/", true),
            ("a/**/**/b", "a/b", true),
            ("{a/**,b}/c", "a/x/y/c", true),
            ("{a,b{c,d}}", "bd", true),
            ("{a,}", "", true),
            ("a,b", "a,b", true),
            (r"\{\}\[\]\\", r"{}[]\", true),
            ("**/", "a", true),
        ] {
            assert_eq!(glob(pattern).is_match(key), expected, "{pattern:?} on {key:?}");
        }
    }

    #[test]
    fn what_does_not_read_is_refused_with_what_to_write() {
        for (pattern, told) in [
            (
                "a[",
                r#""a[" is not a pattern: `[` is not followed by `]`; write `\[` for the character itself"#,
            ),
            ("[z-a]", "the range z-a is empty"),
            ("a{b", "`{` is not followed by `}`"),
            ("a}", "`}` follows no `{`"),
            ("a\\", "`\\` is its last character"),
            (&"{".repeat(17), "braces are within each other"),
            (&"é".repeat(1025), "it has more than 1024 characters"),
        ] {
            let refused = Glob::parse(pattern).expect_err(pattern).to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn patterns_of_gcs_match_whole_names() {
        for (pattern, matching, others) in [
            ("*.mar", &["a.mar", ".mar"][..], &["a/b.mar", "a.marx"][..]),
            ("**.mar", &["a.mar", "a/b.mar", ".mar"], &["a.mar/b"]),
            ("a**b", &["ab", "axb", "a/x/b"], &["a/bc", "xab"]),
            ("pub/**", &["pub/", "pub/a", "pub/a/b"], &["pub", "pubs/a"]),
            ("**/a", &["a", "b/a", "b/c/a"], &["ba", "b/ca"]),
            ("pub/**/a", &["pub/a", "pub/b/a", "pub/b/c/a"], &["puba", "pub/ba"]),
            ("a**/b", &["a/b", "ax/b", "a/x/b"], &["ab"]),
            ("*/", &["a/"], &["a", "a/b/", "a/b"]),
            ("a?c", &["abc", "aéc"], &["a/c", "ac"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x"]),
            ("[!a-c]x", &["dx"], &["ax", "/x"]),
            ("[]^-]x", &["]x", "^x", "-x"], &["ax"]),
            ("[\\]]x", &["]x"], &["\\]x"]),
            ("{a,b/*,}.x", &["a.x", "b/c.x", ".x"], &["c.x", "b/c/d.x"]),
            ("{a{b,c},**/d}", &["ab", "ac", "d", "x/d"], &["a", "xd"]),
            ("a,b}", &["a,b}"], &["a"]),
            ("\\*\\{", &["*{"], &["a{"]),
            ("", &[""], &["a"]),
        ] {
            let glob = Glob::parse_gcs(pattern).expect("a pattern");
            for name in matching {
                assert!(glob.is_match(name), "{pattern}: {name}");
            }
            for name in others {
                assert!(!glob.is_match(name), "{pattern}: {name}");
            }
        }
        for pattern in ["[", "[]", "[a", "[b-a]", "{a", "{a,", "a\\", &"{".repeat(17), &"a".repeat(1025)] {
            assert!(Glob::parse_gcs(pattern).is_err(), "{pattern}");
        }
    }

    /// The steps of a match, and the most that were done at once with a budget of `left`.
    fn steps(pattern: &Glob, key: &str, left: usize) -> (usize, usize) {
        let mut matching = pattern.matching(key);
        let (mut all, mut most) = (0, 0);
        loop {
            // A budget that is far larger shows how much of it was taken.
            let mut budget = left;
            let ended = matching.advance(&mut budget).is_some();
            let done = left - budget;
            (all, most) = (all + done, most.max(done));
            if ended {
                return (all, most);
            }
        }
    }

    #[test]
    fn the_steps_of_a_match_grow_with_the_key_times_the_pattern_and_can_be_interrupted() {
        let key = "a".repeat(1024);
        let bound = |pattern: &str| 4 * (pattern.len() + 1) * (key.len() + 1);
        for pattern in [
            "*a".repeat(511) + "b",
            "**a".repeat(340) + "b",
            "{a,}".repeat(255) + "b",
            "{*,a}".repeat(200) + "b",
            "[!b]*".repeat(204) + "b",
            "?".repeat(1024),
        ] {
            let glob = Glob::parse_gcs(&pattern).expect("a pattern");
            let (whole, _) = steps(&glob, &key, usize::MAX);
            let (in_turns, most) = steps(&glob, &key, 1000);
            assert!(whole <= bound(&pattern), "{pattern}: {whole}");
            assert!(most <= 1000 && in_turns <= whole, "{pattern}: {in_turns}, {most}");
            let mut left = 1000;
            let unfinished = glob.matching(&key).advance(&mut left).is_none();
            assert_eq!((unfinished, left), (true, 0), "{pattern}");
        }
    }

    /// As the regular expression that it stands for, it would try each way in turn.
    #[test]
    fn a_pattern_of_many_ways_takes_no_time() {
        let pattern = glob(&format!("{}b", "*a".repeat(500)));
        assert!(!pattern.is_match(&"a".repeat(1024)));
    }

    fn oracle(pattern: &str) -> Option<globset::GlobMatcher> {
        let built = globset::GlobBuilder::new(pattern).literal_separator(true).empty_alternates(true).build();
        built.ok().map(|glob| glob.compile_matcher())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn without_two_stars_a_pattern_of_gcs_is_what_globset_says(
            pattern in "([ab/?]|\\*[ab/]|\\[ab\\]|\\{a,b\\}){0,8}",
            name in "[ab/]{0,8}",
        ) {
            let theirs = oracle(&pattern).expect("a pattern");
            let ours = Glob::parse_gcs(&pattern).expect("a pattern");
            prop_assert_eq!(ours.is_match(&name), theirs.is_match(&name));
        }

        /// Of what is not ASCII, `globset` takes single bytes.
        #[test]
        fn patterns_mean_what_they_mean_to_globset(
            pattern in collection::vec(
                sample::select(vec![
                    "a", "b", "-", "/", "/", "*", "**", "/**", "**/", "/**/", "?", "[ab]", "[!a]", "[", "]", "{",
                    "{a,b/c}", "{", ",", "}", "}", r"\*", r"\",
                ]),
                0..9,
            ).prop_map(|parts| parts.concat()),
            keys in collection::vec("[ab/-]{0,8}", 40),
        ) {
            // There `\,` in front of stars is a comma between branches.
            proptest::prop_assume!(!pattern.contains(r"\,") && !pattern.contains(r"\{"));
            let (ours, theirs) = (Glob::parse(&pattern).ok(), oracle(&pattern));
            prop_assert_eq!(ours.is_some(), theirs.is_some(), "{}", pattern);
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                for key in &keys {
                    prop_assert_eq!(ours.is_match(key), theirs.is_match(key), "{} on {:?}", pattern, key);
                }
            }
        }
    }
}
