//! # The command line of the simulation
//!
//! `hostler-sim [--seeds COUNT] [--from N] [--seed N] [--steps N] [--log] [--mutants]`

use std::process::ExitCode;

use hostler_sim::runner::{self, Args};

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let passed = if args.mutants {
        runner::mutants(&args)
    } else if args.log {
        runner::show(&args)
    } else {
        runner::seeds(&args)
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
