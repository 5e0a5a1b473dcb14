//! `hostler doctor`: what works here, what is missing, and how to get it.
//!
//! **Invariants** Credentials are looked for, never shown. Failures of a runtime are told in the
//! system's own words. It ends with 0 when something can run.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use hostler_wire::status::Exit;
use hostler_worker::{agent, sandbox};
use serde::Serialize;

use crate::args::Global;
use crate::connect::{Site, given};
use crate::home::{self, Note};
use crate::print::{self, bold, clean, dim, green, red, yellow};

/// The port that `hostler dev` takes without another.
const PORT: u16 = 7700;
/// Shorter tokens could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// What was found out.
#[derive(Debug, Serialize)]
struct Report {
    /// Something can run here.
    ok: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    group: &'static str,
    name: String,
    state: State,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// It works with less.
    Warning,
    /// It is not there; others may do.
    Missing,
    /// Nothing works without it.
    Error,
}

pub async fn doctor(global: &Global) -> anyhow::Result<Exit> {
    let mut checks = tokio::task::spawn_blocking(runtimes).await?;
    let has_runtime = checks.iter().any(|check| check.group == "sandbox" && works(check));
    checks.extend(tokio::task::spawn_blocking(runners).await?);
    let has_runner = checks.iter().any(|check| check.group == "agent" && works(check));
    checks.push(data_dir(global));
    checks.extend(server(global).await);
    let has_error = checks.iter().any(|check| check.state == State::Error);
    let report = Report { ok: has_runtime && has_runner && !has_error, checks };
    match global.json {
        true => print::json(&report)?,
        false => show(&report),
    }
    Ok(if report.ok { Exit::Ok } else { Exit::Unavailable })
}

fn works(check: &Check) -> bool {
    matches!(check.state, State::Ok | State::Warning)
}

fn check(group: &'static str, name: &str, state: State, detail: String) -> Check {
    Check { group, name: name.to_owned(), state, detail }
}

fn runtimes() -> Vec<Check> {
    let mut checks = Vec::new();
    let mut limits = None;
    for runtime in sandbox::runtimes() {
        let probe = runtime.probe();
        let (state, detail) = match (probe.available, probe.seccomp) {
            (true, true) => (State::Ok, probe.detail),
            (true, false) => (State::Warning, format!("{}; without seccomp", probe.detail)),
            (false, _) => (State::Missing, probe.detail),
        };
        checks.push(check("sandbox", probe.runtime, state, detail));
        limits = Some(probe.limits);
    }
    // Words of the host, the same for every runtime.
    if let Some(limits) = limits {
        let state = if limits.contains("not enforced") { State::Warning } else { State::Ok };
        checks.push(check("limits", "cgroups", state, limits));
    }
    checks
}

fn runners() -> Vec<Check> {
    let look = |agent: std::sync::Arc<dyn agent::Agent>| match agent.probe() {
        Ok(found) => check("agent", agent.runner(), State::Ok, found),
        Err(refusal) => check("agent", agent.runner(), State::Missing, refusal.0),
    };
    agent::agents().into_iter().map(look).collect()
}

fn data_dir(global: &Global) -> Check {
    let found = home::data_dir(global.data_dir.as_deref()).and_then(|dir| {
        home::make(&dir)?;
        writable(&dir)?;
        Ok(dir)
    });
    match found {
        Ok(dir) => check("data", "directory", State::Ok, dir.display().to_string()),
        Err(error) => check("data", "directory", State::Error, format!("{error:#}")),
    }
}

fn writable(dir: &Path) -> anyhow::Result<()> {
    let probe = dir.join(format!("doctor-{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    Ok(std::fs::remove_file(probe)?)
}

async fn server(global: &Global) -> Vec<Check> {
    let mut checks = Vec::new();
    let named = given(&global.url);
    let note = home::data_dir(global.data_dir.as_deref()).ok().and_then(|dir| Note::read(&dir));
    if named.is_none() && note.is_none() {
        checks.push(port());
        let text = "none runs on this data directory: `hostler dev`, or `hostler run` for once";
        checks.push(check("server", "running", State::Missing, text.to_owned()));
        return checks;
    }
    let url = named.or_else(|| note.map(|note| note.url)).unwrap_or_default();
    let asked = async {
        let site = Site::find(global).await?;
        site.client.healthz().await?;
        anyhow::Ok(site)
    };
    let site = match asked.await {
        Ok(site) => site,
        Err(error) => {
            checks.push(check("server", "running", State::Warning, format!("{error:#}")));
            return checks;
        }
    };
    checks.push(check("server", "running", State::Ok, url));
    checks.push(match site.client.list_workers().await {
        Ok(list) => {
            let count = list.workers.len();
            let state = if count == 0 { State::Warning } else { State::Ok };
            check("server", "token", state, format!("accepted; {count} workers are known"))
        }
        Err(error) => check("server", "token", State::Warning, error.to_string()),
    });
    if given(&global.token).is_some_and(|token| token.len() < TOKEN_BYTES_MIN) {
        let text = "HOSTLER_TOKEN is short enough to be guessed".to_owned();
        checks.push(check("server", "token", State::Warning, text));
    }
    checks
}

fn port() -> Check {
    match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))) {
        Ok(_) => check("server", "port", State::Ok, format!("{PORT} is free")),
        Err(error) => {
            let text = format!("{PORT}: {error}; `hostler dev --listen 127.0.0.1:0` takes another");
            check("server", "port", State::Warning, text)
        }
    }
}

fn show(report: &Report) {
    let mut group = "";
    for check in &report.checks {
        if check.group != group {
            group = check.group;
            print::out(bold(group));
        }
        let mark = match check.state {
            State::Ok => green("ok     "),
            State::Warning => yellow("warning"),
            State::Missing => dim("missing"),
            State::Error => red("error  "),
        };
        let detail = clean(&check.detail).replace('\n', "\n              ");
        print::out(format!("  {mark}  {}  {detail}", clean(&check.name)));
    }
    print::out(match report.ok {
        true => green("agents can run here"),
        false => red("nothing can run here yet: see what is missing above"),
    });
}
