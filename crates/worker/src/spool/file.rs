//! The file of a spool: encoded chunks one after the other, found by offset and length.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use hostler_wire::v1::LogChunk;
use prost::Message;

#[derive(Debug)]
pub(super) struct SpoolFile {
    path: PathBuf,
    file: Option<File>,
    length: u64,
}

impl SpoolFile {
    pub(super) fn new(path: PathBuf) -> SpoolFile {
        SpoolFile { path, file: None, length: 0 }
    }

    /// Where it was put. A write that fails leaves the length as it was: what it left behind is
    /// overwritten by the next.
    pub(super) fn append(&mut self, chunk: &LogChunk) -> io::Result<(u64, usize)> {
        let bytes = chunk.encode_to_vec();
        let offset = self.length;
        self.open()?.write_all_at(&bytes, offset)?;
        self.length += bytes.len() as u64;
        Ok((offset, bytes.len()))
    }

    pub(super) fn read(&mut self, offset: u64, length: usize) -> io::Result<LogChunk> {
        let mut bytes = vec![0; length];
        self.open()?.read_exact_at(&mut bytes, offset)?;
        LogChunk::decode(bytes.as_slice()).map_err(io::Error::other)
    }

    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.length = 0;
        match &self.file {
            Some(file) => file.set_len(0),
            None => Ok(()),
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(true).mode(0o600);
            self.file = Some(options.open(&self.path)?);
        }
        Ok(self.file.as_ref().expect("opened"))
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What is left behind is removed at the worker's next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
