//! A line of the interactive mode, taken apart as a command line of Windows is.

/// The words of a line. Blanks part them, except between double quotes; `\"` is a quote itself.
pub(super) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&'"') => {
                characters.next();
                word.get_or_insert_default().push('"');
            }
            '"' => {
                quoted = !quoted;
                // Two quotes are an empty word.
                word.get_or_insert_default();
            }
            ' ' | '\t' | '\r' | '\n' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_by_blanks_outside_quotes() {
        let cases: [(&str, &[&str]); 7] = [
            ("", &[]),
            (" \t\r", &[]),
            ("ListTargets T", &["ListTargets", "T"]),
            ("a \"b c\" d", &["a", "b c", "d"]),
            ("a \"\" b", &["a", "", "b"]),
            ("a\"b c\"d", &["ab cd"]),
            ("Root\\ISCSI\\0 \\\"x", &["Root\\ISCSI\\0", "\"x"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line), words, "{line:?}");
        }
    }
}
