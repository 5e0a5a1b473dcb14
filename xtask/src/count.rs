//! Runs tests, lets their output through, and counts what passed.

use std::io::{BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::{fmt, thread};

use crate::command::{run_with, say};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Runs them all; `total` grows by what was counted, also when some failed.
pub fn run(command: Command, total: &mut Count) -> Result<(), String> {
    run_with(command, |command| {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let errors = child.stderr.take().map(|errors| thread::spawn(move || pass(errors)));
        let mut count = child.stdout.take().map(pass).unwrap_or_default();
        if let Some(errors) = errors {
            count += errors.join().unwrap_or_default();
        }
        *total += count;
        child.wait()
    })
}

/// Lets lines through and counts what they tell.
fn pass(output: impl Read) -> Count {
    let mut count = Count::default();
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        say(&text);
        count += told(&text);
    }
    count
}

/// What one line tells: nextest's summary, or the result of one program of `cargo test`.
fn told(line: &str) -> Count {
    let is_summary = line.trim_start().starts_with("Summary [") && line.contains(" run: ");
    if !is_summary && !line.starts_with("test result: ") {
        return Count::default();
    }
    let words: Vec<&str> = line.split(|char: char| " ,;()".contains(char)).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let before = |name: &str| {
        let index = words.iter().position(|word| *word == name)?;
        words.get(index.checked_sub(1)?)?.parse().ok()
    };
    let timed_out: u64 = before("timed").unwrap_or(0);
    Count {
        passed: before("passed").unwrap_or(0),
        failed: before("failed").unwrap_or(0) + timed_out,
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, told};

    #[test]
    fn both_runners_are_read() {
        let line = "     Summary [   1.200s] 31 tests run: 29 passed (1 slow), 2 failed, 0 skipped";
        assert_eq!(told(line), Count { passed: 29, failed: 2 });
        let line = "test result: ok. 16 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(told(line), Count { passed: 16, failed: 0 });
        assert_eq!(told("it passed"), Count::default());
    }
}
