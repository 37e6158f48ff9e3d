//! Tables: a head line, one line a thing, two blanks between columns, no frames, so that they read
//! well and `grep` and `awk` work on them.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use hawser_api::printable;

use super::text::or_dash;

/// A table that is being filled.
pub(crate) struct Listing {
    table: Table,
    /// Said in place of an empty table.
    empty: &'static str,
}

impl Listing {
    /// A table with these column heads; those that begin with `>` are set to the right.
    pub(crate) fn new(heads: &[&str], empty: &'static str) -> Self {
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(
            heads
                .iter()
                .map(|head| Cell::new(head.trim_start_matches('>'))),
        );
        for (column, head) in table.column_iter_mut().zip(heads) {
            column.set_padding((0, 2));
            if head.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { table, empty }
    }

    /// Adds a line. Cells may hold anything: they are escaped here.
    pub(crate) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        self.table
            .add_row(cells.into_iter().map(|cell| printable(or_dash(cell))));
    }

    /// The table as text with a final line end.
    pub(crate) fn into_text(self) -> String {
        if self.table.is_empty() {
            return format!("{}\n", self.empty);
        }
        self.table
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_cells_are_harmless() {
        let mut listing = Listing::new(&["NAME", ">SIZE", "STATE"], "none");
        listing.row(["a", "1.0 GiB", "ready"]);
        listing.row(["b\x1b[31m\n", "512 B", ""]);
        let expected = "NAME                 SIZE  STATE\n\
                        a                 1.0 GiB  ready\n\
                        b\\u{1b}[31m\\u{a}    512 B  -\n";
        assert_eq!(listing.into_text(), expected);
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(
            Listing::new(&["NAME"], "no disks").into_text(),
            "no disks\n"
        );
    }
}
