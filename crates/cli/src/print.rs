//! What people see: lines, colours, tables, progress.
//!
//! **Invariants** Colours go to terminals only, and not where NO_COLOR forbids them. Text from
//! outside passes [`clean`] before it is printed.
//!
//! **Failure** A reader that went away (`| head`) ends the command quietly.

mod age;
mod card;
mod progress;
mod table;

use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write};

use anstyle::{AnsiColor, Style};
use hostler_wire::status::Exit;
use serde::Serialize;

pub use age::{age, span};
pub use card::Card;
pub use progress::Progress;
pub use table::{Table, short};

/// One line to standard output.
pub fn out(line: impl Display) {
    written(writeln!(anstream::stdout(), "{line}"));
}

/// A text to standard output as it is.
pub fn out_raw(text: &[u8]) {
    written(std::io::stdout().write_all(text));
}

/// One line to standard error.
pub fn err(line: impl Display) {
    // Standard error gone: there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// A question: the answer is typed behind it.
pub fn err_part(text: impl Display) {
    let mut stream = anstream::stderr();
    let _ = write!(stream, "{text}").and_then(|()| stream.flush());
}

/// A document of the contract, on one line.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(value)?;
    let mut stream = std::io::stdout().lock();
    written(writeln!(stream, "{text}").and_then(|()| stream.flush()));
    Ok(())
}

fn written(result: std::io::Result<()>) {
    match result.map_err(|error| error.kind()) {
        Ok(()) => {}
        // Whoever read has seen enough, as with `head`.
        Err(ErrorKind::BrokenPipe) => std::process::exit(0),
        // What was to be said is lost, and nobody must take that for a success.
        Err(kind) => {
            let _ = writeln!(std::io::stderr(), "error: the output cannot be written: {kind}");
            std::process::exit(i32::from(Exit::Unavailable.number()));
        }
    }
}

/// Text from outside, with everything that a terminal would obey, or that would change the order
/// of what is read, made visible. Newlines and tabs stay.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => cleaned.push(letter),
            letter if is_hostile(letter) => {
                let _ = write!(cleaned, "{}", letter.escape_unicode());
            }
            letter => cleaned.push(letter),
        }
    }
    cleaned
}

/// The same on one line.
pub fn clean_line(text: &str) -> String {
    clean(&text.replace(['\n', '\t'], " "))
}

fn is_hostile(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            // Marks of direction, and line ends that terminals disagree about.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}'
            // Letters that nobody sees.
            | '\u{e0000}'..='\u{e007f}')
}

/// At most so many letters of a line.
pub fn cut(text: &str, letters_max: usize) -> String {
    if text.chars().count() <= letters_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(letters_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

pub fn dim(text: &str) -> String {
    styled(Style::new().dimmed(), text)
}

pub fn bold(text: &str) -> String {
    styled(Style::new().bold(), text)
}

pub fn red(text: &str) -> String {
    styled(AnsiColor::Red.on_default().bold(), text)
}

pub fn green(text: &str) -> String {
    styled(AnsiColor::Green.on_default(), text)
}

pub fn yellow(text: &str) -> String {
    styled(AnsiColor::Yellow.on_default(), text)
}

pub fn cyan(text: &str) -> String {
    styled(AnsiColor::Cyan.on_default(), text)
}

/// Each line by itself, so that a cut text ends its colour.
fn styled(style: Style, text: &str) -> String {
    let lines: Vec<String> =
        text.split('\n').map(|line| format!("{style}{line}{style:#}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_made_visible() {
        let hostile = "a\x1b[2Jb\rc\x07\u{9b}31m\u{202e}d\n\te\x7fä";
        let shown = "a\\u{1b}[2Jb\\u{d}c\\u{7}\\u{9b}31m\\u{202e}d\n\te\\u{7f}ä";
        assert_eq!(clean(hostile), shown);
        assert_eq!(clean_line("a\nb"), "a b");
    }

    #[test]
    fn a_cut_text_says_that_it_is_cut() {
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("grün ist", 6), "grün…");
    }
}
