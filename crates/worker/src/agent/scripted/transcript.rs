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

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::program::Message;

pub struct Transcript {
    folder: PathBuf,
    messages: PathBuf,
    memory: PathBuf,
    /// Messages of this session that began a turn, in this and earlier processes.
    pub turn_count: usize,
    ids: HashSet<String>,
}

impl Transcript {
    pub fn open(folder: &Path, session_id: &str) -> Transcript {
        let messages = folder.join(format!("{session_id}.jsonl"));
        let bytes = fs::read(&messages).unwrap_or_default();
        let mut transcript = Transcript {
            folder: folder.to_owned(),
            memory: folder.join(format!("{session_id}.memory.json")),
            messages,
            turn_count: 0,
            ids: HashSet::new(),
        };
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // A line that a crash cut short counts: its turn began.
            let line: Value = serde_json::from_slice(line).unwrap_or_default();
            transcript.turn_count += usize::from(line["joined"] != true);
            transcript.ids.extend(line["id"].as_str().map(str::to_owned));
        }
        transcript
    }

    pub fn holds(&self, message: &Message) -> bool {
        message.id.as_ref().is_some_and(|id| self.ids.contains(id))
    }

    /// `joined`: it came into a turn that ran.
    pub fn add(&mut self, message: &Message, joined: bool) -> io::Result<()> {
        self.turn_count += usize::from(!joined);
        self.ids.extend(message.id.clone());
        fs::create_dir_all(&self.folder)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.messages)?;
        let line = json!({
            "turn": self.turn_count,
            "message": message.text,
            "id": message.id,
            "joined": joined,
        });
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
