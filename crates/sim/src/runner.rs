//! # Running seeds
//!
//! **What** Many worlds, on as many threads as there are processors, each world on one of them.
//! A panic in a world is a violation like another: the engine's own assertion has spoken.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::check::Tally;
use crate::mutant::Mutant;
use crate::world::{Report, World};

/// Far above what a world takes that comes to rest.
const STEPS_MAX: u64 = 60_000;
/// Seeds within which a mutant must be found.
const MUTANT_SEEDS_MAX: u64 = 400;

pub struct Args {
    pub from: u64,
    pub count: u64,
    pub steps: u64,
    pub log: bool,
    pub mutants: bool,
}

impl Args {
    pub fn parse(mut given: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args { from: 1, count: 300, steps: STEPS_MAX, log: false, mutants: false };
        while let Some(name) = given.next() {
            let mut number = || {
                let value = given.next().and_then(|text| text.parse::<u64>().ok());
                value.ok_or_else(|| format!("{name} takes a whole number"))
            };
            match name.as_str() {
                "--seed" => (args.from, args.count) = (number()?, 1),
                "--from" => args.from = number()?,
                "--seeds" => args.count = number()?,
                "--steps" => args.steps = number()?,
                "--log" => args.log = true,
                "--mutants" => args.mutants = true,
                _ => {
                    return Err(format!(
                        "{name} is unknown; allowed: --seed N, --seeds COUNT, --from N, --steps N, \
                         --log, --mutants"
                    ));
                }
            }
        }
        Ok(args)
    }
}

/// One world, with a panic turned into its report.
pub fn run(seed: u64, mutant: Option<Mutant>, steps: u64, keep_log: bool) -> Report {
    let world = || World::new(seed, mutant, steps, keep_log).run();
    catch_unwind(AssertUnwindSafe(world)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or(cause.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Report {
            seed,
            hash: 0,
            steps: 0,
            commands: 0,
            violation: Some(format!("[engine] {text}")),
            lines: Vec::new(),
            tally: Tally::new(),
        }
    })
}

/// Runs seeds and prints what broke; true if nothing did.
pub fn seeds(args: &Args) -> bool {
    let next = AtomicU64::new(args.from);
    let broken: Mutex<BTreeMap<u64, String>> = Mutex::new(BTreeMap::new());
    let total: Mutex<(Tally, u64, u64)> = Mutex::new((Tally::new(), 0, 0));
    let is_full = AtomicBool::new(false);
    let end = args.from + args.count;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_full.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let report = run(seed, None, args.steps, false);
                    let mut total = total.lock().expect("no thread panics here");
                    total.1 += report.steps;
                    total.2 += report.commands;
                    for (name, count) in report.tally {
                        *total.0.entry(name).or_default() += count;
                    }
                    if let Some(violation) = report.violation {
                        let mut broken = broken.lock().expect("no thread panics here");
                        broken.insert(seed, violation);
                        is_full.store(broken.len() >= 20, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("no thread panics here");
    for (seed, violation) in &broken {
        println!("seed {seed}: {violation}");
    }
    let (tally, steps, commands) = total.into_inner().expect("no thread panics here");
    let tally: Vec<String> = tally.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let count = args.count;
    println!("{count} seeds, {commands} commands, {steps} steps, {} broken", broken.len());
    println!("{}", tally.join(", "));
    broken.is_empty()
}

/// Looks for a seed in which the mutant's checker speaks.
pub fn find(mutant: Mutant, from: u64, steps: u64) -> Result<(u64, String), String> {
    for seed in from..from + MUTANT_SEEDS_MAX {
        let Some(violation) = run(seed, Some(mutant), steps, false).violation else { continue };
        let is_expected = |checker: &&str| {
            violation.strip_prefix('[').is_some_and(|rest| rest.starts_with(*checker))
        };
        return match mutant.checkers().iter().any(is_expected) {
            true => Ok((seed, violation)),
            false => Err(format!("seed {seed} broke another checker: {violation}")),
        };
    }
    Err(format!("no checker spoke in {MUTANT_SEEDS_MAX} seeds"))
}

/// Every rule taken away in turn; true if a checker missed each.
pub fn mutants(args: &Args) -> bool {
    let mut passed = true;
    // The engine's assertions are wanted here, their traces are not.
    std::panic::set_hook(Box::new(|_| {}));
    for mutant in Mutant::ALL {
        let name = format!("{mutant:?}");
        match find(*mutant, args.from, args.steps) {
            Ok((seed, violation)) => {
                let seeds = seed - args.from + 1;
                let violation: String = violation.chars().take(100).collect();
                println!("{name:<24} after {seeds:>3} seeds: {violation}");
            }
            Err(text) => {
                passed = false;
                println!("{name:<24} NOT CAUGHT: {text}");
            }
        }
    }
    passed
}

/// Prints the log of one seed; true if nothing broke.
pub fn show(args: &Args) -> bool {
    let report = run(args.from, None, args.steps, true);
    for line in &report.lines {
        println!("{line}");
    }
    match &report.violation {
        Some(violation) => println!("seed {}: {violation}", report.seed),
        None => println!("seed {}: {} steps, hash {:016x}", report.seed, report.steps, report.hash),
    }
    report.violation.is_none()
}
