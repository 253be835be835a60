//! Compressed inputs, recognised by their first bytes.

use std::io::{self, BufRead, BufReader, Read};

use liblzma::stream::{CONCATENATED, Stream};

/// Says how many bytes of an input are read at a time.
pub(crate) const BUFFER: usize = 1 << 18;

/// Bounds the memory of one xz decoder. The largest preset of xz, -9, needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// Names a format that compresses a single stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

impl Compression {
    fn of(start: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Compression); 3] = [
            (&[0x1f, 0x8b, 8], Compression::Gzip),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression::Xz),
        ];
        let found = MAGIC.iter().find(|(magic, _)| start.starts_with(magic));
        found
            .map(|(_, compression)| *compression)
            .or_else(|| is_bzip2(start).then_some(Self::Bzip2))
    }
}

/// Returns whether these bytes begin bzip2, not a text with "BZh". A first block, or the end of an empty stream,
/// follows its level.
fn is_bzip2(start: &[u8]) -> bool {
    const BLOCK: &[u8] = &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
    const END: &[u8] = &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90];
    let Some((head, rest)) = start.split_at_checked(4) else {
        return false;
    };
    matches!(head, [b'B', b'Z', b'h', b'1'..=b'9']) && (rest.starts_with(BLOCK) || rest.starts_with(END))
}

/// Returns whether an input that begins with these bytes is compressed.
pub(crate) fn is_compressed(start: &[u8]) -> bool {
    Compression::of(start).is_some()
}

/// Decompresses an input if it is compressed.
pub(crate) fn decompressed(mut input: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(match Compression::of(input.fill_buf()?) {
        None => Box::new(input),
        Some(Compression::Gzip) => buffered(flate2::bufread::MultiGzDecoder::new(input)),
        Some(Compression::Zstd) => buffered(zstd::Decoder::with_buffer(input)?),
        Some(Compression::Xz) => xz(input)?,
        Some(Compression::Bzip2) => buffered(bzip2::bufread::MultiBzDecoder::new(input)),
    })
}

/// Reads xz, also of several streams one after another.
pub(crate) fn xz(input: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
    Ok(buffered(liblzma::bufread::XzDecoder::new_stream(input, stream)))
}

pub(crate) fn buffered(input: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(BUFFER, input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_compression() {
        for text in ["", "B", "BZh9", "BZh91 is a text", "7zXZ", "(a text", "PK"] {
            assert!(!is_compressed(text.as_bytes()), "{text}");
        }
    }
}
