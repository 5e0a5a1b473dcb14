//! The house's own tasks: `cargo xtask <task>`.

mod codegen;
mod proto_hash;

use std::process::ExitCode;

const TASKS: &str = "codegen";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let done = match task.as_str() {
        "codegen" => codegen::run(),
        other => Err(format!("unknown task {other:?}; tasks: {TASKS}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
