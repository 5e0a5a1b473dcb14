//! # The command `hostler`
//!
//! **What** One binary: server, worker, and the command line of both. Reading order: [`args`] (what
//! can be said), [`connect`] (which server), [`cmd`] (one file per noun), [`transcript`] and
//! [`print`] (what people see), [`fault`] (how a command ends).
//!
//! **Invariants** With `--json` standard output carries JSON documents and nothing else. Whatever
//! came from outside is printed with its control characters made visible: an agent cannot drive
//! the terminal. Exit codes are those of `wire::status`.
//!
//! **Failure** Every error ends in [`fault::report`]: one line on standard error, or a problem in
//! JSON.
//!
//! **Not here** Rules and storage (`server`), executions (`worker`), shapes of JSON (`wire`).
#![forbid(unsafe_code)]

mod args;
mod choose;
mod cmd;
mod connect;
mod embedded;
mod fault;
mod find;
mod follow;
mod home;
mod keyboard;
mod log;
mod print;
mod transcript;

use std::process::ExitCode;

use clap::Parser;
use hostler_wire::status::Exit;
use hostler_worker::agent::scripted;
use hostler_worker::sandbox;

use args::Cli;

/// The engine's rows are many small allocations, made on one thread and freed on others.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let word = arguments.next();
    // Beside each worker, as small as it can be.
    if word.as_ref().is_some_and(|word| word == sandbox::GUARDIAN) {
        return ExitCode::from(u8::try_from(sandbox::main_guardian()).unwrap_or(1));
    }
    // The program inside the sandbox of a scripted agent: it starts in milliseconds, without any
    // of what follows.
    if word.is_some_and(|word| word == scripted::SUBCOMMAND) {
        let arguments = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
        let code = scripted::main_scripted(arguments);
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    // The only failure is that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let json = cli.global.json;
    match start(cli) {
        Ok(exit) => exit.into(),
        Err(error) => fault::report(&error, json).into(),
    }
}

fn start(cli: Cli) -> anyhow::Result<Exit> {
    log::start(cli.command.is_service(), cli.global.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(cmd::carry_out(cli));
    // A thread that still reads the keyboard must not hold up the end.
    runtime.shutdown_background();
    ended
}
