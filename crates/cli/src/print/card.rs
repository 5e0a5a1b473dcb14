//! One thing, with a line for each of its facts.

use super::{clean, dim, out};

#[derive(Default)]
pub struct Card {
    lines: Vec<(&'static str, String)>,
}

impl Card {
    pub fn line(&mut self, name: &'static str, value: impl ToString) -> &mut Card {
        self.lines.push((name, value.to_string()));
        self
    }

    /// Left out when there is none.
    pub fn maybe(&mut self, name: &'static str, value: Option<impl ToString>) -> &mut Card {
        if let Some(value) = value {
            self.line(name, value);
        }
        self
    }

    pub fn print(&self) {
        let width = self.lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.lines {
            // Further lines of a value stand under its first.
            let indent = format!("\n{:width$}  ", "");
            let value = clean(value.trim_end()).replace('\n', &indent);
            out(format!("{}  {value}", dim(&format!("{name:width$}"))));
        }
    }
}
