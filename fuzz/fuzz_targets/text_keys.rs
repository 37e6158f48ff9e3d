//! Any bytes as negotiation text: reading never breaks, and what was read can be written and read again.
#![no_main]

use hawser_proto::names::{IscsiName, Portal, TargetAddress};
use hawser_proto::text::{
    self, Assembly, KeyForm, Offer, Outcome, PairWriter, format_base64, format_hex, parse_binary,
    parse_boolean, parse_number,
};
use libfuzzer_sys::fuzz_target;

/// Pairs that one text may hold here.
const PAIRS_MAX: usize = 64;
/// Bytes of a text, and of a binary value.
const BYTES_MAX: usize = 8192;

fuzz_target!(|data: &[u8]| {
    let Some((cut, bytes)) = data.split_first() else {
        return;
    };
    assembly(usize::from(*cut), bytes);
    let Ok(found) = text::pairs(bytes, PAIRS_MAX) else {
        return;
    };
    let mut writer = PairWriter::new();
    for pair in &found {
        writer.push(pair.key, pair.value);
        values(pair.value);
        negotiate(pair.key, pair.value);
    }
    let written = writer.into_bytes();
    assert_eq!(text::pairs(&written, PAIRS_MAX).as_ref(), Ok(&found));
});

/// A text in two segments is the text in one.
fn assembly(cut: usize, bytes: &[u8]) {
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    let mut parts = Assembly::new(BYTES_MAX);
    if parts.push(first, true).is_err() {
        return;
    }
    if let Ok(whole) = parts.push(second, false) {
        assert_eq!(whole.as_deref(), Some(bytes));
        assert!(bytes.len() <= BYTES_MAX);
    }
}

fn values(value: &str) {
    let _ = parse_number(value);
    let _ = parse_boolean(value);
    if let Ok(bytes) = parse_binary(value, BYTES_MAX) {
        assert_eq!(
            parse_binary(&format_hex(&bytes), BYTES_MAX).as_ref(),
            Ok(&bytes)
        );
        assert_eq!(
            parse_binary(&format_base64(&bytes), BYTES_MAX).as_ref(),
            Ok(&bytes)
        );
    }
    if let Ok(name) = IscsiName::parse(value) {
        let again = IscsiName::parse(name.as_str()).expect("a normalised name is a name");
        assert_eq!(again.as_str(), name.as_str());
    }
    if let Ok(portal) = value.parse::<Portal>() {
        assert_eq!(portal.to_string().parse::<Portal>(), Ok(portal));
    }
    if let Ok(address) = value.parse::<TargetAddress>() {
        assert_eq!(address.to_string().parse::<TargetAddress>(), Ok(address));
    }
}

/// The value as the peer's proposal, and as the peer's answer to ours. An answer that we give must pass
/// the verdict that we would give on it in the peer's place.
fn negotiate(key: &str, value: &str) {
    let Some(key) = text::lookup(key) else {
        return;
    };
    let spec = text::spec(key);
    let ours = match spec.form {
        KeyForm::Minimum { min, max } | KeyForm::Maximum { min, max } => {
            Offer::Number(8192.clamp(min, max))
        }
        KeyForm::Or | KeyForm::And => Offer::Boolean(true),
        _ => Offer::List(&["CRC32C", "None"]),
    };
    let _ = text::judge(spec, &ours, value);
    let answer = text::accept(spec, value, &ours);
    assert!(answer.text.len() <= value.len() + 20);
    if matches!(answer.outcome, Outcome::Unsettled(_)) {
        return;
    }
    let items: Vec<&str> = value.split(',').collect();
    let theirs = match ours {
        Offer::Number(_) => Offer::Number(parse_number(value).expect("a settled number")),
        Offer::Boolean(_) => Offer::Boolean(parse_boolean(value).expect("a settled boolean")),
        Offer::List(_) => Offer::List(&items),
    };
    assert_eq!(text::judge(spec, &theirs, &answer.text), Ok(answer.outcome));
}
