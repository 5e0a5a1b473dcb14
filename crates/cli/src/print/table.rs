//! Lists as tables without lines: rows that can be read and cut by other programs.

use comfy_table::{ContentArrangement, presets};

use super::{clean_line, out};

pub struct Table {
    inner: comfy_table::Table,
    what: &'static str,
    row_count: usize,
}

impl Table {
    /// `what` is said when there are no rows.
    pub fn new(what: &'static str, header: &[&str]) -> Table {
        let mut inner = comfy_table::Table::new();
        inner.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        inner.set_header(header.iter().map(|name| name.to_uppercase()));
        Table { inner, what, row_count: 0 }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| clean_line(&cell)).collect();
        self.inner.add_row(cells);
        self.row_count += 1;
    }

    /// Prints it, and how to see more.
    pub fn print(mut self, next_cursor: Option<&str>) {
        if self.row_count == 0 {
            super::err(format!("no {}", self.what));
            return;
        }
        // The first column begins at the margin.
        if let Some(column) = self.inner.column_mut(0) {
            column.set_padding((0, 1));
        }
        for line in self.inner.lines() {
            out(line.trim_end());
        }
        if let Some(cursor) = next_cursor {
            super::err(super::dim(&format!("more: --cursor {}", clean_line(cursor))));
        }
    }
}

/// The end of an id: enough to name it, and not the part that its neighbours share.
pub fn short(id: impl ToString) -> String {
    let id = id.to_string();
    id.rsplit('-').next().unwrap_or_default().to_owned()
}
