//! JSON that a terminal can be shown: characters that could steer it are written as `\uXXXX`, which a
//! JSON reader turns back into the same text.

use std::io;

use hawser_api::printable;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// `value` as indented JSON with a final line end.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let formatter = Harmless(PrettyFormatter::new());
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter));
    // Our own types are maps with text keys, and memory takes every byte.
    debug_assert!(written.is_ok(), "{written:?}");
    bytes.push(b'\n');
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `value` as JSON on one line, without a line end.
pub(crate) fn to_json_line(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let formatter = Harmless(serde_json::ser::CompactFormatter);
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter));
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A formatter that escapes more than JSON asks for.
struct Harmless<F>(F);

/// Passes the calls that lay JSON out to the formatter inside.
macro_rules! pass_on {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(
            fn $name<W: ?Sized + io::Write>(
                &mut self,
                writer: &mut W,
                $($argument: $kind),*
            ) -> io::Result<()> {
                self.0.$name(writer, $($argument),*)
            }
        )*
    };
}

impl<F: Formatter> Formatter for Harmless<F> {
    pass_on! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        for character in fragment.chars() {
            if is_harmless(character) {
                write!(writer, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a terminal shows the character and does nothing else.
fn is_harmless(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    let mut text = [0; 4];
    let text = character.encode_utf8(&mut text);
    printable(text) == *text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_read_back_the_same() {
        let hostile = "a\u{7f}b\u{9b}2Jc\u{202e}d\\\"\u{1b}é\u{1f600}";
        for json in [to_json(&hostile), to_json_line(&hostile)] {
            let inner = json.trim_end();
            assert!(
                !inner.contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{inner:?}"
            );
            assert!(
                inner.contains("\\u009b2J") && inner.contains('é'),
                "{inner}"
            );
            assert_eq!(
                serde_json::from_str::<String>(&json).expect("is JSON"),
                hostile
            );
        }
    }

    #[test]
    fn layout_is_that_of_serde() {
        #[derive(Serialize)]
        struct Thing {
            b: u8,
            a: Vec<u8>,
        }
        let thing = Thing {
            b: 1,
            a: vec![2, 3],
        };
        assert_eq!(to_json_line(&thing), r#"{"b":1,"a":[2,3]}"#);
        assert_eq!(to_json(&[0u8; 0]), "[]\n");
        let pretty = serde_json::to_string_pretty(&thing).expect("is JSON");
        assert_eq!(to_json(&thing), format!("{pretty}\n"));
    }
}
