//! The config's `check`: a command that must pass for the work to count (RUN-2).
//!
//! **What** `/bin/sh -c CHECK` in a sandbox like the agent's, without the model, after the agent's
//! process is gone. Its output goes to the log as chunks of type `check`.
//!
//! **Invariants** It runs only when the work is done: after a turn that ended without an error and
//! asks nothing, in a process that ended well. Its time is working time (RUN-4). A cancel, a stop,
//! the end of the time kill it at once: it has no conversation to be gentle about.
//!
//! **Failure** Any end but exit code 0 is a failed check, told with the end of its output. What
//! keeps it from starting is a failure of the sandbox.
//!
//! **Not here** Whether the agent's policy lets it run commands: the check is the config's own.

use hostler_wire::v1::ended::Cause;
use hostler_wire::v1::execution_event::Event as Reported;
use serde_json::{Map, Value};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};

use super::lines::Lines;
use super::talk::{LAST_OUTPUT, double};
use super::{Control, End, Event, Execution, Stopped, report};
use crate::agent::{Exit, MODEL_SOCKET, Refusal, TEXT_LINE_BYTES_MAX, record};
use crate::sandbox::{Runtime, Sandbox, Spec};

/// How much of the end of its output explains a failure.
const ERROR_BYTES_MAX: usize = 2 * 1024;

/// What the check is run in, if the config has one.
pub(super) fn spec(config: &Map<String, Value>, agent: &Spec) -> Result<Option<Spec>, Refusal> {
    let check = match config.get("check") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(check)) if check.trim().is_empty() => return Ok(None),
        Some(Value::String(check)) if !check.contains('\0') => check,
        Some(_) => {
            let text = "config `check` must be a text: a command for /bin/sh, e.g. `make test`";
            return Err(Refusal(text.to_owned()));
        }
    };
    let name = |text: &str| format!("{text}-check");
    let mut spec = agent.clone();
    spec.id = name(&agent.id);
    spec.argv = ["/bin/sh", "-c", check].map(str::to_owned).to_vec();
    spec.env.retain(|(_, value)| value != MODEL_SOCKET);
    spec.model_socket = None;
    let folder = agent.scratch.file_name().and_then(|folder| folder.to_str()).unwrap_or_default();
    spec.scratch = agent.scratch.with_file_name(name(folder));
    Ok(Some(spec))
}

/// Runs it; `end` is the end of an execution whose check passes.
pub(super) async fn run(
    execution: &mut Execution,
    control: &mut Control,
    runtime: &dyn Runtime,
    spec: Spec,
    mut end: End,
) -> End {
    control.resume();
    let events = std::mem::take(&mut end.events);
    if !events.is_empty() {
        report_before(execution, events).await;
    }
    let memory_bytes = spec.limits.memory_bytes;
    let mut sandbox = match execution.start(control, runtime.start(spec)).await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let failed = || End::new(Cause::SandboxFailed, format!("the check: {error}"));
            return control.end_before_start().unwrap_or_else(failed);
        }
    };
    drop(sandbox.stdin.take());
    let (exit, output) = match watch(execution, control, &mut sandbox).await {
        Ok(watched) => watched,
        Err(error) => {
            sandbox.kill();
            sandbox.wait().await;
            return End::new(Cause::SandboxFailed, format!("the check: pipes: {error}"));
        }
    };
    if let Some(stopped) = control.end_before_start() {
        return stopped;
    }
    let (exit_code, what) = match exit {
        Exit::Code(0) => return end,
        Exit::Code(code) => (Some(code), format!("the check failed with exit code {code}")),
        Exit::Signal(_) if sandbox.out_of_memory() => {
            let limit = memory_bytes >> 20;
            (None, format!("the check was killed: it needed more than its {limit} MiB of memory"))
        }
        Exit::Signal(signal) => (None, format!("the check was killed by signal {signal}")),
    };
    let output = record::tail(output.trim(), ERROR_BYTES_MAX);
    let error = if output.is_empty() { what } else { format!("{what}: {output}") };
    End { exit_code, ..End::new(Cause::CheckFailed, record::safe(&error)) }
}

/// The agent's last word comes before the check, which may take long.
async fn report_before(execution: &Execution, events: Vec<Reported>) {
    let attempt_id = execution.assignment.attempt_id.clone();
    // The driver takes events at any time; if it is gone, the orders say so next.
    let _ = execution.events.send((attempt_id, Event::Report(events))).await;
}

/// To its end, with the end of its output.
async fn watch(
    execution: &mut Execution,
    control: &mut Control,
    sandbox: &mut Sandbox,
) -> std::io::Result<(Exit, String)> {
    // Doubles, since waiting for the exit borrows the sandbox as a whole.
    let mut stdout = Lines::new(double(&sandbox.stdout)?, TEXT_LINE_BYTES_MAX);
    let mut stderr = Lines::new(double(&sandbox.stderr)?, TEXT_LINE_BYTES_MAX);
    let (mut output, mut exit) = (String::new(), None);
    let mut listens = true;
    loop {
        if let Some((exit, at)) = exit {
            let read = stdout.has_ended() && stderr.has_ended();
            if read || Instant::elapsed(&at) >= LAST_OUTPUT {
                return Ok((exit, output));
            }
        } else if control.stopped.is_some() {
            sandbox.kill();
        }
        let spool = execution.spool.clone();
        let (has_exited, has_room) = (exit.is_some(), spool.has_room());
        let work = control.work_deadline().map(|at| execution.clock.instant(at));
        let deadline = exit.map_or(work, |(_, at)| Some(at + LAST_OUTPUT));
        tokio::select! {
            order = execution.orders.recv(), if listens => match order {
                Some(order) => control.note(&order),
                None => {
                    control.stop(Stopped::Lost);
                    listens = false;
                }
            },
            lines = stdout.read(), if reads(&stdout, has_room || has_exited) => {
                log(execution, "stdout", lines, &mut output);
            }
            lines = stderr.read(), if reads(&stderr, has_room || has_exited) => {
                log(execution, "stderr", lines, &mut output);
            }
            ended = sandbox.wait(), if !has_exited => exit = Some((ended, Instant::now())),
            () = spool.moved(), if !has_room => {}
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                if !has_exited {
                    control.stop(Stopped::TimedOut);
                }
            }
        }
    }
}

fn reads(lines: &Lines<pipe::Receiver>, may: bool) -> bool {
    may && !lines.has_ended()
}

fn log(execution: &Execution, stream: &'static str, lines: Vec<String>, output: &mut String) {
    for line in lines {
        output.push_str(record::tail(&line, ERROR_BYTES_MAX));
        output.push('\n');
        if output.len() > 8 * ERROR_BYTES_MAX {
            *output = record::tail(output, ERROR_BYTES_MAX).to_owned();
        }
        execution.spool.push(report::record(record::text(stream, "check", &line)));
    }
}
