//! The media type of a file, by its name, as beetmover says it. Pure.

/// What every file is that is nothing else.
const OTHER: &str = "application/octet-stream";

/// beetmoverscript, `constants.py`, `MIME_MAP`: what it says itself, whatever others would.
const BEETMOVER: &[(&str, &str)] = &[
    ("aab", OTHER),
    ("aar", "application/java-archive"),
    ("apk", "application/vnd.android.package-archive"),
    ("asc", "text/plain"),
    ("beet", "text/plain"),
    ("bundle", OTHER),
    ("bz2", OTHER),
    ("checksums", "text/plain"),
    ("dmg", "application/x-iso9660-image"),
    ("jar", "application/java-archive"),
    ("json", "application/json"),
    ("mar", OTHER),
    ("md5", "text/plain"),
    ("msi", "application/x-msi"),
    ("pkg", "application/x-newton-compatible-pkg"),
    ("pom", "application/xml"),
    ("sha1", "text/plain"),
    ("sha256", "text/plain"),
    ("sha512", "text/plain"),
    ("snap", OTHER),
    ("xpi", "application/x-xpinstall"),
];

/// The media type of a key.
pub(super) fn of(key: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or(key);
    let Some((_, end)) = name.rsplit_once('.') else { return OTHER.to_owned() };
    let known = BEETMOVER.iter().find(|(known, _)| end.eq_ignore_ascii_case(known));
    let guessed = || mime_guess::from_ext(end).first_raw().unwrap_or(OTHER);
    known.map_or_else(guessed, |(_, kind)| kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn beetmovers_own_words_come_first() {
        for (key, kind) in [
            ("pub/firefox/83.0/target.complete.mar", "application/octet-stream"),
            ("pub/83.0/SHA256SUMS", "application/octet-stream"),
            ("pub/83.0/SHA256SUMS.asc", "text/plain"),
            ("Firefox 83.0.DMG", "application/x-iso9660-image"),
            ("a.b/target.xpi", "application/x-xpinstall"),
            ("target.tar.bz2", "application/octet-stream"),
            ("target.json", "application/json"),
            ("index.html", "text/html"),
            ("style.css", "text/css"),
            ("a.unheard-of", "application/octet-stream"),
            ("folder.txt/file", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of(key), kind, "{key}");
        }
    }
}
