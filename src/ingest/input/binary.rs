//! Files that are no text, told by their first bytes.
//!
//! A text that is taken for something else is lost, so that in doubt a file is a text. Text may be of any encoding and
//! hold some control characters. It may begin with a run of NULs, as a log does whose file was emptied under its
//! writer.

/// Limits how many bytes of a file are examined.
const SAMPLE: usize = 1 << 13;

/// Says how many of them a header is taken to have.
const HEADER: usize = 64;

/// Lists formats whose first bytes no text begins with, the most common ones among logs first.
const FORMATS: [(&[u8], &str); 36] = [
    (
        b"LPKSHHRH",
        "a systemd journal: export it with journalctl -o json",
    ),
    (b"ElfFile\0", "a Windows event log: export it as JSON or XML"),
    (b"PK\x03\x04", "a zip archive in another one: unpack it"),
    (b"PK\x05\x06", "a zip archive without members"),
    (b"\x7fELF", "an ELF program"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it"),
    (b"\x04\x22\x4d\x18", "compressed with lz4: decompress it"),
    (b"\x1f\x9d", "compressed with compress: decompress it"),
    (b"\x1f\xa0", "compressed with compress: decompress it"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture"),
    (b"\xa1\xb2\xc3\xd4", "a packet capture"),
    (b"\x4d\x3c\xb2\xa1", "a packet capture"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\0\0\x01\0", "an icon"),
    (b"\xca\xfe\xba\xbe", "a Java class or a Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\xce\xfa\xed\xfe", "a Mach-O program"),
    (b"\0asm", "a WebAssembly program"),
    (b"II*\0", "a TIFF image"),
    (b"%PDF-1.", "a PDF document"),
    (b"%PDF-2.", "a PDF document"),
    (b"MM\0*", "a TIFF image"),
    (b"\xfe\xed\xfa\xcf", "a Mach-O program"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an OLE document"),
    (b"\xed\xab\xee\xdb", "an RPM package"),
    (b"!<arch>\n", "an ar archive"),
    (b"ARROW1\0\0", "an Arrow file"),
    (b"Obj\x01", "an Avro file"),
    (b"OggS\0", "an Ogg file"),
    (b"ID3\x03", "an MP3 file"),
    (b"ID3\x04", "an MP3 file"),
    (b"\x1a\x45\xdf\xa3", "a Matroska file"),
];

/// Lists formats that begin as a text may. One of their next bytes must be none of a text.
const READABLE_FORMATS: [(&[u8], &str); 7] = [
    (
        b"PAR1",
        "a Parquet file: read it with --input-format export if logstore export wrote it",
    ),
    (b"ORC", "an ORC file"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"RIFF", "a RIFF file"),
    (b"BM", "a BMP image"),
    (b"MZ", "a Windows program"),
];

/// Names the format of a file that begins with these bytes; `None` if it may be text.
pub(crate) fn binary_format(start: &[u8]) -> Option<&'static str> {
    let sample = start.get(..SAMPLE).unwrap_or(start);
    let begins = |(magic, _): &&(&[u8], &str)| sample.starts_with(magic);
    let known = FORMATS.iter().find(begins).or_else(|| {
        let found = READABLE_FORMATS.iter().find(begins);
        found.filter(|_| controls(sample.get(..HEADER).unwrap_or(sample)) > 0)
    });
    if let Some((_, name)) = known {
        return Some(name);
    }
    // UTF-16 says so by its byte order mark.
    if sample.starts_with(b"\xff\xfe") || sample.starts_with(b"\xfe\xff") {
        return None;
    }
    if sample.get(257..262) == Some(b"ustar") {
        return Some("a tar archive: unpack it");
    }
    if sample.get(8..12) == Some(b"DUCK") {
        return Some("a DuckDB database");
    }
    let nuls = sample.iter().take_while(|byte| **byte == 0).count();
    is_noise(sample.get(nuls..).unwrap_or_default()).then_some("binary data")
}

/// Returns whether more than a twentieth of some bytes are control characters that no text has.
///
/// Of random bytes, a tenth are. Too few bytes say nothing.
fn is_noise(bytes: &[u8]) -> bool {
    const FEW: usize = 16;
    let holes = holes(bytes);
    let controls = controls(bytes) - holes;
    controls > FEW && controls > (bytes.len() - holes) / 20 && !is_utf16(bytes)
}

/// Counts the NULs in long runs, which a cut file or a crash leaves in a text.
fn holes(bytes: &[u8]) -> usize {
    const LONG: usize = 64;
    let runs = bytes.chunk_by(|a, b| (*a == 0) == (*b == 0));
    let long = runs.filter(|run| run.first() == Some(&0) && run.len() >= LONG);
    long.map(<[u8]>::len).sum()
}

/// Counts control characters other than white space and ESC, which begins a colour.
fn controls(bytes: &[u8]) -> usize {
    let is_control = |byte: u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    bytes.iter().filter(|byte| is_control(**byte)).count()
}

/// Returns whether these are mostly characters of two bytes of which one is NUL.
fn is_utf16(bytes: &[u8]) -> bool {
    let pairs = bytes.chunks_exact(2);
    let count = pairs.len();
    let (low, high) = pairs.fold((0, 0), |(low, high), pair| match pair {
        [0, 0] => (low, high),
        [_, 0] => (low + 1, high),
        [0, _] => (low, high + 1),
        _ => (low, high),
    });
    let most = count - count / 8;
    low.max(high) >= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept() {
        let utf16: Vec<u8> = "2024-01-01 caf\u{e9} \u{20ac}\r\n"
            .repeat(100)
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let cyrillic: Vec<u8> = "\u{feff}\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}\r\n"
            .repeat(100)
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let nuls = [vec![0; 5_000], b"Dec 17 05:19:07 nxui app[5]: text\n".to_vec()].concat();
        let cut = [&[b"Dec 17 05:19:07 half a li".as_slice(), &[0; 300], b"\n"].concat()[..]; 3].concat();
        let all_nuls = vec![0; 100_000];
        let colours = b"\x1b[31merror\x1b[0m \x07 text\n".repeat(200);
        let latin = b"caf\xe9 \xfcber \xff\xfe\n".repeat(300);
        let texts: [&[u8]; 14] = [
            &cut,
            b"",
            b"MZ is a country code, BM too\n",
            b"PAR1 is a word\n",
            b"%PDF was uploaded\n",
            b"ORC failed\n",
            b"caf\xe9 \0 nul\n\xff\xfe\n",
            b"RIFF raff\n",
            &utf16,
            &cyrillic,
            &nuls,
            &all_nuls,
            &colours,
            &latin,
        ];
        for text in texts {
            assert_eq!(binary_format(text), None, "{:?}", text.get(..20));
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        let noise: Vec<u8> = std::iter::successors(Some(7_u32), |n| {
            Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
        })
        .take(4_000)
        .map(|n| n.to_be_bytes()[0])
        .collect();
        assert_eq!(binary_format(&noise), Some("binary data"));
        let mut tar = b"app.log".to_vec();
        tar.resize(257, 0);
        tar.extend_from_slice(b"ustar\x0000");
        assert_eq!(binary_format(&tar), Some("a tar archive: unpack it"));
        for (start, name) in [
            (&b"PAR1\x15\x04\x15\x10"[..], "Parquet"),
            (b"\x7fELF\x02\x01\x01\0", "ELF"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG"),
            (b"MZ\x90\0\x03\0\0\0", "Windows"),
            (b"LPKSHHRH\0\0\0\0", "journal"),
        ] {
            assert!(binary_format(start).unwrap().contains(name), "{name}");
        }
    }
}
