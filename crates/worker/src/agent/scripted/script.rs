//! # Steps of a script
//!
//! **What** The lines of a message as steps of the scripted agent. One step a line, `word: rest`:
//!
//! | step | does |
//! |---|---|
//! | `run: COMMAND` | runs it with `/bin/sh` in the workspace, as a tool call that is logged |
//! | `say: TEXT` | says it; the last text said is the turn's result |
//! | `ask: QUESTION` | ends the turn, later lines are not done; the answer is the next message |
//! | `wait: 2s` | waits (`ms`, `s`, `m`); an interrupt ends it |
//! | `remember: KEY=VALUE` | keeps it for this session, over restarts |
//! | `recall: KEY` | says what is kept |
//! | `usage: in=100 out=20` | reports tokens (`in`, `out`, `cache_read`, `cache_write`) and `usd` |
//! | `fail: TEXT` | ends the turn as an error |
//! | `api-error: STATUS TEXT` | ends it as the model's endpoint failing with that status would |
//! | `exit: N` | ends the process with code N, without a result |
//! | `crash` | dies by SIGKILL, without a result |
//! | `ignore-signals` | from now on ignores SIGTERM, SIGINT and SIGHUP |
//!
//! Words may be in capitals. Blank lines and lines that begin with `#` are skipped. A failing
//! command does not end the turn; the result says how many failed. Lines that are no steps are
//! skipped and said to be, unless the message has no step at all: then it is no script.
//!
//! A message that comes while a turn runs joins it: when the step that runs is over and another
//! remains, its steps are done first (one without steps is repeated as a text). If no step
//! remains, it is a turn of its own. Tokens are reported with the next text or command, and all of
//! them and the money at the end of the turn.
//!
//! **Invariants** Parsing never fails: a step with a bad value says so when it is its turn.
//!
//! **Failure** See above.
//!
//! **Not here** Doing the steps (`program`).

use std::time::Duration;

/// The longest wait of one step; a run has its own time limit.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Run(String),
    Say(String),
    Ask(String),
    Wait(Duration),
    Remember {
        key: String,
        value: String,
    },
    Recall(String),
    Usage(ReportedUsage),
    Fail(String),
    ApiError {
        status: u16,
        text: String,
    },
    Exit(i32),
    Crash,
    IgnoreSignals,
    /// A line that is no step.
    Prose(String),
    /// A step whose value makes no sense, and why.
    Bad(String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ReportedUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub cost_usd: f64,
}

/// The steps of a message; none if it is plain text.
pub fn parse(message: &str) -> Option<Vec<Step>> {
    let lines = message.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let steps: Vec<Step> = lines.map(step).collect();
    steps.iter().any(|step| !matches!(step, Step::Prose(_))).then_some(steps)
}

fn step(line: &str) -> Step {
    let (word, rest) = match line.split_once(':') {
        Some((word, rest)) => (word.trim_end(), Some(rest.trim())),
        None => (line, None),
    };
    let text = rest.unwrap_or_default().to_owned();
    match (word.to_ascii_lowercase().as_str(), rest) {
        ("crash", None | Some("")) => Step::Crash,
        ("ignore-signals", None | Some("")) => Step::IgnoreSignals,
        (_, None) => Step::Prose(line.to_owned()),
        ("run", _) => Step::Run(text),
        ("say", _) => Step::Say(text),
        ("ask", _) => Step::Ask(text),
        ("recall", _) => Step::Recall(text),
        ("fail", _) => Step::Fail(text),
        ("wait", _) => match duration(&text) {
            Some(duration) => Step::Wait(duration),
            None => Step::Bad(format!("wait: `{text}` is not a time such as 500ms, 2s or 1m")),
        },
        ("exit", _) => match text.parse::<u8>() {
            Ok(code) => Step::Exit(i32::from(code)),
            Err(_) => Step::Bad(format!("exit: `{text}` is not a number from 0 to 255")),
        },
        ("remember", _) => match text.split_once('=') {
            Some((key, value)) => {
                Step::Remember { key: key.trim().to_owned(), value: value.trim().to_owned() }
            }
            None => Step::Bad(format!("remember: `{text}` is not KEY=VALUE")),
        },
        ("usage", _) => match usage(&text) {
            Some(usage) => Step::Usage(usage),
            None => Step::Bad(format!("usage: `{text}` is not like in=100 out=20 usd=0.01")),
        },
        ("api-error", _) => {
            let (status, text) = text.split_once(' ').unwrap_or((&text, ""));
            match status.parse() {
                Ok(status @ 400..600) => Step::ApiError { status, text: text.trim().to_owned() },
                _ => Step::Bad(format!("api-error: `{status}` is not a status from 400 to 599")),
            }
        }
        _ => Step::Prose(line.to_owned()),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let number_end = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, unit) = text.split_at(number_end.unwrap_or(text.len()));
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let duration = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
    (duration <= WAIT_MAX).then_some(duration)
}

fn usage(text: &str) -> Option<ReportedUsage> {
    let mut usage = ReportedUsage::default();
    for part in text.split_ascii_whitespace() {
        let (name, value) = part.split_once('=')?;
        match name {
            "in" => usage.input_tokens = value.parse().ok()?,
            "out" => usage.output_tokens = value.parse().ok()?,
            "cache_read" => usage.cache_read_tokens = value.parse().ok()?,
            "cache_write" => usage.cache_write_tokens = value.parse().ok()?,
            "usd" => usage.cost_usd = value.parse().ok().filter(|usd: &f64| *usd >= 0.0)?,
            _ => return None,
        }
    }
    Some(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_read() {
        let steps = parse(
            "# a comment\n\nrun: echo a: b > c\nSAY: hello\nask: sure?\nwait: 2s\nwait: 500ms\n\
             wait: 1.5m\nremember: k = v=w\nrecall: k\nusage: in=100 out=20 usd=0.5\nfail: no\n\
             api-error: 529 busy\nexit: 3\ncrash\nignore-signals\nand: more\n",
        );
        let usage = ReportedUsage {
            input_tokens: 100,
            output_tokens: 20,
            cost_usd: 0.5,
            ..Default::default()
        };
        assert_eq!(
            steps,
            Some(vec![
                Step::Run("echo a: b > c".to_owned()),
                Step::Say("hello".to_owned()),
                Step::Ask("sure?".to_owned()),
                Step::Wait(Duration::from_secs(2)),
                Step::Wait(Duration::from_millis(500)),
                Step::Wait(Duration::from_secs(90)),
                Step::Remember { key: "k".to_owned(), value: "v=w".to_owned() },
                Step::Recall("k".to_owned()),
                Step::Usage(usage),
                Step::Fail("no".to_owned()),
                Step::ApiError { status: 529, text: "busy".to_owned() },
                Step::Exit(3),
                Step::Crash,
                Step::IgnoreSignals,
                Step::Prose("and: more".to_owned()),
            ])
        );
    }

    #[test]
    fn a_message_without_a_step_is_no_script() {
        for message in ["say hello", "please: help", "", "# run: x", "a crash happened", "Crash!"] {
            assert_eq!(parse(message), None, "{message}");
        }
    }

    #[test]
    fn a_bad_value_is_said_and_not_guessed() {
        for line in [
            "wait: soon",
            "wait: 9999m",
            "wait: -1s",
            "exit: 300",
            "exit: x",
            "remember: k",
            "usage: in=x",
            "usage: usd=-1",
            "api-error: 200 ok",
        ] {
            let steps = parse(line).expect("it is a step");
            assert!(matches!(steps[..], [Step::Bad(_)]), "{line}: {steps:?}");
        }
    }
}
