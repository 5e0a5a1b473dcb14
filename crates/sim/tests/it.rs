//! The simulation as a test: many worlds, the seeds that once broke, the same seed twice, and every
//! mutant. `hostler-sim --seeds 10000` does more of the same.

use hostler_sim::mutant::Mutant;
use hostler_sim::runner;

const STEPS_MAX: u64 = 60_000;

fn assert_sound(seed: u64) {
    let report = runner::run(seed, None, STEPS_MAX, false);
    assert_eq!(report.violation, None, "seed {seed}");
}

#[test]
fn three_hundred_worlds_break_no_checker() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || (first..300).step_by(threads as usize).for_each(assert_sound));
        }
    });
}

#[test]
fn seeds_that_broke_once_break_no_more() {
    for line in include_str!("../seeds.txt").lines() {
        let (seed, _) = line.split_once(' ').expect("a seed and a sentence");
        assert_sound(seed.parse().expect("a seed is a whole number"));
    }
}

#[test]
fn the_same_seed_gives_the_same_log() {
    for seed in [1, 2, 3, 77, 4_711] {
        let one = runner::run(seed, None, STEPS_MAX, true);
        let two = runner::run(seed, None, STEPS_MAX, true);
        let differs = one.lines.iter().zip(&two.lines).find(|(one, two)| one != two);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!((one.hash, one.steps), (two.hash, two.steps), "seed {seed}");
        let silent = runner::run(seed, None, STEPS_MAX, false);
        assert_eq!(silent.hash, one.hash, "seed {seed} when its log is not kept");
    }
}

#[test]
fn worlds_get_to_where_it_is_interesting() {
    let mut tally = hostler_sim::check::Tally::new();
    for seed in 0..120 {
        for (name, count) in runner::run(seed, None, STEPS_MAX, false).tally {
            *tally.entry(name).or_default() += count;
        }
    }
    let wanted = [
        "answered",
        "backfilled",
        "buffered tick fired",
        "collected",
        "degraded",
        "healed",
        "held by a budget",
        "injected",
        "interrupted",
        "kept warm",
        "lost worker",
        "next turn",
        "poisoned",
        "probe",
        "restarted",
        "session busy",
        "steer begins at the end",
        "steer is next turn",
        "steer returned",
        "tick buffered",
        "tick fired",
        "tick missed",
        "withdrawn",
    ];
    let missing: Vec<_> = wanted.iter().filter(|name| !tally.contains_key(**name)).collect();
    assert!(missing.is_empty(), "{missing:?} never came about: {tally:?}");
}

#[test]
fn a_checker_speaks_when_the_rule_that_it_guards_is_removed() {
    let missed: Vec<String> = Mutant::ALL
        .iter()
        .filter_map(|mutant| {
            let found = runner::find(*mutant, 1, STEPS_MAX);
            found.err().map(|text| format!("{mutant:?}: {text}"))
        })
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}
