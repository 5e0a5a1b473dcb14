//! The model's door for one execution: upstream and credential come from the worker's own
//! environment and stay on this side of the socket (WRK-4).

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::private_dir;
use crate::proxy::{Credential, ModelProxy, Upstream};

const UPSTREAM: &str = "https://api.anthropic.com";
/// What the system takes as a socket's path.
const PATH_BYTES_MAX: usize = 107;

/// A proxy that listens; dropping it closes it and removes its folder.
#[derive(Debug)]
pub(super) struct Model {
    proxy: Option<ModelProxy>,
    folder: PathBuf,
}

pub(super) fn start(socket: &Path) -> io::Result<Model> {
    if socket.as_os_str().len() > PATH_BYTES_MAX {
        let text = format!(
            "{}: a socket's path has at most {PATH_BYTES_MAX} bytes; use a data directory with a \
             shorter path",
            socket.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let folder = socket.parent().unwrap_or(Path::new("/")).to_owned();
    private_dir(&folder)?;
    let proxy = ModelProxy::start(upstream(), socket.to_owned())?;
    Ok(Model { proxy: Some(proxy), folder })
}

/// The socket of an execution: a folder of its own, with a short name.
pub(super) fn socket(model_dir: &Path, attempt_id: &str) -> PathBuf {
    let name = blake3::hash(attempt_id.as_bytes()).to_hex();
    model_dir.join(&name.as_str()[..12]).join("model.sock")
}

fn upstream() -> Upstream {
    let set = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let header = |name: &str, value: String| Credential::Header { name: name.to_owned(), value };
    let credential = match (set("ANTHROPIC_API_KEY"), set("ANTHROPIC_AUTH_TOKEN")) {
        (Some(key), _) => header("x-api-key", key),
        (None, Some(token)) => header("authorization", format!("Bearer {token}")),
        (None, None) => Credential::None,
    };
    Upstream { base_url: set("ANTHROPIC_BASE_URL").unwrap_or(UPSTREAM.to_owned()), credential }
}

impl Drop for Model {
    fn drop(&mut self) {
        drop(self.proxy.take());
        // What is left behind is removed at the worker's next start.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
