//! Globs over the names of objects, as listings take them. Pure.
//!
//! GCS: "List objects and prefixes using glob": `*` and `?` stop at a slash, `**` does not, wherever it
//! stands; `**/` is any number of folders, none too; `[a-e]`, `[!a-e]`, `{this,that}`, `\*`. It differs
//! from the globs of fallback rules, in which `**` has a meaning as a whole component alone.

/// The longest pattern: no name is longer.
const PATTERN_CHARS_MAX: usize = 1024;
/// How deep alternatives may stand within one another.
const DEPTH_MAX: usize = 8;

/// A pattern that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidGlob {
    /// `[` without `]`, or nothing between them.
    #[error("a '[' has no ']', or nothing is between them")]
    Class,
    /// `[z-a]`.
    #[error("a range within '[' and ']' ends before it begins")]
    Range,
    /// `{` without `}`.
    #[error("a '{{' has no '}}'")]
    Alternatives,
    /// Too many `{` within one another.
    #[error("more than {DEPTH_MAX} '{{' stand within one another")]
    Depth,
    /// A backslash at the end.
    #[error("nothing follows the last '\\'")]
    Escape,
    /// More characters than a name can have.
    #[error("it has more than {PATTERN_CHARS_MAX} characters")]
    Length,
}

/// A pattern: a machine that reads a name. All places that it may be at are followed at once, so that
/// no pattern takes longer than its length times that of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    steps: Vec<Step>,
    /// Where the machine may be before it has read anything: reading steps, and the end.
    first: Vec<usize>,
    /// The same, right behind each step.
    behind: Vec<Vec<usize>>,
}

/// One step of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Reads one character.
    Read(Wanted),
    /// Goes on here, there too, or at both.
    Fork(usize, usize),
    /// Goes on there.
    Jump(usize),
}

/// Which characters a step reads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    This(char),
    NoSlash,
    Any,
    Among { ranges: Vec<(char, char)>, negated: bool },
}

impl Glob {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidGlob> {
        let text: Vec<char> = text.chars().collect();
        if text.len() > PATTERN_CHARS_MAX {
            return Err(InvalidGlob::Length);
        }
        let mut parser = Parser { text: &text, at: 0, steps: Vec::new() };
        parser.sequence(0)?;
        let steps = parser.steps;
        let first = reached(&steps, 0);
        let behind = |(at, step): (usize, &Step)| match step {
            Step::Read(_) => reached(&steps, at + 1),
            Step::Fork(..) | Step::Jump(_) => Vec::new(),
        };
        let behind = steps.iter().enumerate().map(behind).collect();
        Ok(Self { steps, first, behind })
    }

    /// Whether a whole name is of the pattern.
    pub(super) fn is_match(&self, name: &str) -> bool {
        let end = self.steps.len();
        let (mut here, mut next) = (self.first.clone(), Vec::new());
        // How many characters were read when the machine last came to each place.
        let mut came = vec![0; end + 1];
        for (read, character) in (1_usize..).zip(name.chars()) {
            for at in here.drain(..) {
                let Some(Step::Read(wanted)) = self.steps.get(at) else { continue };
                if wanted.takes(character) {
                    for &place in &self.behind[at] {
                        if std::mem::replace(&mut came[place], read) != read {
                            next.push(place);
                        }
                    }
                }
            }
            if next.is_empty() {
                return false;
            }
            std::mem::swap(&mut here, &mut next);
        }
        here.contains(&end)
    }
}

/// The reading steps, and the end, that are reached from a place without reading.
fn reached(steps: &[Step], from: usize) -> Vec<usize> {
    let mut seen = vec![false; steps.len() + 1];
    let mut further = vec![from];
    let mut found = Vec::new();
    while let Some(at) = further.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        match steps.get(at) {
            Some(Step::Fork(one, other)) => further.extend([*one, *other]),
            Some(Step::Jump(there)) => further.push(*there),
            Some(Step::Read(_)) | None => found.push(at),
        }
    }
    found
}

impl Wanted {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::This(wanted) => character == *wanted,
            Self::NoSlash => character != '/',
            Self::Any => true,
            Self::Among { ranges, negated } => {
                let among = ranges.iter().any(|(first, last)| (*first..=*last).contains(&character));
                if *negated { !among && character != '/' } else { among }
            }
        }
    }
}

struct Parser<'a> {
    text: &'a [char],
    at: usize,
    steps: Vec<Step>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.text.get(self.at).copied();
        self.at += usize::from(next.is_some());
        next
    }

    fn read(&mut self, wanted: Wanted) {
        self.steps.push(Step::Read(wanted));
    }

    /// Reads up to the end of the pattern or, within alternatives, of this one.
    fn sequence(&mut self, depth: usize) -> Result<(), InvalidGlob> {
        while let Some(&character) = self.text.get(self.at) {
            if depth > 0 && matches!(character, ',' | '}') {
                return Ok(());
            }
            self.at += 1;
            match character {
                '\\' => {
                    let escaped = self.next().ok_or(InvalidGlob::Escape)?;
                    self.read(Wanted::This(escaped));
                }
                '?' => self.read(Wanted::NoSlash),
                '*' => self.stars(),
                '[' => self.class()?,
                '{' => self.alternatives(depth + 1)?,
                other => self.read(Wanted::This(other)),
            }
        }
        Ok(())
    }

    /// Behind a star: there may be more.
    fn stars(&mut self) {
        let begins = self.at - 1;
        while self.text.get(self.at) == Some(&'*') {
            self.at += 1;
        }
        let begins_component = begins == 0 || matches!(self.text.get(begins - 1), Some('/' | '{' | ','));
        if self.at - begins == 1 {
            self.many(Wanted::NoSlash);
        } else if begins_component && self.text.get(self.at) == Some(&'/') {
            self.at += 1;
            let fork = self.fork();
            self.many(Wanted::Any);
            self.read(Wanted::This('/'));
            self.steps[fork] = Step::Fork(fork + 1, self.steps.len());
        } else {
            self.many(Wanted::Any);
        }
    }

    /// A step whose ways are not known yet.
    fn fork(&mut self) -> usize {
        let at = self.steps.len();
        self.steps.push(Step::Fork(at + 1, at + 1));
        at
    }

    fn many(&mut self, wanted: Wanted) {
        let fork = self.fork();
        self.read(wanted);
        self.steps.push(Step::Jump(fork));
        self.steps[fork] = Step::Fork(fork + 1, self.steps.len());
    }

    fn class(&mut self) -> Result<(), InvalidGlob> {
        let negated = matches!(self.text.get(self.at), Some('!' | '^'));
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        loop {
            let first = match self.next().ok_or(InvalidGlob::Class)? {
                ']' if !ranges.is_empty() => break,
                '\\' => self.next().ok_or(InvalidGlob::Class)?,
                other => other,
            };
            let last = match (self.text.get(self.at), self.text.get(self.at + 1)) {
                (Some('-'), Some(last)) if *last != ']' => {
                    self.at += 2;
                    *last
                }
                _ => first,
            };
            if last < first {
                return Err(InvalidGlob::Range);
            }
            ranges.push((first, last));
        }
        self.read(Wanted::Among { ranges, negated });
        Ok(())
    }

    /// Behind a brace: each way forks off before it begins, and jumps behind the last one.
    fn alternatives(&mut self, depth: usize) -> Result<(), InvalidGlob> {
        if depth > DEPTH_MAX {
            return Err(InvalidGlob::Depth);
        }
        let mut jumps = Vec::new();
        loop {
            let fork = self.fork();
            self.sequence(depth)?;
            jumps.push(self.steps.len());
            self.steps.push(Step::Jump(0));
            match self.next() {
                Some(',') => self.steps[fork] = Step::Fork(fork + 1, self.steps.len()),
                Some(_) => break,
                None => return Err(InvalidGlob::Alternatives),
            }
        }
        let end = self.steps.len();
        for jump in jumps {
            self.steps[jump] = Step::Jump(end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use globset::GlobBuilder;
    use proptest::prelude::*;

    use super::{Glob, InvalidGlob};

    #[test]
    fn names_are_of_their_patterns() {
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
            let glob = Glob::parse(pattern).expect("a pattern");
            for name in matching {
                assert!(glob.is_match(name), "{pattern}: {name}");
            }
            for name in others {
                assert!(!glob.is_match(name), "{pattern}: {name}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (pattern, expected) in [
            ("[", InvalidGlob::Class),
            ("[]", InvalidGlob::Class),
            ("[a", InvalidGlob::Class),
            ("[b-a]", InvalidGlob::Range),
            ("{a", InvalidGlob::Alternatives),
            ("{a,", InvalidGlob::Alternatives),
            ("{{{{{{{{{a}}}}}}}}}", InvalidGlob::Depth),
            ("a\\", InvalidGlob::Escape),
        ] {
            assert_eq!(Glob::parse(pattern), Err(expected), "{pattern}");
        }
        assert_eq!(Glob::parse(&"a".repeat(1025)), Err(InvalidGlob::Length));
    }

    proptest! {
        #[test]
        fn without_two_stars_it_is_what_globset_says(
            pattern in "([ab/?]|\\*[ab/]|\\[ab\\]|\\{a,b\\}){0,8}",
            name in "[ab/]{0,8}",
        ) {
            let theirs = GlobBuilder::new(&pattern).literal_separator(true).build().expect("a pattern");
            let ours = Glob::parse(&pattern).expect("a pattern");
            prop_assert_eq!(ours.is_match(&name), theirs.compile_matcher().is_match(&name));
        }
    }
}
