//! # What the scripted agent keeps
//!
//! **What** Per session: the messages it was given, one line each, and what it was told to
//! remember. Both live in its state folder and so outlive the process.
//!
//! **Invariants** A message is kept before the first of its steps is done, so a turn that crashed
//! counts as one. The memory is replaced as a whole, by a rename.
//!
//! **Failure** A folder that cannot be written fails the steps that need it, no others.
//!
//! **Not here** What the steps do with it (`program`).

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

pub struct Transcript {
    folder: PathBuf,
    messages: PathBuf,
    memory: PathBuf,
    /// Messages of this session, in this and earlier processes.
    pub turn_count: usize,
}

impl Transcript {
    pub fn open(folder: &Path, session_id: &str) -> Transcript {
        let messages = folder.join(format!("{session_id}.jsonl"));
        // A line that a crash cut short counts: its turn began.
        let turn_count = fs::read(&messages)
            .map_or(0, |bytes| bytes.split(is_newline).filter(is_not_empty).count());
        Transcript {
            folder: folder.to_owned(),
            memory: folder.join(format!("{session_id}.memory.json")),
            messages,
            turn_count,
        }
    }

    pub fn add(&mut self, message: &str) -> io::Result<()> {
        self.turn_count += 1;
        fs::create_dir_all(&self.folder)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.messages)?;
        let line = json!({"turn": self.turn_count, "message": message});
        file.write_all(format!("{line}\n").as_bytes())
    }

    pub fn recall(&self, key: &str) -> io::Result<Option<String>> {
        Ok(self.memory()?.remove(key))
    }

    pub fn remember(&self, key: &str, value: &str) -> io::Result<()> {
        let mut memory = self.memory()?;
        memory.insert(key.to_owned(), value.to_owned());
        fs::create_dir_all(&self.folder)?;
        let part = self.memory.with_extension("part");
        fs::write(&part, json!(memory).to_string())?;
        fs::rename(&part, &self.memory)
    }

    fn memory(&self) -> io::Result<BTreeMap<String, String>> {
        match fs::read(&self.memory) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

fn is_not_empty(line: &&[u8]) -> bool {
    !line.is_empty()
}
