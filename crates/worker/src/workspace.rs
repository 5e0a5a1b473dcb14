//! # Folders of an execution
//!
//! **What** Which folders of this machine a sandbox gets (WRK-7): the workspace's own or the one
//! a task offers in its place, and the session's folder for the agent's state.
//!
//! | folder below the data directory | what |
//! |---|---|
//! | `workspaces/<workspace>/` | `/workspace`, shared by the workspace's agents |
//! | `sessions/<workspace>/<session and agent>/` | the agent's state; survives restarts |
//! | `scratch/<attempt>/` | the sandbox's own; gone with it |
//!
//! **Invariants** Names from outside never become path parts: a plain name stands for itself, any
//! other for its hash. The worker never follows a symbolic link that an agent could have made to
//! make a folder. Folders made here are 0700.
//!
//! **Failure** A folder that may not be offered is a [`Refusal`] that says why. The check for
//! links and the making of a folder are two steps: an agent that swaps one in between can get an
//! empty folder made elsewhere, nothing more.
//!
//! **Not here** Mounting (`sandbox`), quotas: the disk of workspaces is the operator's.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::agent::{Refusal, WORKSPACE_DIR};
use crate::config::{Dirs, private_dir};
use crate::sandbox::Workspace;

/// A name longer than this is hashed; file systems take 255 bytes.
const NAME_BYTES_MAX: usize = 100;
/// What begins the names that are hashes.
const HASHED: &str = "h-";

/// Why a folder could not be had.
#[derive(Debug)]
pub enum Error {
    /// Trying again cannot help.
    Refused(Refusal),
    /// The machine's disk said no.
    Io(io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}

fn refused<T>(text: String) -> Result<T, Error> {
    Err(Error::Refused(Refusal(text)))
}

/// How a policy lets the agent reach the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    None,
    Ro,
    Rw,
}

impl Access {
    /// `none`, `ro`, `rw`; anything else gets nothing, which is the safe way to be wrong.
    pub fn parse(text: &str) -> Access {
        match text {
            "rw" => Access::Rw,
            "ro" => Access::Ro,
            _ => Access::None,
        }
    }
}

/// Folders of the machine itself: programs, settings, the sockets of its services.
const SYSTEM_DIRS: [&str; 8] =
    ["/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/usr", "/var/run"];

/// What a sandbox gets as its workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub workspace: Workspace,
    /// A folder inside that exists.
    pub cwd: String,
}

/// The workspaces and sessions kept below a data directory.
#[derive(Clone, Debug)]
pub struct Keeper {
    data_dir: PathBuf,
    dirs: Dirs,
}

impl Keeper {
    /// `data_dir` must exist.
    pub fn new(data_dir: &Path, dirs: Dirs) -> io::Result<Keeper> {
        Ok(Keeper { data_dir: data_dir.canonicalize()?, dirs })
    }

    /// The folder to be `/workspace`: the one offered, or the workspace's own.
    pub fn folder(&self, workspace: &str, offered: Option<&str>) -> Result<PathBuf, Error> {
        match offered {
            Some(dir) => self.offered(dir),
            None => {
                let path = self.data_dir.join("workspaces").join(safe_name(workspace));
                private_dir(&path)?;
                Ok(path)
            }
        }
    }

    /// The session's folder for the state of one agent.
    pub fn state(&self, workspace: &str, session: &str, agent: &str) -> Result<PathBuf, Error> {
        let name = hashed(&[session, agent]);
        let path = self.data_dir.join("sessions").join(safe_name(workspace)).join(name);
        private_dir(&path)?;
        Ok(path)
    }

    /// Makes `cwd`, a path inside, within `folder`. With no access the workspace is empty, and
    /// its top is all there is.
    pub fn room(&self, folder: &Path, cwd: &str, access: Access) -> Result<Room, Error> {
        let workspace = match access {
            Access::None => Workspace::None,
            Access::Ro => Workspace::Ro(folder.to_owned()),
            Access::Rw => Workspace::Rw(folder.to_owned()),
        };
        if access == Access::None {
            let cwd = WORKSPACE_DIR.to_owned();
            return Ok(Room { workspace, cwd });
        }
        self.make(folder, cwd)?;
        Ok(Room { workspace, cwd: cwd.to_owned() })
    }

    fn offered(&self, dir: &str) -> Result<PathBuf, Error> {
        let asked = Path::new(dir);
        if !asked.is_absolute() {
            return refused(format!("the folder `{dir}` is not an absolute path"));
        }
        let path = match asked.canonicalize() {
            Ok(path) if path.is_dir() => path,
            Ok(_) => return refused(format!("{dir} is not a folder")),
            Err(error) => {
                return refused(format!("the folder {dir} cannot be used here: {error}"));
            }
        };
        let allowed = match &self.dirs {
            Dirs::None => false,
            Dirs::Any => true,
            Dirs::Under(roots) => roots
                .iter()
                .filter_map(|root| root.canonicalize().ok())
                .any(|root| path.starts_with(root)),
        };
        if !allowed {
            return refused(format!(
                "this worker does not let tasks use the folder {dir}; its operator can allow it, \
                 or the task can use the workspace's own folder (--no-dir)"
            ));
        }
        let system = SYSTEM_DIRS.iter().any(|root| path.starts_with(root));
        if path == Path::new("/") || system {
            return refused(format!("{} cannot be a workspace", path.display()));
        }
        if path.starts_with(&self.data_dir) {
            return refused(format!("{} belongs to the worker itself", path.display()));
        }
        // Nothing that hides the data inside would hold: an agent can rename the folders above it.
        if self.data_dir.starts_with(&path) {
            return refused(format!(
                "{} holds the worker's own data in {}: offer a folder below it, keep the data \
                 elsewhere (--data-dir), or use the workspace's own folder (--no-dir)",
                path.display(),
                self.data_dir.display()
            ));
        }
        Ok(path)
    }

    /// The worker's data directory within an offered folder is covered by an empty one.
    fn make(&self, folder: &Path, cwd: &str) -> Result<(), Error> {
        let Ok(below) = Path::new(cwd).strip_prefix(WORKSPACE_DIR) else {
            return refused(format!("`{cwd}` is not below {WORKSPACE_DIR}"));
        };
        let mut path = folder.to_owned();
        for part in below.components() {
            let Component::Normal(name) = part else {
                return refused(format!("`{cwd}` must not leave {WORKSPACE_DIR}"));
            };
            path.push(name);
            match path.symlink_metadata() {
                Ok(found) if found.is_dir() => {}
                Ok(_) => {
                    return refused(format!(
                        "`{cwd}` cannot be the agent's folder: {} is there and is no folder",
                        name.display()
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => private_dir(&path)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A name as one part of a path.
fn safe_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    if fits && !name.starts_with(['.', '-']) && !name.starts_with(HASHED) && name.bytes().all(plain)
    {
        return name.to_owned();
    }
    hashed(&[name])
}

fn hashed(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    format!("{HASHED}{}", &hash.as_str()[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_stand_for_themselves() {
        for plain in ["default", "team-7", "A.b_c"] {
            assert_eq!(safe_name(plain), plain);
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for other in ["", ".", "..", "a/b", "../up", "-rf", "h-0123", "é", "a b", "a\0b", &long] {
            let name = safe_name(other);
            assert_eq!(name.len(), HASHED.len() + 32, "{other:?}");
            assert_eq!(name, safe_name(other));
        }
        assert_ne!(hashed(&["ab", "c"]), hashed(&["a", "bc"]));
        assert_ne!(safe_name(""), hashed(&[]));
    }

    #[test]
    fn access_that_is_not_known_is_none() {
        assert_eq!(Access::parse("rw"), Access::Rw);
        assert_eq!(Access::parse("ro"), Access::Ro);
        assert_eq!(["none", "", "RW"].map(Access::parse), [Access::None; 3]);
    }
}
