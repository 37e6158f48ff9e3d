//! How the commands are written, as it is printed where one is written wrong.

use super::commands::{ALL, Command, Parameter};
use super::options::{MAPPING_WORDS, POSITIONS};
use super::page::Page;
use super::values::Kind;

/// Columns of a line of usage.
const WIDTH: usize = 78;

/// How words are written, for the end of the whole usage.
const WORDS: &str = "\
Words of a command:
    *                in most places: the default, any, or none
    numbers          decimal, or hexadecimal after 0x; other text counts as 0
    T, F             true, false; * is the default of the command
    SessionId        0xHEX-0xHEX, as LoginTarget and SessionList print it
    LUN              hexadecimal digits without 0x, as ReportTargetMappings prints it
    secrets          text, or two hexadecimal digits a byte after 0x
    Login Flags      0x1 require IPsec, 0x2 further sessions to the target,
                     0x8 other portals of the target, 0x10 and 0x20 RADIUS
    Digests          0 none, 1 CRC32C
    AuthType         0 none, 1 CHAP, 2 mutual CHAP
    Security Flags   0x1 valid, 0x2 IPsec, 0x4 main mode, 0x8 aggressive mode,
                     0x10 PFS, 0x20 transport mode, 0x40 tunnel mode
    Target Flags     0x2 hide until it is discovered, 0x4 merge with what is stored
    Id Type          1 IPv4 address, 2 domain name, 3 name at a domain, 5 IPv6 address
    Target Lun       0x and sixteen hexadecimal digits";

/// The usage of one command.
pub(super) fn of(command: &Command) -> Page {
    let mut page = Page::default();
    let head = format!("iscsicli {}", command.name);
    let indent = " ".repeat(head.len());
    let mut line = head;
    for word in words(command) {
        if line.len() + 1 + word.len() > WIDTH {
            page.line(&line);
            line.clone_from(&indent);
        }
        line.push(' ');
        line.push_str(&word);
    }
    page.line(&line);
    page.line(format!("    {}", command.does));
    page.blank();
    page
}

/// The usage of all commands.
pub(super) fn whole() -> Page {
    let mut page = Page::default();
    page.line("iscsicli [--json] [Command] [words of the command]");
    page.line("    Without a command, commands are read from the standard input.");
    page.blank();
    for command in ALL {
        page.append(&of(command));
    }
    page.line(WORDS);
    page.blank();
    page
}

/// The words of a command, what may be left out in brackets.
fn words(command: &Command) -> Vec<String> {
    let mut words: Vec<String> = command.required.iter().flat_map(parameter).collect();
    for group in command.optional {
        let mut group: Vec<String> = group.iter().flat_map(parameter).collect();
        if let Some(first) = group.first_mut() {
            first.insert(0, '[');
        }
        if let Some(last) = group.last_mut() {
            last.push(']');
        }
        words.extend(group);
    }
    words
}

fn parameter(parameter: &Parameter) -> Vec<String> {
    let named = |name: &&str| format!("<{name}>");
    match parameter.kind {
        Kind::LoginOptions => POSITIONS.iter().map(named).collect(),
        Kind::Mappings => std::iter::once(&parameter.name)
            .chain(&MAPPING_WORDS)
            .map(named)
            .chain(["...".to_owned()])
            .collect(),
        _ => vec![named(&parameter.name)],
    }
}
