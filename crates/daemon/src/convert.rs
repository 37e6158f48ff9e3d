//! Records as the RPC shows them, and requests as the store keeps them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use hawser_api::{Failure, Status, v1};
use hawser_store as store;

use crate::initiators;
use crate::numbers::MAX_PLACE;

/// Longest address of a portal: `MAX_ISCSI_PORTAL_ADDRESS_LEN` less the NUL.
const MAX_ADDRESS_LEN: usize = 255;
/// Longest symbolic name of a portal: `MAX_ISCSI_PORTAL_NAME_LEN` less the NUL.
const MAX_SYMBOLIC_NAME_LEN: usize = 255;
/// Characters of what a client sent that a message repeats.
const EXCERPT_LEN: usize = 80;
/// Longest part of a DNS name between dots.
const MAX_LABEL_LEN: usize = 63;
/// Most LUNs of a mapping.
const MAX_MAPPED_LUNS: usize = 16_384;
/// Longest CHAP name and secret: what fits one login key with room for hexadecimal.
const MAX_CHAP_LEN: usize = 1024;
/// Longest hold time, in seconds: a day.
const MAX_HOLD_SECONDS: u32 = 86_400;
/// Longest time limit of a login or a ping, in milliseconds: ten minutes.
const MAX_LIMIT_MS: u32 = 600_000;

fn invalid(what: impl Into<String>) -> Failure {
    Failure::new(Status::ERROR_INVALID_PARAMETER, what)
}

/// A portal from a request; `None` if it is absent or has no address.
pub(crate) fn portal_in(portal: Option<v1::Portal>) -> Result<Option<store::Portal>, Failure> {
    let Some(portal) = portal.filter(|portal| !portal.address.is_empty()) else {
        return Ok(None);
    };
    let port = if portal.port == 0 {
        u32::from(hawser_api::DEFAULT_PORT)
    } else {
        portal.port
    };
    let port = u16::try_from(port).map_err(|_| invalid(format!("{port} is no TCP port")))?;
    if portal.address.len() > MAX_ADDRESS_LEN || portal.symbolic_name.len() > MAX_SYMBOLIC_NAME_LEN
    {
        return Err(invalid("the portal's address or name is too long"));
    }
    // The engine's form of it decides whether it can be an address at all.
    hawser_engine::Portal::new(&portal.address, port)
        .map_err(|error| invalid(error.to_string()))?;
    let symbolic_name = portal.symbolic_name;
    Ok(Some(store::Portal {
        address: portal.address,
        port,
        symbolic_name,
    }))
}

/// A stored portal for a response. Without a symbolic name it is called by its address.
pub(crate) fn portal_out(portal: &store::Portal) -> v1::Portal {
    let name = if portal.symbolic_name.is_empty() {
        &portal.address
    } else {
        &portal.symbolic_name
    };
    v1::Portal {
        address: portal.address.clone(),
        port: portal.port.into(),
        symbolic_name: name.clone(),
    }
}

/// The engine's portal for a response.
pub(crate) fn engine_portal_out(portal: &hawser_engine::Portal) -> v1::Portal {
    portal_out(&engine_portal_stored(portal))
}

/// The engine's portal as it is stored.
pub(crate) fn engine_portal_stored(portal: &hawser_engine::Portal) -> store::Portal {
    store::Portal {
        address: portal.host().to_owned(),
        port: portal.port(),
        symbolic_name: String::new(),
    }
}

/// A stored portal as the engine takes it.
pub(crate) fn engine_portal(portal: &store::Portal) -> Result<hawser_engine::Portal, Failure> {
    hawser_engine::Portal::new(&portal.address, portal.port)
        .map_err(|error| invalid(error.to_string()))
}

/// An initiator and port from a request.
pub(crate) fn initiator_in(initiator: Option<v1::InitiatorPort>) -> store::InitiatorPort {
    let initiator = initiator.unwrap_or_default();
    store::InitiatorPort {
        instance: initiator.instance,
        port_number: initiator.port_number,
        source: initiator.source_address.filter(|source| !source.is_empty()),
    }
}

/// An initiator and port for a response: the number is the one that its address has now, if it has
/// one.
pub(crate) fn initiator_out(initiator: &store::InitiatorPort) -> v1::InitiatorPort {
    v1::InitiatorPort {
        instance: initiator.instance.clone(),
        port_number: initiators::number_now(initiator),
        source_address: initiator.source.clone(),
    }
}

/// The initiator's CHAP secret from a request; an empty one is none.
pub(crate) fn own_secret_in(secret: Option<v1::Secret>) -> Result<Option<store::Secret>, Failure> {
    let given = secret.filter(|secret| !secret.is_empty());
    secret_in(given, Status::INVALID_INITIATOR_CHAP_SECRET)
}

/// A CHAP secret from a request; `status` says whose it is. An empty one was given too: it counts in place of a stored
/// one.
fn secret_in(secret: Option<v1::Secret>, status: Status) -> Result<Option<store::Secret>, Failure> {
    let Some(secret) = secret else {
        return Ok(None);
    };
    if secret.expose().len() > MAX_CHAP_LEN {
        let what = format!("a secret has {MAX_CHAP_LEN} bytes at most");
        return Err(Failure::new(status, what));
    }
    Ok(Some(store::Secret::new(secret.expose())))
}

/// An IKE preshared key from a request; an empty one is none.
pub(crate) fn key_in(key: Option<v1::Secret>) -> Result<Option<store::Secret>, Failure> {
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Ok(None);
    };
    if key.expose().len() > MAX_CHAP_LEN {
        return Err(invalid(format!(
            "a preshared key has {MAX_CHAP_LEN} bytes at most"
        )));
    }
    Ok(Some(store::Secret::new(key.expose())))
}

/// The address of a server from a request, an IP literal or a DNS name of at most `longest` bytes; `whose`
/// begins the sentence.
pub(crate) fn host_in(address: &str, longest: usize, whose: &str) -> Result<String, Failure> {
    // The engine's form of a portal decides what can be an address; the port is any that can be one.
    let port = hawser_api::DEFAULT_PORT;
    let can_be = hawser_engine::Portal::new(address, port).is_ok() && has_labels(address);
    if address.len() > longest || !can_be {
        let shown = excerpt(address);
        return Err(invalid(format!(
            "{whose} has an IP address or DNS name of at most {longest} bytes, which {shown:?} is not"
        )));
    }
    Ok(address.to_owned())
}

/// Whether an address that is no IPv6 one is made of what RFC 1035 section 2.3.4 and RFC 1123 section 2.1 take for
/// labels, not of numbers alone unless it is an IPv4 one. Nobody asks these servers when they are added, so no resolver tells of a name that nobody can have.
fn has_labels(address: &str) -> bool {
    let name = address.strip_suffix('.').unwrap_or(address);
    let is_label = |label: &str| {
        (1..=MAX_LABEL_LEN).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.split('.').all(is_number);
    address.contains(':')
        || name.split('.').all(is_label) && (!numbers || address.parse::<Ipv4Addr>().is_ok())
}

/// The beginning of a text from a request, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(EXCERPT_LEN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Login options from a request, checked for what can never be.
pub(crate) fn options_in(options: v1::LoginOptions) -> Result<store::LoginOptions, Failure> {
    let auth_type = options.auth_type.map(auth_type_in).transpose()?;
    let header_digest = options.header_digest.map(digest_in).transpose()?;
    let data_digest = options.data_digest.map(digest_in).transpose()?;
    let on_lost = match v1::OnLost::try_from(options.on_lost) {
        Ok(v1::OnLost::Default) => store::OnLost::Default,
        Ok(v1::OnLost::Hold) => store::OnLost::Hold,
        Ok(v1::OnLost::Fail) => store::OnLost::Fail,
        Err(_) => return Err(invalid("on_lost has an unknown value")),
    };
    check_ranges(&options)?;
    check_chap_names(&options)?;
    Ok(store::LoginOptions {
        login_flags: options.login_flags,
        auth_type,
        header_digest,
        data_digest,
        max_connections: options.max_connections,
        default_time2wait_s: options.default_time2wait_s,
        default_time2retain_s: options.default_time2retain_s,
        username: options.username,
        secret: secret_in(options.secret, Status::INVALID_TARGET_CHAP_SECRET)?,
        mutual_username: options.mutual_username.filter(|name| !name.is_empty()),
        mutual_secret: own_secret_in(options.mutual_secret)?,
        on_lost,
        hold_time_s: options.hold_time_s,
        login_timeout_ms: options.login_timeout_ms,
        nop_interval_ms: options.nop_interval_ms,
        nop_timeout_ms: options.nop_timeout_ms,
        max_recv_data_segment_length: options.max_recv_data_segment_length,
        first_burst_length: options.first_burst_length,
        max_burst_length: options.max_burst_length,
        max_outstanding_r2t: options.max_outstanding_r2t,
        initial_r2t: options.initial_r2t,
        immediate_data: options.immediate_data,
        error_recovery_level: options.error_recovery_level,
        connections: options.connections,
    })
}

/// Refuses CHAP names that no login key can hold. Ours is sent byte by byte as it is, whatever it is encoded in; that
/// of the target is compared with text.
fn check_chap_names(options: &v1::LoginOptions) -> Result<(), Failure> {
    let refused = |what| Err(Failure::new(Status::INVALID_CHAP_USER_NAME, what));
    let names = [&options.username, &options.mutual_username];
    if names
        .into_iter()
        .flatten()
        .any(|name| name.len() > MAX_CHAP_LEN || name.contains(&0))
    {
        return refused("a CHAP name has at most 1024 bytes, none of them 0");
    }
    let theirs = options.mutual_username.as_deref().unwrap_or_default();
    if std::str::from_utf8(theirs).is_err() {
        return refused("the target's CHAP name is UTF-8 text");
    }
    Ok(())
}

/// Refuses numbers out of range: those of iSCSI keys by RFC 7143, ours by our own limits.
fn check_ranges(options: &v1::LoginOptions) -> Result<(), Failure> {
    // The Discovery Library has a status of its own for those that it has.
    for (name, value, low, high) in [
        ("MaxConnections", options.max_connections, 1, 65_535),
        ("DefaultTime2Wait", options.default_time2wait_s, 0, 3600),
        ("DefaultTime2Retain", options.default_time2retain_s, 0, 3600),
    ] {
        if value.is_some_and(|value| !(low..=high).contains(&value)) {
            let what = format!("{name} must be {low} to {high}");
            return Err(Failure::new(Status::LOGIN_USER_INFO_BAD, what));
        }
    }
    let most = u32::from(hawser_engine::MAX_CONNECTIONS);
    for (name, value, low, high) in [
        ("hold_time_s", options.hold_time_s, 0, MAX_HOLD_SECONDS),
        (
            "login_timeout_ms",
            options.login_timeout_ms,
            1,
            MAX_LIMIT_MS,
        ),
        ("nop_interval_ms", options.nop_interval_ms, 0, MAX_LIMIT_MS),
        ("nop_timeout_ms", options.nop_timeout_ms, 1, MAX_LIMIT_MS),
        (
            "MaxRecvDataSegmentLength",
            options.max_recv_data_segment_length,
            512,
            0xff_ffff,
        ),
        (
            "FirstBurstLength",
            options.first_burst_length,
            512,
            0xff_ffff,
        ),
        ("MaxBurstLength", options.max_burst_length, 512, 0xff_ffff),
        ("MaxOutstandingR2T", options.max_outstanding_r2t, 1, 65_535),
        ("ErrorRecoveryLevel", options.error_recovery_level, 0, 2),
        (
            "connections",
            options.connections,
            1,
            options.max_connections.unwrap_or(most).min(most),
        ),
    ] {
        if value.is_some_and(|value| !(low..=high).contains(&value)) {
            return Err(invalid(format!("{name} must be {low} to {high}")));
        }
    }
    Ok(())
}

fn auth_type_in(value: i32) -> Result<store::AuthType, Failure> {
    match v1::AuthType::try_from(value) {
        Ok(v1::AuthType::None) => Ok(store::AuthType::None),
        Ok(v1::AuthType::Chap) => Ok(store::AuthType::Chap),
        Ok(v1::AuthType::MutualChap) => Ok(store::AuthType::MutualChap),
        Err(_) => {
            let what = format!("there is no authentication type {value}");
            Err(Failure::new(Status::INVALID_LOGON_AUTH_TYPE, what))
        }
    }
}

fn digest_in(value: i32) -> Result<store::Digest, Failure> {
    match v1::Digest::try_from(value) {
        Ok(v1::Digest::None) => Ok(store::Digest::None),
        Ok(v1::Digest::Crc32c) => Ok(store::Digest::Crc32c),
        Ok(v1::Digest::PreferCrc32c) => Ok(store::Digest::PreferCrc32c),
        Err(_) => {
            let what = format!("there is no digest {value}");
            Err(Failure::new(Status::LOGIN_USER_INFO_BAD, what))
        }
    }
}

/// Login options for a response: whether secrets are set, never the secrets.
pub(crate) fn options_out(options: &store::LoginOptions) -> v1::LoginOptions {
    let digest = |digest: store::Digest| match digest {
        store::Digest::None => v1::Digest::None.into(),
        store::Digest::Crc32c => v1::Digest::Crc32c.into(),
        store::Digest::PreferCrc32c => v1::Digest::PreferCrc32c.into(),
    };
    let auth_type = options.auth_type.map(|auth| match auth {
        store::AuthType::None => v1::AuthType::None.into(),
        store::AuthType::Chap => v1::AuthType::Chap.into(),
        store::AuthType::MutualChap => v1::AuthType::MutualChap.into(),
    });
    let on_lost = match options.on_lost {
        store::OnLost::Default => v1::OnLost::Default,
        store::OnLost::Hold => v1::OnLost::Hold,
        store::OnLost::Fail => v1::OnLost::Fail,
    };
    v1::LoginOptions {
        login_flags: options.login_flags,
        auth_type,
        header_digest: options.header_digest.map(digest),
        data_digest: options.data_digest.map(digest),
        max_connections: options.max_connections,
        default_time2wait_s: options.default_time2wait_s,
        default_time2retain_s: options.default_time2retain_s,
        username: options.username.clone(),
        secret: None,
        secret_set: options.secret.is_some(),
        mutual_username: options.mutual_username.clone(),
        mutual_secret: None,
        mutual_secret_set: options.mutual_secret.is_some(),
        on_lost: on_lost.into(),
        hold_time_s: options.hold_time_s,
        login_timeout_ms: options.login_timeout_ms,
        nop_interval_ms: options.nop_interval_ms,
        nop_timeout_ms: options.nop_timeout_ms,
        max_recv_data_segment_length: options.max_recv_data_segment_length,
        first_burst_length: options.first_burst_length,
        max_burst_length: options.max_burst_length,
        max_outstanding_r2t: options.max_outstanding_r2t,
        initial_r2t: options.initial_r2t,
        immediate_data: options.immediate_data,
        error_recovery_level: options.error_recovery_level,
        connections: options.connections,
    }
}

/// A mapping from a request.
pub(crate) fn mapping_in(
    mapping: Option<v1::TargetMapping>,
) -> Result<Option<store::TargetMapping>, Failure> {
    let Some(mapping) = mapping else {
        return Ok(None);
    };
    if mapping.luns.len() > MAX_MAPPED_LUNS {
        let what = format!("a mapping has {MAX_MAPPED_LUNS} LUNs at most");
        return Err(Failure::new(Status::INVALID_TARGET_MAPPING, what));
    }
    let os_bus_number = place_in(mapping.os_bus_number, "bus")?;
    let os_target_number = place_in(mapping.os_target_number, "target")?;
    let mut numbers = BTreeSet::new();
    let mut known = BTreeSet::new();
    let fresh = |lun: &v1::LunMapping| numbers.insert(lun.os_lun) && known.insert(lun.lun);
    if !mapping.luns.iter().all(fresh) {
        let what = "a mapping names each LUN and each number once";
        return Err(Failure::new(Status::INVALID_TARGET_MAPPING, what));
    }
    let luns = mapping.luns.iter();
    Ok(Some(store::TargetMapping {
        os_bus_number,
        os_target_number,
        luns: luns
            .map(|lun| store::LunMapping {
                os_lun: lun.os_lun,
                lun: lun.lun,
            })
            .collect(),
    }))
}

/// A bus or target number of a mapping; the Discovery Library writes 0xFFFFFFFF for any.
fn place_in(number: Option<u32>, what: &str) -> Result<Option<u32>, Failure> {
    let number = number.filter(|number| *number != u32::MAX);
    if number.is_some_and(|number| number > MAX_PLACE) {
        let what = format!("the {what} number of a mapping is {MAX_PLACE} at most");
        return Err(Failure::new(Status::TARGET_MAPPING_OUT_OF_RANGE, what));
    }
    Ok(number)
}

/// A mapping for a response.
pub(crate) fn mapping_out(mapping: &store::TargetMapping) -> v1::TargetMapping {
    let luns = mapping.luns.iter();
    v1::TargetMapping {
        os_bus_number: mapping.os_bus_number,
        os_target_number: mapping.os_target_number,
        luns: luns
            .map(|lun| v1::LunMapping {
                os_lun: lun.os_lun,
                lun: lun.lun,
            })
            .collect(),
    }
}

/// Fields that `over` leaves open come from `under`. The flags have nothing that leaves them open: those of `over`
/// count.
pub(crate) fn options_over(
    over: &store::LoginOptions,
    under: &store::LoginOptions,
) -> store::LoginOptions {
    // Names and secrets of one CHAP direction belong together: a name from one place with the
    // secret of another would be a login nobody asked for.
    let (username, secret) = if over.username.is_some() || over.secret.is_some() {
        (over.username.clone(), over.secret.clone())
    } else {
        (under.username.clone(), under.secret.clone())
    };
    let (mutual_username, mutual_secret) =
        if over.mutual_username.is_some() || over.mutual_secret.is_some() {
            (over.mutual_username.clone(), over.mutual_secret.clone())
        } else {
            (under.mutual_username.clone(), under.mutual_secret.clone())
        };
    let on_lost = if over.on_lost == store::OnLost::Default {
        under.on_lost
    } else {
        over.on_lost
    };
    store::LoginOptions {
        login_flags: over.login_flags,
        auth_type: over.auth_type.or(under.auth_type),
        header_digest: over.header_digest.or(under.header_digest),
        data_digest: over.data_digest.or(under.data_digest),
        max_connections: over.max_connections.or(under.max_connections),
        default_time2wait_s: over.default_time2wait_s.or(under.default_time2wait_s),
        default_time2retain_s: over.default_time2retain_s.or(under.default_time2retain_s),
        username,
        secret,
        mutual_username,
        mutual_secret,
        on_lost,
        hold_time_s: over.hold_time_s.or(under.hold_time_s),
        login_timeout_ms: over.login_timeout_ms.or(under.login_timeout_ms),
        nop_interval_ms: over.nop_interval_ms.or(under.nop_interval_ms),
        nop_timeout_ms: over.nop_timeout_ms.or(under.nop_timeout_ms),
        max_recv_data_segment_length: over
            .max_recv_data_segment_length
            .or(under.max_recv_data_segment_length),
        first_burst_length: over.first_burst_length.or(under.first_burst_length),
        max_burst_length: over.max_burst_length.or(under.max_burst_length),
        max_outstanding_r2t: over.max_outstanding_r2t.or(under.max_outstanding_r2t),
        initial_r2t: over.initial_r2t.or(under.initial_r2t),
        immediate_data: over.immediate_data.or(under.immediate_data),
        error_recovery_level: over.error_recovery_level.or(under.error_recovery_level),
        connections: over.connections.or(under.connections),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portals_get_the_default_port_and_are_checked() {
        let portal = |address: &str, port| {
            portal_in(Some(v1::Portal {
                address: address.into(),
                port,
                ..v1::Portal::default()
            }))
        };
        assert_eq!(portal("192.0.2.1", 0).unwrap().unwrap().port, 3260);
        assert_eq!(portal("", 7).unwrap(), None, "no address is no portal");
        for (address, port) in [("a", 70_000), ("a b", 1), (&*"x".repeat(300), 1)] {
            let failure = portal(address, port).unwrap_err();
            assert_eq!(failure.status, Status::ERROR_INVALID_PARAMETER);
        }
    }

    #[test]
    fn mappings_name_numbers_that_can_be_and_each_once() {
        let given = |bus, luns: &[(u32, u64)]| {
            let luns = luns.iter();
            mapping_in(Some(v1::TargetMapping {
                os_bus_number: bus,
                os_target_number: Some(u32::MAX),
                luns: luns
                    .map(|&(os_lun, lun)| v1::LunMapping { os_lun, lun })
                    .collect(),
            }))
        };
        let mapping = given(Some(255), &[(0, 1), (1, 0)]).unwrap().unwrap();
        assert_eq!(mapping.os_bus_number, Some(255));
        assert_eq!(mapping.os_target_number, None, "all bits set mean any");
        let status = |given: Result<_, Failure>| given.map(|_| ()).unwrap_err().status;
        assert_eq!(
            status(given(Some(256), &[])),
            Status::TARGET_MAPPING_OUT_OF_RANGE
        );
        for luns in [[(0, 1), (0, 2)], [(0, 1), (1, 1)]] {
            assert_eq!(status(given(None, &luns)), Status::INVALID_TARGET_MAPPING);
        }
    }

    #[test]
    fn servers_have_an_address_that_can_be_one() {
        let server = |address: &str| host_in(address, 41, "a server");
        for address in [
            "192.0.2.1",
            "2001:db8::1",
            "san.example",
            "san_1.example.",
            "7.san.example",
            "3com",
            &*"x".repeat(41),
        ] {
            assert_eq!(server(address).unwrap(), address);
        }
        for address in [
            "",
            " ",
            "a b",
            "a/b",
            "[::1]",
            "a:1",
            "a\0",
            ".",
            "a..b",
            ".a",
            "-",
            "a.b-",
            "300.1.1.1",
            "192.0.2",
            "1",
            "192.0.2.1.",
            &*"x".repeat(42),
        ] {
            let failure = server(address).unwrap_err();
            assert_eq!(failure.status, Status::ERROR_INVALID_PARAMETER, "{address}");
        }
        assert!(server(&"y".repeat(5000)).unwrap_err().message.len() < 300);
    }

    #[test]
    fn secrets_never_come_out() {
        let options = options_in(v1::LoginOptions {
            username: Some(b"u".to_vec()),
            secret: Some(v1::Secret::new("tell-nobody-4711")),
            mutual_secret: Some(v1::Secret::new("")),
            ..v1::LoginOptions::default()
        })
        .unwrap();
        let out = options_out(&options);
        assert!(out.secret.is_none() && out.secret_set && !out.mutual_secret_set);
        assert_eq!(out.username.as_deref(), Some(&b"u"[..]));
    }

    #[test]
    fn our_chap_name_is_taken_byte_by_byte() {
        let name = Some(vec![b'u', 0xff, 0x80]);
        let options = options_in(v1::LoginOptions {
            username: name.clone(),
            ..Default::default()
        });
        assert_eq!(options.unwrap().username, name);
    }

    #[test]
    fn impossible_options_are_refused_by_name() {
        let bad = |options: v1::LoginOptions| options_in(options).unwrap_err();
        let failure = bad(v1::LoginOptions {
            auth_type: Some(9),
            ..Default::default()
        });
        assert_eq!(failure.status, Status::INVALID_LOGON_AUTH_TYPE);
        for options in [
            v1::LoginOptions {
                username: Some(b"a\0b".to_vec()),
                ..Default::default()
            },
            v1::LoginOptions {
                mutual_username: Some(vec![0xff]),
                ..Default::default()
            },
        ] {
            assert_eq!(bad(options).status, Status::INVALID_CHAP_USER_NAME);
        }
        let failure = bad(v1::LoginOptions {
            default_time2wait_s: Some(3601),
            ..Default::default()
        });
        assert!(failure.message.contains("DefaultTime2Wait"), "{failure}");
        assert_eq!(failure.status, Status::LOGIN_USER_INFO_BAD);
        let failure = bad(v1::LoginOptions {
            data_digest: Some(7),
            ..Default::default()
        });
        assert_eq!(failure.status, Status::LOGIN_USER_INFO_BAD);
        let long = || Some(v1::Secret::new("x".repeat(1025)));
        let failure = bad(v1::LoginOptions {
            secret: long(),
            ..Default::default()
        });
        assert_eq!(failure.status, Status::INVALID_TARGET_CHAP_SECRET);
        let failure = bad(v1::LoginOptions {
            mutual_secret: long(),
            ..Default::default()
        });
        assert_eq!(failure.status, Status::INVALID_INITIATOR_CHAP_SECRET);
    }

    #[test]
    fn options_of_the_call_count_and_pairs_stay_together() {
        let under = store::LoginOptions {
            username: Some(b"stored".to_vec()),
            secret: Some(store::Secret::new(*b"stored secret")),
            header_digest: Some(store::Digest::Crc32c),
            hold_time_s: Some(5),
            login_flags: 0x02,
            ..store::LoginOptions::default()
        };
        let over = store::LoginOptions {
            login_flags: 0x08,
            secret: Some(store::Secret::new(*b"given secret")),
            hold_time_s: Some(9),
            ..store::LoginOptions::default()
        };
        let both = options_over(&over, &under);
        assert_eq!(
            both.username, None,
            "not the stored name with the given secret"
        );
        assert_eq!(both.secret.unwrap().expose(), b"given secret");
        assert_eq!(
            (both.header_digest, both.hold_time_s),
            (under.header_digest, Some(9))
        );
        assert_eq!(both.login_flags, 0x08, "flags are never left open");
        let nothing_said = options_over(&store::LoginOptions::default(), &under);
        let flags_only = store::LoginOptions {
            login_flags: 0,
            ..under.clone()
        };
        assert_eq!(nothing_said, flags_only);
        let empty_name = store::LoginOptions {
            username: Some(Vec::new()),
            ..store::LoginOptions::default()
        };
        let both = options_over(&empty_name, &under);
        assert_eq!((both.username, both.secret), (Some(Vec::new()), None));
    }

    #[test]
    fn what_is_specified_but_empty_is_kept_and_shown() {
        let options = options_in(v1::LoginOptions {
            username: Some(Vec::new()),
            secret: Some(v1::Secret::new("")),
            ..v1::LoginOptions::default()
        });
        let options = options.unwrap();
        assert_eq!(options.secret, Some(store::Secret::new([])));
        let out = options_out(&options);
        assert_eq!(out.username, Some(Vec::new()));
        assert!(out.secret_set && out.secret.is_none());
    }
}
