//! Windows event logs (`.evtx`), read as the XML of their records.

use std::io::{self, BufRead, Read, Seek};
use std::sync::Arc;

use evtx::{EvtxChunkData, EvtxParser, IntoIterChunks, ParserSettings};

use super::compression::buffered;

/// Returns whether a file that begins with these bytes is a Windows event log.
pub(crate) fn is_event_log(start: &[u8]) -> bool {
    start.starts_with(b"ElfFile\0")
}

/// Reads a Windows event log as text: the XML of each record, and a line end.
///
/// # Errors
///
/// Fails if the header of the file is damaged.
pub(crate) fn open(input: impl Read + Seek + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let parser = EvtxParser::from_read_seek(input).map_err(invalid)?;
    let settings = ParserSettings::new().indent(false);
    Ok(buffered(EventLog {
        chunks: parser.into_chunks(),
        settings: Arc::new(settings),
        text: Vec::new(),
        given: 0,
    }))
}

fn invalid(error: impl std::error::Error) -> io::Error {
    let text = format!("not a whole Windows event log: {error}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

struct EventLog<R: Read + Seek> {
    chunks: IntoIterChunks<R>,
    settings: Arc<ParserSettings>,
    /// Holds the text of a chunk. What is before `given` was read.
    text: Vec<u8>,
    given: usize,
}

impl<R: Read + Seek> EventLog<R> {
    fn render(&mut self, mut chunk: EvtxChunkData) -> Result<(), evtx::err::EvtxError> {
        let failed = |source| evtx::err::EvtxError::FailedToParseChunk {
            chunk_id: 0,
            source: Box::new(source),
        };
        for record in chunk.parse(Arc::clone(&self.settings)).map_err(failed)?.iter() {
            match record.and_then(evtx::EvtxRecord::into_xml) {
                Ok(record) => self.add(&record.data),
                Err(error) => log::warn!("a record of a Windows event log cannot be read: {error}"),
            }
        }
        Ok(())
    }

    /// Adds the XML of a record, without its declaration.
    fn add(&mut self, xml: &str) {
        let start = xml.find("<Event").unwrap_or_default();
        let event = xml.get(start..).unwrap_or(xml).trim_end();
        self.text.extend_from_slice(event.as_bytes());
        self.text.push(b'\n');
    }
}

impl<R: Read + Seek> Read for EventLog<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            self.text.clear();
            self.given = 0;
            let Some(chunk) = self.chunks.next() else {
                return Ok(0);
            };
            if let Err(error) = chunk.and_then(|chunk| self.render(chunk)) {
                log::warn!("a part of a Windows event log cannot be read: {error}");
            }
        }
        let mut rest = self.text.get(self.given..).unwrap_or_default();
        let read = rest.read(buffer)?;
        self.given += read;
        Ok(read)
    }
}
