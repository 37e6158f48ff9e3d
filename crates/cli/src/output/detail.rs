//! One thing in full: a name and a value a line, the values in one column.

use std::fmt::Display;

use hawser_api::printable;

use super::text::or_dash;

/// Lines of names and values that are being filled.
#[derive(Default)]
pub(crate) struct Details {
    lines: Vec<(String, String)>,
}

impl Details {
    /// Adds a line; a dash stands for no value. The value may hold anything: it is escaped here.
    pub(crate) fn line(&mut self, name: impl Into<String>, value: impl Display) {
        let value = value.to_string();
        self.lines.push((name.into(), printable(or_dash(&value))));
    }

    /// Adds a line only if there is a value.
    pub(crate) fn line_if(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.line(name, value);
        }
    }

    /// Adds a line a value, the name only before the first; nothing if there are none.
    pub(crate) fn list<T: Display>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        for (index, value) in values.into_iter().enumerate() {
            self.line(if index == 0 { name } else { "" }, value);
        }
    }

    /// The lines as text with a final line end.
    pub(crate) fn into_text(self) -> String {
        let width = self
            .lines
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or(0)
            + 2;
        self.lines
            .iter()
            .map(|(name, value)| format!("{name:<width$}{value}\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_one_column() {
        let mut details = Details::default();
        details.line("Target", "iqn.a\x07");
        details.line("Alias", "");
        details.line_if("Gone", "");
        details.list("Portals", ["192.0.2.1:3260", "192.0.2.2:3260"]);
        let expected = "Target   iqn.a\\u{7}\n\
                        Alias    -\n\
                        Portals  192.0.2.1:3260\n\
                        \x20        192.0.2.2:3260\n";
        assert_eq!(details.into_text(), expected);
    }
}
