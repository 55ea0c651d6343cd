//! One file as a tar archive and back: how the engine takes and gives files. Pure.
//!
//! POSIX: pax, ustar interchange format; blocks of 512 bytes.

/// The size of a block.
const BLOCK: usize = 512;

/// A file that goes into a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileOf<'a> {
    pub(super) name: &'a str,
    pub(super) bytes: &'a [u8],
    /// The user and the group that it belongs to.
    pub(super) owner: (u32, u32),
    pub(super) mode: u32,
}

/// The archive of one file.
pub(super) fn pack(file: FileOf<'_>) -> Vec<u8> {
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| {
        let bytes = text.as_bytes();
        header[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &file.name.chars().filter(char::is_ascii).take(99).collect::<String>());
    put(100, &format!("{:07o}", file.mode));
    put(108, &format!("{:07o}", file.owner.0));
    put(116, &format!("{:07o}", file.owner.1));
    put(124, &format!("{:011o}", file.bytes.len()));
    put(136, &format!("{:011o}", 0));
    // The sum is taken over blanks where it will stand.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(file.bytes);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

/// Takes the first file out of an archive that comes in pieces.
#[derive(Debug)]
pub(super) struct Unpacking {
    state: State,
    held: Vec<u8>,
    /// The size that an extended header gave, for files that are too large for a plain one.
    size: Option<u64>,
}

#[derive(Debug)]
enum State {
    Header,
    Extended { left: usize },
    File { left: u64 },
    Done,
}

/// The archive does not read, or has no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the engine's archive does not read")]
pub(super) struct Broken;

impl Unpacking {
    pub(super) fn new() -> Self {
        Self { state: State::Header, held: Vec::new(), size: None }
    }

    /// Whether the whole file has come.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes a piece; what is in it of the file goes to `take`.
    pub(super) fn feed(&mut self, mut piece: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), Broken> {
        while !piece.is_empty() {
            match &mut self.state {
                State::Done => return Ok(()),
                State::File { left } => {
                    let here = piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    take(&piece[..here]);
                    *left -= here as u64;
                    piece = &piece[here..];
                    if *left == 0 {
                        self.state = State::Done;
                    }
                }
                State::Header => piece = self.header(piece)?,
                State::Extended { left } => {
                    let here = piece.len().min(*left);
                    self.held.extend_from_slice(&piece[..here]);
                    *left -= here;
                    piece = &piece[here..];
                    if *left == 0 {
                        self.size = extended_size(&self.held);
                        self.held.clear();
                        self.state = State::Header;
                    }
                }
            }
        }
        Ok(())
    }

    /// Collects a header and acts on it; gives what is left of the piece.
    fn header<'piece>(&mut self, piece: &'piece [u8]) -> Result<&'piece [u8], Broken> {
        let here = piece.len().min(BLOCK - self.held.len());
        self.held.extend_from_slice(&piece[..here]);
        if self.held.len() == BLOCK {
            let size = std::str::from_utf8(&self.held[124..136]).ok();
            let size = size.map(|text| text.trim_matches(['\0', ' ']));
            let size = size.and_then(|text| u64::from_str_radix(text, 8).ok());
            let kind = self.held[156];
            self.held.clear();
            self.state = match kind {
                b'x' => {
                    let size = usize::try_from(size.ok_or(Broken)?).map_err(|_| Broken)?;
                    // Names and times; nobody writes much of them.
                    if size > 1 << 20 {
                        return Err(Broken);
                    }
                    State::Extended { left: size.next_multiple_of(BLOCK) }
                }
                b'0' | 0 => match self.size.or(size).ok_or(Broken)? {
                    0 => State::Done,
                    left => State::File { left },
                },
                _ => return Err(Broken),
            };
        }
        Ok(&piece[here..])
    }
}

/// The `size` of an extended header: records are `LENGTH KEY=VALUE\n`.
fn extended_size(records: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(records);
    let record = |line: &str| line.split_once(' ')?.1.strip_prefix("size=")?.parse().ok();
    text.lines().find_map(record)
}

#[cfg(test)]
mod tests {
    use super::{Broken, FileOf, Unpacking, pack};

    fn unpacked(archive: &[u8], piece: usize) -> Result<Option<Vec<u8>>, Broken> {
        let (mut unpacking, mut file) = (Unpacking::new(), Vec::new());
        for piece in archive.chunks(piece) {
            unpacking.feed(piece, |bytes| file.extend_from_slice(bytes))?;
        }
        Ok(unpacking.is_done().then_some(file))
    }

    #[test]
    fn a_file_goes_in_and_comes_out_however_it_is_cut() {
        for length in [0, 1, 511, 512, 513, 5000] {
            let bytes = vec![7; length];
            let archive = pack(FileOf { name: "a.toml", bytes: &bytes, owner: (10001, 10001), mode: 0o644 });
            assert_eq!(archive.len() % 512, 0);
            for piece in [1, 100, 512, 100_000] {
                assert_eq!(unpacked(&archive, piece), Ok(Some(bytes.clone())), "{length} in {piece}");
            }
            if length > 0 {
                assert_eq!(unpacked(&archive[..512 + length - 1], 100), Ok(None), "{length}, cut short");
            }
        }
    }

    #[test]
    fn an_extended_header_says_the_size_of_large_files() {
        let record = pack(FileOf { name: "x", bytes: b"15 size=3\n", owner: (0, 0), mode: 0 });
        let mut extended = record[..1024].to_vec();
        extended[156] = b'x';
        let mut file = pack(FileOf { name: "a", bytes: b"abc", owner: (0, 0), mode: 0 });
        file[124..135].copy_from_slice(b"77777777777");
        extended.extend_from_slice(&file);
        assert_eq!(unpacked(&extended, 700), Ok(Some(b"abc".to_vec())));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let mut folder = pack(FileOf { name: "a", bytes: b"", owner: (0, 0), mode: 0 });
        folder[156] = b'5';
        assert_eq!(unpacked(&folder, 512), Err(Broken));
        assert_eq!(unpacked(&[0xff; 1024], 512), Err(Broken));
        assert_eq!(unpacked(&[], 512), Ok(None));
    }
}
