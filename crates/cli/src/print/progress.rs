//! What is being waited for: a moving line on a terminal, a line for each change elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{cut, dim, err};

const TICK: Duration = Duration::from_millis(120);
/// A line that wraps could not be taken back.
const LETTERS_MAX: usize = 60;

pub struct Progress {
    /// While there is one, and it is not paused.
    bar: Option<ProgressBar>,
    is_moving: bool,
    last: String,
    is_quiet: bool,
}

impl Progress {
    /// It begins paused. `is_quiet`: nothing is shown, as with `--json`.
    pub fn new(is_quiet: bool) -> Progress {
        let is_moving = !is_quiet && std::io::stderr().is_terminal();
        Progress { bar: None, is_moving, last: "connecting".to_owned(), is_quiet }
    }

    /// What is waited for from now on.
    pub fn wait_for(&mut self, what: &str) {
        if !self.is_quiet && self.moves(what) && !self.is_moving {
            err(dim(&format!("… {what}")));
        }
    }

    /// The same where lines that stay say it anyway.
    pub fn phase(&mut self, what: &str) {
        self.moves(what);
    }

    /// Whether it is something else than before.
    fn moves(&mut self, what: &str) -> bool {
        if what == self.last {
            return false;
        }
        self.last = what.to_owned();
        if let Some(bar) = &self.bar {
            bar.reset_elapsed();
            bar.set_message(cut(what, LETTERS_MAX));
        }
        true
    }

    /// Something is printed or asked while the moving line is away.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// The moving line goes, so that something can be typed or printed.
    pub fn pause(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    pub fn resume(&mut self) {
        if !self.is_moving || self.bar.is_some() {
            return;
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(cut(&self.last, LETTERS_MAX));
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.pause();
    }
}
