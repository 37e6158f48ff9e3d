//! The nine login options, and the mapping of LUNs, as they stand in a command.

use hawser_api::discovery_library::{auth_type, digest, max_connections};
use hawser_api::v1::{AuthType, Digest, LoginOptions, LunMapping, Secret, TargetMapping};

use super::stop::Stop;
use super::values::number;
use super::words;

/// Names of the nine positions.
pub(super) const POSITIONS: [&str; 9] = [
    "Login Flags",
    "Header Digest",
    "Data Digest",
    "Max Connections",
    "DefaultTime2Wait",
    "DefaultTime2Retain",
    "Username",
    "Password",
    "AuthType",
];

/// Names of the four words of a mapping.
pub(super) const MAPPING_WORDS: [&str; 4] = ["Target Lun", "OS Bus", "OS Target", "OS Lun"];

/// Most mappings of one command: as many LUNs as one target can have in the ordinary form.
const MAX_MAPPINGS: u32 = 16_384;

/// Bus or target number that means any.
const ANY: u32 = u32::MAX;

/// Reads the nine login options; `None` if all have their defaults, so that stored ones count.
///
/// # Errors
/// A digest or an authentication type that there is not; a number that is too large.
pub(super) fn read(
    words: &[String],
    notes: &mut Vec<String>,
) -> Result<Option<LoginOptions>, Stop> {
    let at = |index: usize| words.get(index).map_or("*", String::as_str);
    let mut numbers = [None; POSITIONS.len()];
    for index in [0, 1, 2, 3, 4, 5, 8] {
        if !words::is_default(at(index)) {
            numbers[index] = Some(number(POSITIONS[index], at(index), notes)?);
        }
    }
    let [
        login_flags,
        header,
        data,
        connections,
        wait,
        retain,
        ..,
        auth,
    ] = numbers;
    let digest_of = |number: Option<u32>| number.map(digest).transpose();
    let options = LoginOptions {
        login_flags: login_flags.unwrap_or(0),
        header_digest: digest_of(header)?.map(Digest::into),
        data_digest: digest_of(data)?.map(Digest::into),
        max_connections: connections.map(max_connections),
        default_time2wait_s: wait,
        default_time2retain_s: retain,
        username: username(at(6)),
        secret: password(at(7), notes),
        auth_type: auth.map(auth_type).transpose()?.map(AuthType::into),
        ..LoginOptions::default()
    };
    Ok((options != LoginOptions::default()).then_some(options))
}

/// Options of a quick form: one-way CHAP with this user and secret.
pub(super) fn one_way_chap(user: String, secret: Option<Secret>) -> LoginOptions {
    LoginOptions {
        auth_type: Some(AuthType::Chap.into()),
        username: Some(user.into_bytes()),
        secret,
        ..LoginOptions::default()
    }
}

fn username(word: &str) -> Option<Vec<u8>> {
    if words::is_default(word) {
        return None;
    }
    let empty = words::is_empty_mark(word);
    Some(if empty { Vec::new() } else { word.into() })
}

/// A password. Wrong hexadecimal digits make an empty one, as on Windows; stderr tells of it.
fn password(word: &str, notes: &mut Vec<String>) -> Option<Secret> {
    if words::is_default(word) {
        return None;
    }
    if words::is_empty_mark(word) {
        return Some(Secret::new([]));
    }
    let secret = words::secret(word);
    if secret.is_none() {
        let note = "Password: after 0x come two hexadecimal digits a byte; the password is empty";
        notes.push(note.to_owned());
    }
    Some(secret.unwrap_or_else(|| Secret::new([])))
}

/// Reads `count` mappings from the front of `words`.
///
/// # Errors
/// There are not as many words; a word cannot be that; bus or target differ.
pub(super) fn mapping(
    count: u32,
    words: &mut &[String],
    notes: &mut Vec<String>,
) -> Result<Option<TargetMapping>, Stop> {
    if count == 0 {
        return Ok(None);
    }
    if count > MAX_MAPPINGS {
        let why = format!("a command has {MAX_MAPPINGS} mappings at most");
        return Err(Stop::Usage(why));
    }
    let missing = || Stop::Usage(format!("{count} mappings need four words each"));
    let needed = MAPPING_WORDS.len() * usize::try_from(count).map_err(|_| missing())?;
    let (own, rest) = words.split_at_checked(needed).ok_or_else(missing)?;
    *words = rest;
    let (groups, _) = own.as_chunks::<4>();
    let mut mapping = TargetMapping::default();
    for group in groups {
        one_mapping(group, &mut mapping, notes)?;
    }
    let known = |number: &u32| *number != ANY;
    mapping.os_bus_number = mapping.os_bus_number.filter(known);
    mapping.os_target_number = mapping.os_target_number.filter(known);
    Ok(Some(mapping))
}

fn one_mapping(
    group: &[String; 4],
    mapping: &mut TargetMapping,
    notes: &mut Vec<String>,
) -> Result<(), Stop> {
    let [target_lun, bus, target, os_lun] = group;
    let lun = words::mapped_lun(target_lun).ok_or_else(|| {
        let line = "Target LUN must be in 0x0123456789abcdef format";
        Stop::invalid_line(line, format!("{target_lun} is not a LUN of a mapping"))
    })?;
    let bus = number("OS Bus", bus, notes)?;
    let first = *mapping.os_bus_number.get_or_insert(bus);
    if bus != first {
        let line = "OSBus number must be the same for all LUNs";
        return Err(Stop::invalid_line(line, format!("{bus} is not {first}")));
    }
    let target = number("OS Target", target, notes)?;
    let first = *mapping.os_target_number.get_or_insert(target);
    if target != first {
        let line = "OSTarget number must be the same for all LUNs";
        return Err(Stop::invalid_line(line, format!("{target} is not {first}")));
    }
    let os_lun = number("OS Lun", os_lun, notes)?;
    mapping.luns.push(LunMapping { os_lun, lun });
    Ok(())
}
