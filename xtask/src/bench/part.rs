//! What is measured, one function for each part.

use super::figure::{figure, median};
use super::page::Table;
use super::process::{Programs, Served, Which};
use crate::command::say;

const ACCEPT_SECONDS: u32 = 4;
const LIVE_TASKS: u32 = 20_000;
const IDLE_SAMPLES: &str = "500";
const QUEUED: &str = "100000";
const MEMORY_MIB_MAX: f64 = 100.0;
const SCHEDULES: [u32; 3] = [1_000, 20_000, 100_000];
/// How late the last of each 1 000 may be.
const LATE_MS_MAX: f64 = 100.0;

/// The class of the loads, as the loads name it; and one that no worker of theirs offers.
const MAIN: [&str; 2] = ["main", "gvisor"];
const STUCK: [&str; 2] = ["stuck", "runc"];

/// What one measurement of either program gives: figures in an order that its caller knows.
type Take<'a> = &'a dyn Fn(Which, &Served) -> Result<Vec<f64>, String>;

/// Figures of both, round by round.
struct Rounds {
    hostler: Vec<Vec<f64>>,
    probe: Vec<Vec<f64>>,
}

impl Rounds {
    /// Runs both turn by turn; which one comes first changes with the round.
    fn run(programs: &Programs, count: usize, take: Take<'_>) -> Result<Rounds, String> {
        let mut rounds = Rounds { hostler: Vec::new(), probe: Vec::new() };
        for round in 0..count {
            let mut order = [Which::Probe, Which::Hostler];
            order.rotate_left(round % 2);
            for which in order {
                if which == Which::Probe && !programs.has_probe() {
                    continue;
                }
                let figures = take(which, &programs.serve(which)?)?;
                match which {
                    Which::Hostler => rounds.hostler.push(figures),
                    Which::Probe => rounds.probe.push(figures),
                }
            }
        }
        Ok(rounds)
    }

    fn hostler(&self, index: usize) -> f64 {
        median(self.hostler.iter().map(|figures| figures[index]).collect())
    }

    fn probe(&self, index: usize) -> f64 {
        median(self.probe.iter().map(|figures| figures[index]).collect())
    }

    /// The median of each round's own ratio: what slows the machine slows both.
    fn ratio(&self, index: usize) -> f64 {
        let pairs = self.hostler.iter().zip(&self.probe);
        median(pairs.map(|(hostler, probe)| hostler[index] / probe[index]).collect())
    }
}

fn whole(figure: f64) -> String {
    if figure.is_nan() { "not measured".to_owned() } else { format!("{figure:.0}") }
}

fn ratio(figure: f64) -> String {
    if figure.is_nan() { "not measured".to_owned() } else { format!("{figure:.2}") }
}

fn millis(us: f64) -> String {
    if us.is_nan() { "not measured".to_owned() } else { format!("{:.2}", us / 1_000.0) }
}

fn verdict(met: bool) -> String {
    if met { "yes" } else { "no" }.to_owned()
}

fn figures(output: &str, names: &[&str]) -> Result<Vec<f64>, String> {
    names.iter().map(|name| figure(output, name)).collect()
}

/// Durable accepts over HTTP.
pub fn accept(programs: &Programs, rounds: usize) -> Result<Table, String> {
    let mut table = Table::new(&[
        "clients",
        "who",
        "accepts/s",
        "p50 ms",
        "p99 ms",
        "CPU µs each",
        "ratio",
        "goal",
        "met",
    ]);
    for clients in ["1", "64"] {
        let rounds = Rounds::run(programs, rounds, &|which, server| {
            let command = if which == Which::Probe { "enq" } else { "accept" };
            let before = server.cpu_us()?;
            let output = server.load(command, &[ACCEPT_SECONDS.to_string().as_str(), clients])?;
            let cpu_us = server.cpu_us()? - before;
            let mut figures = figures(&output, &["per_s", "p50_us", "p99_us"])?;
            figures.push(cpu_us / (figures[0] * f64::from(ACCEPT_SECONDS)));
            Ok(figures)
        })?;
        let ratio_now = rounds.ratio(0);
        let row = |who: &str, figure: &dyn Fn(usize) -> f64, rest: [String; 3]| {
            let mut row = vec![clients.to_owned(), who.to_owned(), whole(figure(0))];
            row.extend([millis(figure(1)), millis(figure(2)), whole(figure(3))]);
            row.extend(rest);
            row
        };
        let verdict = [ratio(ratio_now), "0.5".to_owned(), verdict(ratio_now >= 0.5)];
        table.push(row("Hostler", &|index| rounds.hostler(index), verdict));
        table.push(row("probe", &|index| rounds.probe(index), Default::default()));
    }
    Ok(table)
}

/// No-op tasks from 64 clients to a separate worker, accepted to done.
pub fn live(programs: &Programs, rounds: usize) -> Result<Table, String> {
    let rounds = Rounds::run(programs, rounds, &|which, server| {
        let before = server.cpu_us()?;
        let load = || server.load("live", &[LIVE_TASKS.to_string().as_str(), "64"]);
        let per_s = match which {
            Which::Hostler => figure(&load()?, "per_s")?,
            Which::Probe => {
                let _worker = server.beside("worker", &["50", "4", "run"])?;
                figure(&load()?, "e2e_per_s")?
            }
        };
        let cpu_us = server.cpu_us()? - before;
        Ok(vec![per_s, cpu_us / f64::from(LIVE_TASKS)])
    })?;
    let mut table = Table::new(&["who", "tasks/s", "CPU µs each", "ratio", "goal", "met"]);
    let met = verdict(rounds.ratio(0) >= 1.0 / 3.0);
    let figures = |who: &str, per_s: f64, cpu_us: f64, rest: [String; 3]| {
        let mut row = vec![who.to_owned(), whole(per_s), whole(cpu_us)];
        row.extend(rest);
        row
    };
    let rest = [ratio(rounds.ratio(0)), "0.33".to_owned(), met];
    table.push(figures("Hostler", rounds.hostler(0), rounds.hostler(1), rest));
    table.push(figures("probe", rounds.probe(0), rounds.probe(1), Default::default()));
    Ok(table)
}

/// One task at a time: accept call to the worker's having the assignment.
pub fn idle(programs: &Programs, rounds: usize) -> Result<Table, String> {
    let rounds = Rounds::run(programs, rounds, &|which, server| {
        let command = if which == Which::Probe { "lat" } else { "idle" };
        let output = server.load(command, &[IDLE_SAMPLES])?;
        figures(&output, &["p50_us", "p99_us", "ack_p50_us", "ack_p99_us"])
    })?;
    let mut table = Table::new(&["what", "Hostler ms", "probe ms", "ratio", "goal", "met"]);
    let rows = [
        ("start, p50", Some(2.0)),
        ("start, p99", Some(10.0)),
        ("accept answered, p50", None),
        ("accept answered, p99", None),
    ];
    for (index, (what, goal)) in rows.into_iter().enumerate() {
        let hostler = rounds.hostler(index);
        table.push(vec![
            what.to_owned(),
            millis(hostler),
            millis(rounds.probe(index)),
            ratio(rounds.ratio(index)),
            goal.map_or_else(String::new, |goal| format!("under {goal} ms")),
            goal.map_or_else(String::new, |goal| verdict(hostler < goal * 1_000.0)),
        ]);
    }
    Ok(table)
}

/// The server's memory before and after 100 000 accepts, with no worker.
pub fn memory(programs: &Programs, _: usize) -> Result<Table, String> {
    let server = programs.serve(Which::Hostler)?;
    let empty = server.memory_mib("VmRSS")?;
    server.load("fill", &[QUEUED, "64", MAIN[0], MAIN[1]])?;
    let (full, peak) = (server.memory_mib("VmRSS")?, server.memory_mib("VmHWM")?);
    let heap = server.memory_mib("RssAnon")?;
    let mut table = Table::new(&["what", "MiB", "goal", "met"]);
    let goal = format!("under {MEMORY_MIB_MAX} MiB");
    for (what, mib, goal, met) in [
        ("empty", empty, "", String::new()),
        ("100 000 queued", full, goal.as_str(), verdict(full < MEMORY_MIB_MAX)),
        ("of that, heap and stacks", heap, "", String::new()),
        ("highest on the way", peak, "", String::new()),
    ] {
        table.push(vec![what.to_owned(), format!("{mib:.1}"), goal.to_owned(), met]);
    }
    Ok(table)
}

/// Accepts and claims with 100 and with 100 000 queued: two servers at a time, turn by turn.
pub fn backlog(programs: &Programs, rounds: usize) -> Result<Table, String> {
    let small = programs.serve(Which::Hostler)?;
    let same = programs.serve(Which::Hostler)?;
    let other = programs.serve(Which::Hostler)?;
    say("  filling two servers with 100 000 each");
    same.load("fill", &[QUEUED, "64", MAIN[0], MAIN[1]])?;
    other.load("fill", &[QUEUED, "64", STUCK[0], STUCK[1]])?;
    let servers = [(&small, "true"), (&same, "false"), (&other, "true")];
    let mut claims = [const { Vec::new() }; 3];
    let mut accepts = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        for (index, (server, refill)) in servers.iter().enumerate() {
            let output = server.load("claim", &["20", "100", MAIN[0], MAIN[1], refill])?;
            claims[index].push(figure(&output, "p50_us")?);
        }
    }
    // Last: each of these adds to what is queued.
    for _ in 0..rounds {
        for (index, (server, _)) in servers.iter().enumerate() {
            let output = server.load("fill", &["2000", "64", MAIN[0], MAIN[1]])?;
            accepts[index].push(figure(&output, "per_s")?);
        }
    }
    let mut table = Table::new(&["queued", "accepts/s", "ratio", "100 claims, ms", "ratio"]);
    let names = ["100", "100 000 in the same class", "100 000 in a class that cannot start"];
    let paired = |all: &[Vec<f64>; 3], index: usize| {
        median(all[index].iter().zip(&all[0]).map(|(one, base)| one / base).collect())
    };
    for (index, name) in names.into_iter().enumerate() {
        table.push(vec![
            name.to_owned(),
            whole(median(accepts[index].clone())),
            ratio(paired(&accepts, index)),
            millis(median(claims[index].clone())),
            ratio(paired(&claims, index)),
        ]);
    }
    Ok(table)
}

/// Schedules that are due in the same minute, each with a class of its own: one server for each
/// count. The probe has none.
pub fn schedules(programs: &Programs, _: usize) -> Result<Table, String> {
    let mut table = Table::new(&[
        "due at once",
        "fired/s",
        "half by, ms",
        "all by, ms",
        "all by, ms for each 1 000",
        "goal",
        "met",
        "accept p50 ms meanwhile",
        "p99 ms",
    ]);
    for count in SCHEDULES {
        let server = programs.serve(Which::Hostler)?;
        let output = server.load("schedules", &[&count.to_string(), "64"])?;
        let late_ms = figure(&output, "late_max_ms")?;
        let per_1000 = late_ms * 1_000.0 / f64::from(count);
        table.push(vec![
            count.to_string(),
            whole(figure(&output, "per_s")?),
            whole(figure(&output, "late_p50_ms")?),
            whole(late_ms),
            whole(per_1000),
            format!("{LATE_MS_MAX}"),
            verdict(per_1000 <= LATE_MS_MAX),
            millis(figure(&output, "accept_p50_us")?),
            millis(figure(&output, "accept_p99_us")?),
        ]);
    }
    Ok(table)
}
