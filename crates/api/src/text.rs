//! Makes text from a target harmless to show on a terminal.

/// `text` with every character that could steer a terminal or turn the reading direction written as an
/// escape such as `\u{1b}`; a backslash is doubled, so that the result is unambiguous.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => shown.push_str("\\\\"),
            steering if is_steering(steering) => shown.extend(steering.escape_unicode()),
            plain => shown.push(plain),
        }
    }
    shown
}

/// Control characters (C0, DEL, C1), line and paragraph separators, zero-width and bidirectional controls.
fn is_steering(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The longest prefix of `text` of at most `limit` bytes, marked with an ellipsis if anything is missing.
pub(crate) fn clipped(text: &str, limit: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub(ELLIPSIS.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ELLIPSIS}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_steers_a_terminal_and_keeps_the_rest() {
        assert_eq!(
            printable("disk\x1b[2J\u{202e}é\\"),
            "disk\\u{1b}[2J\\u{202e}é\\\\"
        );
        assert_eq!(printable("iqn.2026-01.example:a"), "iqn.2026-01.example:a");
    }

    #[test]
    fn clips_on_a_character_boundary() {
        assert_eq!(clipped("abc", 3), "abc");
        assert_eq!(clipped("ééééé", 6), "é…");
    }
}
