//! One file as a tar archive: how the engine takes files. Pure.
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

#[cfg(test)]
mod tests {
    use super::{FileOf, pack};

    #[test]
    fn an_archive_is_what_tar_makes_of_a_file() {
        let archive = pack(FileOf { name: "a.toml", bytes: b"abc", owner: (10001, 10001), mode: 0o644 });
        assert_eq!(archive.len(), 4 * 512);
        let text = |at: usize, length: usize| String::from_utf8_lossy(&archive[at..at + length]).into_owned();
        for (at, expected) in [
            (0, "a.toml\0"),
            (100, "0000644\0"),
            (108, "0023421\0"),
            (116, "0023421\0"),
            (124, "00000000003\0"),
            // The sum of all bytes of the header, with blanks here.
            (148, "007103\0 "),
            (156, "0"),
            (257, "ustar\x0000"),
            (512, "abc\0"),
        ] {
            assert_eq!(text(at, expected.len()), expected, "at {at}");
        }
    }

    #[test]
    fn archives_are_whole_blocks() {
        for length in [0, 1, 511, 512, 513] {
            let bytes = vec![7; length];
            let archive = pack(FileOf { name: "a", bytes: &bytes, owner: (0, 0), mode: 0 });
            assert_eq!(archive.len(), 512 * (3 + length.div_ceil(512)), "{length}");
            assert!(archive[512..].starts_with(&bytes));
        }
    }
}
