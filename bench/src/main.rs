//! # The load of the benchmarks
//!
//! **What** Clients, a worker whose work is nothing, and a server to measure: one process each.
//! `cargo xtask bench` starts them, beside the probe that shows what is reachable, and reads the
//! line that begins with `RESULT`. The shapes of the load are those of the probe's own client.
//!
//! **Not here** Rounds, medians, ratios (`xtask`).
#![forbid(unsafe_code)]

mod accept;
mod claim;
mod client;
mod idle;
mod live;
mod sample;
mod schedules;
mod serve;
mod worker;

use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;

use client::Target;

const USAGE: &str = "usage: hostler-bench COMMAND ADDRESS ... (HOSTLER_TOKEN is the token)
  serve  ADDRESS FOLDER                         a server, until it is killed
  accept ADDRESS SECONDS CLIENTS                durable accepts over HTTP
  fill   ADDRESS TASKS CLIENTS LANE RUNTIME     a fixed number of accepts
  live   ADDRESS TASKS CLIENTS                  accepted to done, with a worker of its own
  idle   ADDRESS SAMPLES                        accept call to the worker having the assignment
  claim  ADDRESS ROUNDS TASKS LANE RUNTIME REFILL  an offer of TASKS to all of them assigned
  schedules ADDRESS COUNT CLIENTS               schedules due in one minute, by lateness
  worker ADDRESS WINDOW UNTIL                   the worker alone; it ends after UNTIL, 0: never
  watch  ADDRESS WINDOW                         the same, and prints each assignment's arrival";

/// The product's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub type Fault = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostler-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Fault> {
    let Some(command) = arguments.first() else { return Err(USAGE.into()) };
    let given = Given(&arguments[1..]);
    let token = std::env::var("HOSTLER_TOKEN").map_err(|_| "HOSTLER_TOKEN is not set")?;
    let target = Target { address: given.at(0)?, token };
    // A server gets what a server gets; a load gets one thread, as the probe's does.
    let threads = if command == "serve" { 2 } else { 1 };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        match command.as_str() {
            "serve" => serve::serve(target, given.at::<String>(1)?.into()).await,
            "accept" => accept::accept(target, given.at(1)?, given.at(2)?).await,
            "fill" => {
                let class = accept::Class { lane: given.at(3)?, runtime: given.at(4)? };
                accept::fill(target, given.at(1)?, given.at(2)?, class).await
            }
            "live" => live::live(target, given.at(1)?, given.at(2)?).await,
            "idle" => idle::idle(target, given.at(1)?).await,
            "claim" => {
                let class = accept::Class { lane: given.at(3)?, runtime: given.at(4)? };
                claim::claim(target, given.at(1)?, given.at(2)?, class, given.at(5)?).await
            }
            "schedules" => schedules::schedules(target, given.at(1)?, given.at(2)?).await,
            "worker" => worker::work(target, given.at(1)?, given.at(2)?, false).await,
            "watch" => worker::work(target, given.at(1)?, 0, true).await,
            _ => Err(USAGE.into()),
        }
    })
}

/// What was given after the command.
struct Given<'a>(&'a [String]);

impl Given<'_> {
    fn at<T: FromStr>(&self, index: usize) -> Result<T, Fault> {
        self.0.get(index).and_then(|text| text.parse().ok()).ok_or_else(|| USAGE.into())
    }
}
