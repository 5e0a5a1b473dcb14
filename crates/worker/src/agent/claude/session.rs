//! # The conversation of a process
//!
//! **What** Finds out under which id the program has to be started: resuming what its state
//! folder holds, or as new; and which messages the conversation holds, for the program itself
//! takes a message again that came into a running turn of an earlier process.
//!
//! **Invariants** An id is resumed exactly when its transcript holds a whole message. The program
//! itself refuses an id whose transcript exists without one, for resuming ("No conversation
//! found") and for starting ("already in use"), as a kill in the first moments leaves it; such an
//! id is given up for the next one of a fixed row.
//!
//! **Failure** A folder that cannot be read is a refusal; a missing one means a new conversation.
//! What is lost of a transcript, or stands before its last [`SEARCH_BYTES_MAX`], was not taken.
//!
//! **Not here** One process per conversation at a time: the server's lease sees to that.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;
use uuid::Uuid;

use crate::agent::{Refusal, identity};

/// How many ids of the row are tried: each step needs a kill within the program's first moments.
const CANDIDATES_MAX: usize = 16;

/// A conversation's id, and whether the program already knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation {
    pub id: Uuid,
    pub exists: bool,
}

/// How far into a transcript a first message is looked for. Each message stands there twice before
/// the model is asked; the agent can write the file and must not exhaust the worker's memory.
const SEARCH_BYTES_MAX: u64 = 32 * 1024 * 1024;

enum Transcript {
    Missing,
    /// It exists, but holds no message.
    Empty,
    Usable,
}

impl Conversation {
    pub fn find(config_dir: &Path, session: Uuid) -> Result<Conversation, Refusal> {
        let failed = |error: io::Error| {
            Refusal(format!("the state folder {} is unreadable: {error}", config_dir.display()))
        };
        let projects = folders(&config_dir.join("projects")).map_err(failed)?;
        let mut free = None;
        let mut id = session;
        for index in 1..=CANDIDATES_MAX {
            match transcript(&projects, id).map_err(failed)? {
                Transcript::Usable => return Ok(Conversation { id, exists: true }),
                Transcript::Missing => free = free.or(Some(id)),
                Transcript::Empty => {}
            }
            if free.is_some() {
                break;
            }
            id = identity::uuid_from(&["again", &session.to_string(), &index.to_string()]);
        }
        let id = free.ok_or_else(|| {
            Refusal(format!(
                "{CANDIDATES_MAX} unfinished transcripts of session {session} are in {}; remove \
                 them",
                config_dir.display()
            ))
        })?;
        Ok(Conversation { id, exists: false })
    }

    pub fn arguments(&self) -> [String; 2] {
        let flag = if self.exists { "--resume" } else { "--session-id" };
        [flag.to_owned(), self.id.to_string()]
    }
}

/// Ids of the messages that the conversation holds and that were given while a turn ran.
pub(super) fn taken(config_dir: &Path, session: Uuid) -> HashSet<String> {
    let Ok(Conversation { id, exists: true }) = Conversation::find(config_dir, session) else {
        return HashSet::new();
    };
    let mut taken = HashSet::new();
    for project in folders(&config_dir.join("projects")).unwrap_or_default() {
        let path = project.join(format!("{id}.jsonl"));
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_file())
            && let Err(error) = add_taken(&path, &mut taken)
        {
            tracing::warn!(%error, path = %path.display(), "a transcript cannot be read");
        }
    }
    taken
}

fn add_taken(path: &Path, taken: &mut HashSet<String>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let skipped = file.metadata()?.len().saturating_sub(SEARCH_BYTES_MAX);
    file.seek(SeekFrom::Start(skipped))?;
    let mut reader = BufReader::new(file.take(SEARCH_BYTES_MAX));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if let Ok(value) = serde_json::from_slice::<Value>(&line) {
            taken.extend(ids_of(&value));
        }
        line.clear();
    }
    Ok(())
}

/// A message that came into a turn is an attachment; messages that began a turn together are one
/// message under the id of the last, with the others named in it.
fn ids_of(line: &Value) -> impl Iterator<Item = String> {
    let own = match line["type"].as_str() {
        Some("attachment") => &line["attachment"]["source_uuid"],
        Some("user") => &line["uuid"],
        _ => &Value::Null,
    };
    let merged = line["mergedSendUuids"].as_array().into_iter().flatten();
    merged.chain([own]).filter_map(Value::as_str).map(str::to_owned)
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn transcript(projects: &[PathBuf], id: Uuid) -> io::Result<Transcript> {
    let mut found = Transcript::Missing;
    for project in projects {
        let path = project.join(format!("{id}.jsonl"));
        // The agent can write here: a link must not lead the worker elsewhere.
        match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) if error.kind() == ErrorKind::NotADirectory => continue,
            Err(error) => return Err(error),
            Ok(metadata) if !metadata.is_file() => found = Transcript::Empty,
            Ok(_) if holds_a_message(&path)? => return Ok(Transcript::Usable),
            Ok(_) => found = Transcript::Empty,
        }
    }
    Ok(found)
}

fn holds_a_message(path: &Path) -> io::Result<bool> {
    let mut reader = BufReader::new(File::open(path)?.take(SEARCH_BYTES_MAX));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") && is_message(&line) {
            return Ok(true);
        }
        line.clear();
    }
    // One that is longer than was read is taken for a conversation.
    Ok(path.metadata()?.len() > SEARCH_BYTES_MAX)
}

fn is_message(line: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return false;
    };
    matches!(value["type"].as_str(), Some("user" | "assistant"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "4851f103-9691-43ea-a43a-d15781a20756";
    const QUEUED: &str = "{\"type\":\"queue-operation\",\"operation\":\"enqueue\"}\n";
    const MESSAGE: &str = "{\"type\":\"user\",\"message\":{\"content\":\"hi\"}}\n";

    fn find(transcripts: &[(&str, &str)]) -> Conversation {
        let folder = tempfile::tempdir().expect("a folder");
        let project = folder.path().join("projects/-workspace");
        fs::create_dir_all(&project).expect("a project");
        for (id, text) in transcripts {
            fs::write(project.join(format!("{id}.jsonl")), text).expect("a transcript");
        }
        let session = Uuid::parse_str(ID).expect("a uuid");
        Conversation::find(folder.path(), session).expect("readable")
    }

    #[test]
    fn messages_that_came_into_a_turn_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let project = folder.path().join("projects/-workspace");
        fs::create_dir_all(&project).expect("a project");
        let joined = json!({"type": "queued_command", "source_uuid": "joined"});
        let lines = [
            json!({"type": "user", "message": {"content": "hi"}}),
            json!({"type": "queue-operation", "operation": "remove", "commandUuid": "returned"}),
            json!({"type": "attachment", "attachment": joined, "uuid": "own"}),
            json!({"type": "user", "uuid": "last", "mergedSendUuids": ["first"]}),
        ];
        let lines = lines.map(|line| line.to_string()).join("\n");
        let text = format!("{lines}\n{{\"type\":\"attachment\",\"attachment\":{{\"sou");
        fs::write(project.join(format!("{ID}.jsonl")), text).expect("a transcript");
        let session = Uuid::parse_str(ID).expect("a uuid");
        let mut found: Vec<String> = taken(folder.path(), session).into_iter().collect();
        found.sort_unstable();
        assert_eq!(found, ["first", "joined", "last"]);
        assert!(taken(Path::new("/nonexistent"), session).is_empty());
    }

    #[test]
    fn a_session_without_state_is_started_under_its_own_id() {
        let nowhere = Path::new("/nonexistent");
        let session = Uuid::parse_str(ID).expect("a uuid");
        let conversation = Conversation::find(nowhere, session).expect("nothing to read");
        assert_eq!(conversation.arguments(), ["--session-id", ID]);
    }

    #[test]
    fn a_session_with_a_transcript_is_resumed() {
        assert_eq!(find(&[(ID, &format!("{QUEUED}{MESSAGE}"))]).arguments(), ["--resume", ID]);
        let torn = format!("{MESSAGE}{{\"type\":\"assis");
        assert_eq!(find(&[(ID, &torn)]).arguments(), ["--resume", ID]);
    }

    #[test]
    fn a_transcript_without_a_message_gives_its_id_up_for_the_next() {
        for text in ["", QUEUED, MESSAGE.trim_end()] {
            let next = find(&[(ID, text)]);
            assert!(!next.exists);
            assert_ne!(next.id.to_string(), ID);
            let name = next.id.to_string();
            let again = find(&[(ID, text), (&name, MESSAGE)]);
            assert_eq!(again, Conversation { id: next.id, exists: true });
        }
    }
}
