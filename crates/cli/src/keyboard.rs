//! Asking the person at the terminal, and Ctrl-C.
//!
//! **Invariants** One thread reads the keyboard, from the first question on. A line that was typed
//! before a question is not its answer. The terminal stays in its usual mode, so that Ctrl-C
//! reaches the program while it asks.

use std::io::{BufRead, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::print;

/// Lines that were typed ahead: they are thrown away anyway.
const LINES: usize = 16;

#[derive(Default)]
pub struct Keyboard {
    lines: Option<mpsc::Receiver<String>>,
}

impl Keyboard {
    /// Somebody is there who sees a question and can answer it.
    pub fn is_there() -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// The answer, without blanks around it; `None` at the end of the input.
    pub async fn ask(&mut self, question: &str) -> Option<String> {
        let lines = self.lines.get_or_insert_with(start);
        while lines.try_recv().is_ok() {}
        print::err_part(question);
        lines.recv().await.map(|line| line.trim().to_owned())
    }
}

fn start() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// SIGINT and SIGTERM.
pub struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C: a person may be asked what it means.
    Interrupt,
    Terminate,
}

impl Stops {
    pub fn listen() -> std::io::Result<Stops> {
        Ok(Stops {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}
