//! Zip archives, each member of which is read as a file of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Crc;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive, ZipArchiveEntryWayfinder};

use super::compression::{BUFFER, buffered, xz};

/// Describes a file in an archive, and the place of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Holds where the compressed member begins and ends in the archive.
    range: (u64, u64),
    method: CompressionMethod,
    checksum: u32,
    bytes: u64,
}

/// Names a member, and holds it or the reason why it cannot be read.
type NamedMember = (String, io::Result<Member>);

/// Returns whether a file that begins with these bytes is a zip archive. An empty archive has no member to begin with.
pub(crate) fn is_zip(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06")
}

/// Returns the members of a zip archive that are files; `None` for another file.
///
/// A member that cannot be read is an error at its position.
pub(crate) fn members(file: &File) -> io::Result<Option<Vec<NamedMember>>> {
    let mut start = Vec::new();
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(4).read_to_end(&mut start)?;
    if !is_zip(&start) {
        return Ok(None);
    }
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(invalid)?;
    let mut members = Vec::new();
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(invalid)? {
        if entry.is_dir() {
            continue;
        }
        let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        let member = match entry.flags().is_encrypted() {
            true => Err(io::Error::other("the member is encrypted: unpack the archive")),
            false => Ok(Member {
                name: name.clone(),
                range: range(&archive, entry.wayfinder())?,
                method: entry.compression_method(),
                checksum: entry.crc32(),
                bytes: entry.uncompressed_size_hint(),
            }),
        };
        members.push((name, member));
    }
    Ok(Some(members))
}

fn range<R: rawzip::ReaderAt>(
    archive: &ZipArchive<R>,
    wayfinder: ZipArchiveEntryWayfinder,
) -> io::Result<(u64, u64)> {
    let entry = archive.get_entry(wayfinder).map_err(invalid)?;
    Ok(entry.compressed_data_range())
}

fn invalid(error: rawzip::Error) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a whole zip archive: {error}"),
    )
}

/// Opens the file at a path, or a member of an archive. The path of a member goes on after that of the archive.
pub(crate) fn open_path(path: &Path) -> io::Result<(File, Option<Member>)> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => open_member(path),
        opened => Ok((opened?, None)),
    }
}

fn open_member(path: &Path) -> io::Result<(File, Option<Member>)> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let archive = path.ancestors().find(|path| path.is_file()).ok_or_else(missing)?;
    let file = File::open(archive)?;
    let found = members(&file)?.unwrap_or_default().into_iter();
    let member = found
        .filter_map(|(_, member)| member.ok())
        .find(|member| member.path_in(archive) == path);
    Ok((file, Some(member.ok_or_else(missing)?)))
}

impl Member {
    /// Returns the path of this member of the archive at a path.
    pub(crate) fn path_in(&self, archive: &Path) -> PathBuf {
        member_path(archive, &self.name)
    }

    /// Reads the member from the archive's bytes, and verifies it at its end.
    pub(crate) fn read(
        &self,
        mut archive: impl Read + io::Seek + Send + 'static,
    ) -> io::Result<Box<dyn BufRead + Send>> {
        let (start, end) = self.range;
        archive.seek(SeekFrom::Start(start))?;
        let input = BufReader::with_capacity(BUFFER, archive.take(end.saturating_sub(start)));
        let content: Box<dyn BufRead + Send> = match self.method {
            CompressionMethod::STORE => Box::new(input),
            CompressionMethod::DEFLATE => buffered(flate2::bufread::DeflateDecoder::new(input)),
            CompressionMethod::BZIP2 => buffered(bzip2::bufread::BzDecoder::new(input)),
            CompressionMethod::ZSTD => buffered(zstd::Decoder::with_buffer(input)?),
            CompressionMethod::XZ => xz(input)?,
            other => {
                let text =
                    format!("compressed by the method {other}, which is not supported: unpack the archive");
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
        };
        Ok(buffered(Verified {
            input: content,
            crc: Crc::new(),
            bytes: 0,
            expected: (self.checksum, self.bytes),
        }))
    }
}

/// Returns the path of the member with this name. A name cannot lead out of its archive.
pub(crate) fn member_path(archive: &Path, name: &str) -> PathBuf {
    archive.join(name.trim_start_matches(['/', '\\']))
}

/// Fails at the end of a member whose length or checksum is not that of the archive.
struct Verified {
    input: Box<dyn BufRead + Send>,
    crc: Crc,
    bytes: u64,
    /// Holds the checksum and the length that the archive says.
    expected: (u32, u64),
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        self.crc.update(bytes);
        self.bytes += read as u64;
        if read == 0 && !buffer.is_empty() && (self.crc.sum(), self.bytes) != self.expected {
            let text = "the member does not have the length and checksum that its archive says";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(read)
    }
}
