//! A pattern's text to its pieces, in either dialect.

use super::{Dialect, Piece, Problem, Taken};

/// Reads pieces, character by character.
pub(super) struct Parser<'text> {
    dialect: Dialect,
    letters: std::iter::Peekable<std::str::Chars<'text>>,
    /// The character that was read last, and the one before it.
    now: Option<char>,
    before: Option<char>,
    /// How many braces are open.
    depth: usize,
}

impl<'text> Parser<'text> {
    /// The most braces within each other.
    pub(super) const DEPTH_MAX: usize = 16;

    pub(super) fn new(text: &'text str, dialect: Dialect) -> Self {
        Self { dialect, letters: text.chars().peekable(), now: None, before: None, depth: 0 }
    }

    pub(super) fn next(&mut self) -> Option<char> {
        self.before = self.now;
        self.now = self.letters.next();
        self.now
    }

    /// Whether the branch that is read ends here.
    pub(super) fn is_at_end(&mut self) -> bool {
        match self.letters.peek() {
            None => true,
            Some(letter) => self.depth > 0 && matches!(letter, ',' | '}'),
        }
    }

    /// A whole pattern, or a branch of braces.
    pub(super) fn branch(&mut self) -> Result<Vec<Piece>, Problem> {
        let mut pieces = Vec::new();
        while !self.is_at_end() {
            let Some(letter) = self.next() else { break };
            match letter {
                '?' => pieces.push(Piece::One(Taken::NoSlash)),
                '*' => self.stars(&mut pieces),
                '[' => pieces.push(Piece::One(self.set()?)),
                '{' => pieces.push(self.braces()?),
                '}' if self.dialect == Dialect::Ours => return Err(Problem::LoneBrace),
                '\\' => {
                    let letter = self.next().ok_or(Problem::LoneBackslash)?;
                    pieces.push(Piece::One(Taken::This(letter)));
                }
                letter => pieces.push(Piece::One(Taken::This(letter))),
            }
        }
        Ok(pieces)
    }

    fn stars(&mut self, pieces: &mut Vec<Piece>) {
        match self.dialect {
            Dialect::Ours => self.star(pieces),
            Dialect::Gcs => pieces.push(self.gcs_stars()),
        }
    }

    /// GCS: two stars cross slashes wherever they stand; `**/` may be no folder at all.
    fn gcs_stars(&mut self) -> Piece {
        let begins_segment = matches!(self.before, None | Some('/' | '{' | ','));
        if self.letters.next_if_eq(&'*').is_none() {
            return Piece::Run;
        }
        while self.letters.next_if_eq(&'*').is_some() {}
        self.now = Some('*');
        if begins_segment && self.letters.peek() == Some(&'/') {
            self.next();
            return Piece::Folders;
        }
        Piece::Everything
    }

    /// What one or two stars mean where they stand.
    fn star(&mut self, pieces: &mut Vec<Piece>) {
        let follows_slash = self.before == Some('/');
        if self.letters.next_if_eq(&'*').is_none() {
            return pieces.push(Piece::Run);
        }
        self.now = Some('*');
        let slash = self.letters.peek() == Some(&'/');
        if pieces.is_empty() {
            if !slash && self.letters.peek().is_some() {
                return pieces.push(Piece::Run);
            }
            self.next();
            return pieces.push(Piece::Folders);
        }
        if !follows_slash || !(slash || self.is_at_end()) {
            return pieces.push(Piece::Run);
        }
        if slash {
            self.next();
        }
        // The slash in front is theirs, and stars behind stars say nothing new.
        let merged = pieces.pop().filter(|piece| matches!(piece, Piece::Folders | Piece::Below));
        pieces.push(merged.unwrap_or(if slash { Piece::Between } else { Piece::Below }));
    }

    /// What is behind `[`. A `]` or `-` at its beginning is one of the set.
    fn set(&mut self) -> Result<Taken, Problem> {
        let negated = self.letters.next_if(|letter| matches!(letter, '!' | '^')).is_some();
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut is_range = false;
        loop {
            let mut letter = self.next().ok_or(Problem::OpenSet)?;
            let is_escaped = self.dialect == Dialect::Gcs && letter == '\\';
            if is_escaped {
                letter = self.next().ok_or(Problem::OpenSet)?;
            }
            match (letter, ranges.last_mut()) {
                (']', Some(_)) if !is_escaped => break,
                ('-', Some(_)) if !is_range => is_range = true,
                (last, Some(range)) if is_range => {
                    if last < range.0 {
                        return Err(Problem::EmptyRange(range.0, last));
                    }
                    range.1 = last;
                    is_range = false;
                }
                (letter, _) => ranges.push((letter, letter)),
            }
        }
        if is_range {
            ranges.push(('-', '-'));
        }
        if negated && self.dialect == Dialect::Gcs {
            ranges.push(('/', '/'));
        }
        Ok(Taken::Set { negated, ranges })
    }

    /// What is behind `{`.
    fn braces(&mut self) -> Result<Piece, Problem> {
        if self.depth == Self::DEPTH_MAX {
            return Err(Problem::TooDeep);
        }
        self.depth += 1;
        let mut branches = Vec::new();
        loop {
            branches.push(self.branch()?);
            match self.next() {
                Some(',') => {}
                Some(_) => break,
                None => return Err(Problem::OpenBrace),
            }
        }
        self.depth -= 1;
        Ok(Piece::Either(branches))
    }
}
