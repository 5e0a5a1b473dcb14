//! Which server a command talks to.
//!
//! **What** The one that was named; else the one that runs on the data directory, found by its
//! note; else, for `hostler run`, one that is started for it.
//!
//! **Failure** A note whose process or server is gone is passed over. A server that was found and
//! went away is looked for again by its note ([`Site::again`]): it may be back on another port,
//! and the server of another `hostler run` ends with that run.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use hostler_wire::client::Client;

use crate::args::Global;
use crate::embedded::{Local, Setup};
use crate::fault::Fault;
use crate::home::{self, Note};

/// A client, and how its server was come by.
pub struct Site {
    pub client: Client,
    origin: Origin,
    token: Option<String>,
    workspace: String,
}

enum Origin {
    Named,
    Found(Note, PathBuf),
    Embedded(Box<Local>),
}

impl Site {
    /// The server that is there.
    pub async fn find(global: &Global) -> anyhow::Result<Site> {
        match Site::running(global).await? {
            Some(site) => Ok(site),
            None => {
                let dir = home::data_dir(global.data_dir.as_deref())?;
                let text = format!(
                    "no server runs on {}; start one with `hostler dev`, or name one with --url \
                     or HOSTLER_URL",
                    dir.display()
                );
                Err(Fault::unavailable(text).into())
            }
        }
    }

    /// The server that is there, or one of our own.
    pub async fn find_or_start(global: &Global) -> anyhow::Result<Site> {
        if let Some(site) = Site::running(global).await? {
            return Ok(site);
        }
        let dir = home::data_dir(global.data_dir.as_deref())?;
        let token = given(&global.token);
        let workspace = global.workspace.clone();
        let local = start(dir, token.clone()).await?;
        let client = local.client(&workspace)?;
        Ok(Site { client, origin: Origin::Embedded(Box::new(local)), token, workspace })
    }

    async fn running(global: &Global) -> anyhow::Result<Option<Site>> {
        let token = given(&global.token);
        let workspace = global.workspace.clone();
        if let Some(url) = given(&global.url) {
            let token = token.or_else(|| token_of(&url, global));
            let client = Client::new(&url, token.as_deref(), &workspace)?;
            return Ok(Some(Site { client, origin: Origin::Named, token, workspace }));
        }
        let dir = home::data_dir(global.data_dir.as_deref())?;
        let Some((client, note)) = noted(&dir, token.as_deref(), &workspace).await? else {
            return Ok(None);
        };
        Ok(Some(Site { client, origin: Origin::Found(note, dir), token, workspace }))
    }

    /// Looks for the server again after it went away; `true` when it is another.
    pub async fn again(&mut self) -> anyhow::Result<bool> {
        let Origin::Found(note, dir) = &self.origin else { return Ok(false) };
        let dir = dir.clone();
        if let Some((client, found)) = noted(&dir, self.token.as_deref(), &self.workspace).await? {
            self.client = client;
            self.origin = Origin::Found(found, dir);
            return Ok(true);
        }
        if !note.embedded {
            // A `hostler dev` was stopped by a person, who may start it again.
            return Ok(false);
        }
        let local = start(dir, self.token.clone()).await?;
        self.client = local.client(&self.workspace)?;
        self.origin = Origin::Embedded(Box::new(local));
        Ok(true)
    }

    /// The server and its worker end with this command.
    pub fn is_embedded(&self) -> bool {
        matches!(self.origin, Origin::Embedded(_))
    }

    /// The server is of this machine and this user: it sees the same folders.
    pub fn is_local(&self) -> bool {
        let host = self.client.base().host_str().unwrap_or_default();
        !matches!(self.origin, Origin::Named) || matches!(host, "localhost" | "127.0.0.1" | "[::1]")
    }

    /// Resolves when a server of our own has ended by itself.
    pub async fn ended(&mut self) -> anyhow::Error {
        match &mut self.origin {
            Origin::Embedded(local) => local.ended().await,
            Origin::Named | Origin::Found(..) => std::future::pending().await,
        }
    }

    /// Ends a server of our own.
    pub async fn close(self) {
        if let Origin::Embedded(local) = self.origin {
            local.stop().await;
        }
    }
}

/// A value that is not blank: an empty variable of the environment names nothing.
pub fn given(value: &Option<String>) -> Option<String> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
}

async fn start(data_dir: PathBuf, token: Option<String>) -> anyhow::Result<Local> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let retention = hostler_server::Retention::default();
    let setup = Setup { listen, data_dir, token, slots: None, retention, embedded: true };
    Local::start(setup).await
}

/// The server of the note, if it answers.
async fn noted(
    dir: &Path,
    token: Option<&str>,
    workspace: &str,
) -> anyhow::Result<Option<(Client, Note)>> {
    let Some(note) = Note::read(dir) else { return Ok(None) };
    // The server's own file goes before the environment, which may be meant for another one.
    let kept = match &note.token_file {
        Some(path) => home::read_token(path)?,
        None => None,
    };
    let client = Client::new(&note.url, kept.as_deref().or(token), workspace)?;
    match client.healthz().await {
        Ok(()) => Ok(Some((client, note))),
        Err(_) => Ok(None),
    }
}

/// The token of a named server that happens to be the one of the data directory.
fn token_of(url: &str, global: &Global) -> Option<String> {
    let dir = home::data_dir(global.data_dir.as_deref()).ok()?;
    let note = Note::read(&dir)?;
    let same = note.url.trim_end_matches('/') == url.trim_end_matches('/');
    let path = note.token_file.filter(|_| same)?;
    home::read_token(&path).ok()?
}
