//! UTF-16 is recognised by the first bytes of a text.

use crate::models::Encoding;

/// Limits the bytes that tell an encoding.
const SAMPLE: usize = 1024;

/// Recognises UTF-16 by the first bytes of a text. Any other text is taken as UTF-8.
pub(crate) fn recognise(head: &[u8]) -> Encoding {
    let head = head.get(..SAMPLE).unwrap_or(head);
    let encoding = match head {
        [0xff, 0xfe, ..] => Encoding::UTF_16LE,
        [0xfe, 0xff, ..] => Encoding::UTF_16BE,
        _ => without_mark(head),
    };
    // A client may have written a mark into the first line. The other lines end as they do.
    match encoding == Encoding::UTF_8 || has_line_ends(head, encoding) {
        true => encoding,
        false => Encoding::UTF_8,
    }
}

/// Recognises UTF-16 by the NULs in every other byte of a text that is mostly ASCII.
fn without_mark(head: &[u8]) -> Encoding {
    const FEW: usize = 4;
    let pairs = head.chunks_exact(2);
    let count = pairs.len();
    let (little, big) = pairs.fold((0, 0), |(little, big), pair| match pair {
        [0, 0] => (little, big),
        [_, 0] => (little + 1, big),
        [0, _] => (little, big + 1),
        _ => (little, big),
    });
    let most = count - count / 8;
    match (little, big) {
        _ if count < FEW => Encoding::UTF_8,
        (little, _) if little >= most => Encoding::UTF_16LE,
        (_, big) if big >= most => Encoding::UTF_16BE,
        _ => Encoding::UTF_8,
    }
}

/// Returns whether most line feeds of a text are those of UTF-16.
fn has_line_ends(head: &[u8], encoding: Encoding) -> bool {
    let line_feed: [u8; 2] = match encoding == Encoding::UTF_16LE {
        true => [b'\n', 0],
        false => [0, b'\n'],
    };
    let of_utf16 = head.chunks_exact(2).filter(|pair| **pair == line_feed).count();
    let all = memchr::memchr_iter(b'\n', head).count();
    of_utf16 >= all - of_utf16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, to_bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn utf_16_is_recognised_with_and_without_mark() {
        let text = "2024-01-01 caf\u{e9}\r\n";
        assert_eq!(recognise(&utf16(text, u16::to_le_bytes)), Encoding::UTF_16LE);
        assert_eq!(recognise(&utf16(text, u16::to_be_bytes)), Encoding::UTF_16BE);
        let cyrillic = "\u{feff}\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}";
        assert_eq!(recognise(&utf16(cyrillic, u16::to_le_bytes)), Encoding::UTF_16LE);
        assert_eq!(recognise(&utf16(cyrillic, u16::to_be_bytes)), Encoding::UTF_16BE);
    }

    #[test]
    fn other_texts_are_utf_8() {
        let after_nuls = [&[0; 200][..], b"Dec 17 05:19:07 nxui app[5]: text\n"].concat();
        let few = b"a\0b\0";
        let marked = [b"\xff\xfe\0 client\n".as_slice(), &b"Dec 17 a line\n".repeat(9)].concat();
        let texts: [&[u8]; 6] = [
            &marked,
            b"",
            b"\xef\xbb\xbftext",
            &after_nuls,
            few,
            b"caf\xe9 \xff\xfe",
        ];
        for text in texts {
            assert_eq!(recognise(text), Encoding::UTF_8, "{text:?}");
        }
    }
}
