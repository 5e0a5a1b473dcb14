//! # Commands of the scripted agent
//!
//! **What** Starts a command of a script, gathers what it prints, ends it, and deals with the
//! program's own signals.
//!
//! **Invariants** A command has its own process group and is killed with it. Its output is kept
//! up to [`OUTPUT_BYTES_MAX`]; the rest is read and dropped, so it never stands still.
//!
//! **Failure** Something a command left running in the background may hold its output open; what
//! had come [`OUTPUT_GRACE`] after the command's end counts.
//!
//! **Not here** Whether a command may run (`program` asks the worker).

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::channel::Event;
use crate::agent::record;

const OUTPUT_BYTES_MAX: usize = 64 * 1024;
const OUTPUT_GRACE: Duration = Duration::from_millis(200);

pub struct Running {
    /// The process id, which is its group's too.
    pub id: u32,
}

/// Start the command; its end comes as an event.
pub fn start(command: &str, work_dir: &Path, events: Sender<Event>) -> io::Result<Running> {
    use std::os::unix::process::CommandExt;
    let (output, for_stdout) = io::pipe()?;
    let for_stderr = for_stdout.try_clone()?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).current_dir(work_dir).stdin(Stdio::null());
    let child = shell.stdout(for_stdout).stderr(for_stderr).process_group(0).spawn()?;
    // It holds the writing ends of the pipe.
    drop(shell);
    let id = child.id();
    thread::spawn(move || {
        let (code, output) = finish(child, output);
        // The receiver goes only when the program ends.
        let _ = events.send(Event::CommandEnded { id, code, output });
    });
    Ok(Running { id })
}

impl Running {
    pub fn kill(&self) {
        signal_group("-KILL", &format!("-{}", self.id));
    }
}

fn finish(mut child: Child, mut output: io::PipeReader) -> (Option<i32>, String) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&kept);
    let (done, reading) = channel::<()>();
    thread::spawn(move || {
        let _done = done;
        let mut buffer = [0; 8192];
        while let Ok(bytes @ 1..) = output.read(&mut buffer) {
            let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
            let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
            kept.extend_from_slice(&buffer[..bytes.min(room)]);
        }
    });
    let code = child.wait().ok().and_then(|status| status.code());
    // It returns early, with an error, when the reader is through and drops its end.
    let _ = reading.recv_timeout(OUTPUT_GRACE);
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = String::from_utf8_lossy(&kept).into_owned();
    if kept.len() == OUTPUT_BYTES_MAX {
        text.push_str("\n… (the rest is left out)");
    }
    (code, record::safe(&text))
}

/// Die as a crashed program does.
pub fn die() -> i32 {
    signal_group("-KILL", &std::process::id().to_string());
    // The first process of a namespace cannot kill itself.
    137
}

/// By the shell, whose `kill` needs no library.
fn signal_group(signal: &str, target: &str) {
    let script = "kill \"$1\" -- \"$2\" 2>/dev/null || kill \"$1\" \"$2\"";
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, "sh", signal, target]).stdin(Stdio::null());
    if let Err(error) = shell.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        eprintln!("cannot send a signal: {error}");
    }
}

/// Take SIGTERM, SIGINT and SIGHUP and do nothing with them. A runtime is the only way to them
/// without unsafe code; it is made here, so that only scripts that ask for it pay for it.
pub fn ignore_signals() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let guard = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        // The handler stays for the life of the process, also when the stream is dropped.
        drop(signal(kind)?);
    }
    drop(guard);
    Ok(())
}
