//! The data directory, its token, and the note that lets commands find a running server.
//!
//! **Invariants** The token and the note can be read by their user only, and are written aside and
//! renamed: a reader sees all of a file or none of it.
//!
//! **Failure** A note may be left by a process that was killed: it counts only while its process
//! lives, and whoever uses it asks the server besides (`connect`).

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

const TOKEN: &str = "token";
const NOTE: &str = "dev.json";

/// `given`, else a folder of the user's own.
pub fn data_dir(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = match (given, set("XDG_DATA_HOME").filter(|dir| dir.is_absolute()), set("HOME")) {
        (Some(dir), _, _) => dir.to_owned(),
        (None, Some(data), _) => data.join("hostler"),
        (None, None, Some(home)) => home.join(".local/share/hostler"),
        (None, None, None) => {
            let text = "no data directory: give --data-dir, or set HOSTLER_DATA_DIR or HOME";
            return Err(Fault::usage(text).into());
        }
    };
    std::path::absolute(&dir).with_context(|| format!("the data directory {}", dir.display()))
}

/// Makes the data directory; nobody else may look into one that is made here.
pub fn make(dir: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the data directory {}", dir.display()))
}

pub fn token_file(dir: &Path) -> PathBuf {
    dir.join(TOKEN)
}

/// The token kept in the data directory, made there if there is none.
pub fn token(dir: &Path) -> anyhow::Result<String> {
    let path = token_file(dir);
    if let Some(token) = read_token(&path)? {
        return Ok(token);
    }
    let token = format!("hostler_{}", random()?);
    write_private(&path, &format!("{token}\n"))
        .with_context(|| format!("cannot keep the token in {}", path.display()))?;
    Ok(token)
}

/// A text that nobody guesses and nothing else is named by.
pub fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

pub fn read_token(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Where a server of this data directory listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub url: String,
    pub pid: u32,
    /// `null`: the token came from the environment and is kept nowhere.
    pub token_file: Option<PathBuf>,
    /// The server belongs to a `hostler run` and ends with it.
    #[serde(default)]
    pub embedded: bool,
}

impl Note {
    /// The note of a server whose process lives.
    pub fn read(dir: &Path) -> Option<Note> {
        let text = fs::read_to_string(dir.join(NOTE)).ok()?;
        let note: Note = serde_json::from_str(&text).ok()?;
        // Without /proc only the server itself can tell.
        let lives = !Path::new("/proc/self").exists()
            || Path::new("/proc").join(note.pid.to_string()).exists();
        lives.then_some(note)
    }

    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(NOTE);
        let text = serde_json::to_string_pretty(self)?;
        write_private(&path, &format!("{text}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes the note, unless it is another's by now.
    pub fn remove(&self, dir: &Path) {
        let path = dir.join(NOTE);
        let found = fs::read_to_string(&path).ok();
        let found = found.and_then(|text| serde_json::from_str::<Note>(&text).ok());
        if found.as_ref() == Some(self) {
            // One that stays is noticed by its process.
            let _ = fs::remove_file(path);
        }
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    fs::rename(aside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_token_is_made_once_and_is_its_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = token(folder.path()).unwrap();
        assert_eq!(token(folder.path()).unwrap(), made);
        assert_eq!(made.len(), "hostler_".len() + 48);
        let mode = fs::metadata(token_file(folder.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_note_counts_while_its_process_lives_and_is_removed_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let url = "http://127.0.0.1:1".to_owned();
        let note = Note { url, pid: std::process::id(), token_file: None, embedded: false };
        note.write(folder.path()).unwrap();
        assert_eq!(Note::read(folder.path()).as_ref(), Some(&note));
        let dead = Note { pid: u32::MAX, ..note.clone() };
        dead.remove(folder.path());
        assert_eq!(Note::read(folder.path()), Some(note));
        dead.write(folder.path()).unwrap();
        assert_eq!(Note::read(folder.path()), None);
    }
}
