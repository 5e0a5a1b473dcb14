//! Other programs, started from the root of the workspace.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::root;

/// Cargo, as it was called.
pub fn cargo<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Says what is run, runs it, and says how long it took.
pub fn run(command: Command) -> Result<(), String> {
    run_with(command, Command::status)
}

/// The same, with a way of one's own to run it.
pub fn run_with(
    mut command: Command,
    work: impl FnOnce(&mut Command) -> io::Result<ExitStatus>,
) -> Result<(), String> {
    let text = shown(&command);
    say(&format!("> {text}"));
    let begun = Instant::now();
    let status = work(command.current_dir(root())).map_err(|e| format!("{text}: {e}"))?;
    say(&format!("  {} s", begun.elapsed().as_secs()));
    match status.success() {
        true => Ok(()),
        false => Err(format!("{text}: {status}")),
    }
}

/// Whether a program can be run at all.
pub fn is_there(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

pub fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// To standard output, at once: the output of what is run comes between.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A closed output is no reason to stop.
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// A process of ours: it ends with its owner.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of this machine that nobody listens on.
pub fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|e| format!("no port: {e}"))?;
    listener.local_addr().map_err(|e| format!("no port: {e}"))
}

/// Waits until a server takes connections.
pub fn wait_for(
    process: &mut Running,
    address: SocketAddr,
    patience: Duration,
) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(());
        }
        if let Ok(Some(status)) = process.0.try_wait() {
            return Err(format!("the server ended before it listened: {status}"));
        }
        if begun.elapsed() > patience {
            return Err(format!("nothing listens on {address} after {patience:?}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
