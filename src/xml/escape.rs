//! Escaping.

use std::fmt;

/// Wraps a formatter so that what is written to it comes out escaped.
pub(super) struct Escaped<'a>(pub(super) &'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                plain if is_plain(plain) => self.0.push(plain),
                other => write!(self.0, "&#{};", u32::from(other))?,
            }
        }
        Ok(())
    }
}

/// Whether a character stands for itself in text and in attributes.
///
/// Not so: carriage returns, which every XML reader turns into line feeds; tabs and line feeds,
/// which attributes would turn into spaces; and what XML 1.0 has no place for at all. S3 writes the
/// latter as references too, though strict readers refuse them: clients that may meet such keys ask
/// for `encoding-type=url`.
fn is_plain(character: char) -> bool {
    !matches!(character, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
}
