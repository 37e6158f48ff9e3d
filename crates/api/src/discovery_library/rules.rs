//! The rules for single arguments (§1.6 to §1.9).

use std::net::IpAddr;

use super::ensure;
use super::options::MAX_CHAP_SECRET_LEN;
use crate::v1::{
    IkeIdentity, InitiatorPort, LunMapping, Nexus, Portal, Secret, SessionId, TargetMapping, nexus,
};
use crate::{Failure, Status};

/// `MAX_ISCSI_HBANAME_LEN` less the NUL.
const MAX_INSTANCE_LEN: usize = 255;
/// `MAX_ISCSI_NAME_LEN`.
const MAX_NAME_LEN: usize = 223;
/// `MAX_ISCSI_ALIAS_LEN`.
const MAX_ALIAS_LEN: usize = 255;
/// `MAX_ISCSI_PORTAL_ADDRESS_LEN` and `MAX_ISCSI_PORTAL_NAME_LEN` less the NUL.
const MAX_PORTAL_TEXT_LEN: usize = 255;
/// `MAX_RADIUS_ADDRESS_LEN`: "at most 41 characters" (§2.9).
const MAX_RADIUS_ADDRESS_LEN: usize = 41;
/// Length of a RADIUS secret in bytes (§2.9).
const RADIUS_SECRET_LEN: std::ops::RangeInclusive<usize> = 22..=26;
/// Most LUNs of a mapping: the flat space has no more.
const MAX_MAPPED_LUNS: usize = 16_384;
/// Longest IKE preshared key in bytes: ours, more than any implementation takes.
pub(super) const MAX_IKE_KEY_LEN: usize = 1024;
/// Most portals of a static target; the daemon takes no more.
pub(super) const MAX_PORTALS: usize = 256;
/// Longest path in bytes (`PATH_MAX` less the NUL).
pub(super) const MAX_PATH_LEN: usize = 4095;

/// `ISCSI_SECURITY_FLAGS` (§3.2).
mod security {
    pub(super) const VALID: u64 = 0x01;
    pub(super) const MAIN_MODE: u64 = 0x04;
    pub(super) const AGGRESSIVE_MODE: u64 = 0x08;
    pub(super) const TRANSPORT_MODE: u64 = 0x20;
    pub(super) const TUNNEL_MODE: u64 = 0x40;
}

const INVALID: Status = Status::ERROR_INVALID_PARAMETER;

fn ensure_valid(holds: bool, what: &str) -> Result<(), Failure> {
    ensure(holds, INVALID, || what.to_owned())
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// The name of a target: `ISDSC_INVALID_ISCSI_NAME` if it is too long or has characters that no name has (§1.8);
/// empty is a missing argument.
pub(super) fn target_name(name: &str) -> Result<(), Failure> {
    ensure_valid(!name.is_empty(), "the name of the target is missing")?;
    let illegal =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\' | ',' | ';');
    let fits = name.len() <= MAX_NAME_LEN && !name.contains(illegal);
    ensure(fits, Status::INVALID_ISCSI_NAME, || {
        format!(
            "an iSCSI name has {MAX_NAME_LEN} bytes at most, without blanks, slashes, commas and \
             semicolons"
        )
    })
}

/// The initiator's own name: only the length counts (§2.1).
pub(super) fn node_name(name: &str) -> Result<(), Failure> {
    ensure(
        name.len() <= MAX_NAME_LEN,
        Status::INVALID_ISCSI_NAME,
        || format!("an iSCSI name has {MAX_NAME_LEN} bytes at most"),
    )
}

/// An initiator instance: over-long is `ERROR_INVALID_PARAMETER` (§1.8).
pub(super) fn initiator(initiator: Option<&InitiatorPort>) -> Result<(), Failure> {
    let name = initiator.map_or("", |initiator| &initiator.instance);
    ensure_valid(
        name.len() <= MAX_INSTANCE_LEN && !has_control(name),
        "that can be no initiator instance",
    )
}

/// The same where a login is meant: without an instance the port must be any (§1.6).
pub(super) fn login_initiator(port: Option<&InitiatorPort>) -> Result<(), Failure> {
    initiator(port)?;
    let is_of_none = |port: &InitiatorPort| port.instance.is_empty() && port.port_number.is_some();
    ensure_valid(
        !port.is_some_and(is_of_none),
        "a port number is that of an initiator instance, and none is named",
    )
}

/// A portal that must be given.
pub(super) fn portal(portal: Option<&Portal>) -> Result<(), Failure> {
    let address = portal.map_or("", |portal| &portal.address);
    ensure_valid(!address.is_empty(), "the address of the portal is missing")?;
    optional_portal(portal)
}

/// A portal that may be missing or empty. The symbolic name counts too: it is stored.
pub(super) fn optional_portal(portal: Option<&Portal>) -> Result<(), Failure> {
    let Some(portal) = portal else { return Ok(()) };
    ensure_valid(
        portal.symbolic_name.len() <= MAX_PORTAL_TEXT_LEN,
        "the symbolic name of the portal is too long",
    )?;
    portal_identity(portal)
}

/// A portal that names a stored one: its symbolic name is never looked at (§1.7).
pub(super) fn portal_identity(portal: &Portal) -> Result<(), Failure> {
    portal_address(&portal.address)?;
    ensure_valid(
        portal.port <= u16::MAX.into(),
        "the socket of a portal is 65535 at most",
    )
}

/// Address of a portal (§1.8); an empty one is an address that is not given.
///
/// # Errors
/// `ERROR_INVALID_PARAMETER`.
pub fn portal_address(address: &str) -> Result<(), Failure> {
    let spoilt =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, ',' | '[' | ']' | '/');
    ensure(
        address.len() <= MAX_PORTAL_TEXT_LEN && !address.contains(spoilt),
        INVALID,
        || {
            format!(
                "the address of a portal is an IP address or a host name of {MAX_PORTAL_TEXT_LEN} \
                 characters at most"
            )
        },
    )
}

/// A portal that is looked for and must be given.
pub(super) fn named_portal(portal: Option<&Portal>) -> Result<(), Failure> {
    let given = portal.filter(|portal| !portal.address.is_empty());
    let given =
        given.ok_or_else(|| Failure::new(INVALID, "the address of the portal is missing"))?;
    portal_identity(given)
}

/// `ISCSI_TARGET_FLAGS` (§3.2): hide 0x2, merge 0x4; no other bit is defined.
pub(super) fn target_flags(flags: u32) -> Result<(), Failure> {
    ensure(flags & !0x6 == 0, INVALID, || {
        format!("target flags {flags:#x}: only 0x2 and 0x4 are defined")
    })
}

/// An alias (§1.8).
pub(super) fn alias(alias: &str) -> Result<(), Failure> {
    ensure(alias.len() <= MAX_ALIAS_LEN, INVALID, || {
        format!("an alias has {MAX_ALIAS_LEN} bytes at most")
    })
}

/// The portals of a target: each of them must be given.
pub(super) fn portals(portals: &[Portal]) -> Result<(), Failure> {
    ensure(portals.len() <= MAX_PORTALS, INVALID, || {
        format!("a target has {MAX_PORTALS} portals at most")
    })?;
    portals.iter().try_for_each(|one| portal(Some(one)))
}

/// Security flags (§1.9): with VALID set, neither both modes of IKE nor both of IPsec. Without it the others are
/// ignored, and stored as they are.
pub(super) fn security_flags(flags: u64) -> Result<(), Failure> {
    let both = |one: u64, other: u64| flags & one != 0 && flags & other != 0;
    let contradictory = both(security::MAIN_MODE, security::AGGRESSIVE_MODE)
        || both(security::TRANSPORT_MODE, security::TUNNEL_MODE);
    ensure_valid(
        flags & security::VALID == 0 || !contradictory,
        "security flags: main and aggressive mode exclude each other, tunnel and transport mode too",
    )
}

/// A mapping: no operating system's LUN and no target's LUN twice (§2.2: `ISDSC_INVALID_TARGET_MAPPING`).
pub(super) fn mapping(mapping: Option<&TargetMapping>) -> Result<(), Failure> {
    let luns: &[LunMapping] = mapping.map_or(&[], |mapping| &mapping.luns);
    let all_differ = |mut numbers: Vec<u64>| {
        numbers.sort_unstable();
        numbers.windows(2).all(|pair| pair.first() != pair.last())
    };
    ensure(
        luns.len() <= MAX_MAPPED_LUNS
            && all_differ(luns.iter().map(|lun| lun.os_lun.into()).collect())
            && all_differ(luns.iter().map(|lun| lun.lun).collect()),
        Status::INVALID_TARGET_MAPPING,
        || format!("a mapping has {MAX_MAPPED_LUNS} LUNs at most, and each once"),
    )
}

/// A session id: all-zero is never valid (§1.6).
pub(super) fn session_id(id: Option<&SessionId>) -> Result<(), Failure> {
    let given = id.is_some_and(|id| *id != SessionId::default());
    ensure(given, Status::INVALID_SESSION_ID, || {
        "no session has an id of zeros".into()
    })
}

/// Where a SCSI command is sent.
pub(super) fn nexus(nexus: Option<&Nexus>) -> Result<(), Failure> {
    match nexus.and_then(|nexus| nexus.which.as_ref()) {
        Some(nexus::Which::SessionId(id)) => session_id(Some(id)),
        None => session_id(None),
        Some(_) => Ok(()),
    }
}

/// Address of an iSNS server (§2.8) or of the peer of a tunnel.
pub(super) fn server_address(address: &str) -> Result<(), Failure> {
    let spoilt = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ',' | '/');
    let fits = !address.is_empty() && address.len() <= MAX_PORTAL_TEXT_LEN;
    ensure_valid(
        fits && !address.contains(spoilt),
        "that can be no address of a server",
    )
}

/// The same where none may be meant.
pub(super) fn optional_server(address: &str) -> Result<(), Failure> {
    if address.is_empty() {
        return Ok(());
    }
    server_address(address)
}

/// Address of a RADIUS server (§2.9).
pub(super) fn radius_address(address: &str) -> Result<(), Failure> {
    ensure_valid(
        address.chars().count() <= MAX_RADIUS_ADDRESS_LEN,
        "the address of a RADIUS server is too long",
    )?;
    server_address(address)
}

/// The secret that proves us to RADIUS servers (§2.9); `None` clears it.
pub(super) fn radius_secret(secret: Option<&Secret>) -> Result<(), Failure> {
    let fits = secret.is_none_or(|secret| RADIUS_SECRET_LEN.contains(&secret.expose().len()));
    ensure_valid(fits, "a RADIUS secret has 22 to 26 bytes")
}

/// The initiator's own CHAP secret (§2.7).
pub(super) fn initiator_secret(secret: Option<&Secret>) -> Result<(), Failure> {
    ensure(
        secret.is_none_or(|secret| secret.expose().len() <= MAX_CHAP_SECRET_LEN),
        Status::INVALID_INITIATOR_CHAP_SECRET,
        || format!("the initiator's CHAP secret has {MAX_CHAP_SECRET_LEN} bytes at most"),
    )
}

/// An IKE preshared key: opaque bytes (§1.9).
pub(super) fn key(key: Option<&Secret>) -> Result<(), Failure> {
    let length = key.map_or(0, |key| key.expose().len());
    ensure(length <= MAX_IKE_KEY_LEN, INVALID, || {
        format!("a preshared key has {MAX_IKE_KEY_LEN} bytes at most")
    })
}

/// `IKE_AUTHENTICATION_METHOD`: a preshared key is the only one (§3.1).
pub(super) fn auth_method(method: u32) -> Result<(), Failure> {
    ensure_valid(method == 1, "IKE authenticates by a preshared key")
}

/// Outer address of a tunnel: an IP literal, or empty.
pub(super) fn outer_address(address: &str) -> Result<(), Failure> {
    let is_literal = address.parse::<IpAddr>().is_ok();
    ensure_valid(
        address.is_empty() || is_literal,
        "the outer address of a tunnel is an IP address",
    )
}

/// Whom an IKE key is for (§2.7): the type must be known, the length must be its type's.
pub(super) fn ike_identity(identity: Option<&IkeIdentity>) -> Result<(), Failure> {
    let (id_type, id) = identity.map_or((0, &[][..]), |one| (one.id_type, &one.id));
    let right = match id_type {
        1 => id.len() == 4,
        5 => id.len() == 16,
        2 | 3 => !id.is_empty() && id.len() <= MAX_PORTAL_TEXT_LEN,
        _ => {
            let what = format!("there is no type {id_type} of IKE identities");
            let status = Status::IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED;
            return Err(Failure::new(status, what));
        }
    };
    ensure(right, Status::IKE_ID_PAYLOAD_INCORRECT_SIZE, || {
        format!("an IKE identity of type {id_type} has another length")
    })
}

/// What is typed as the path of a volume or device, from the root and otherwise as it is: links are the daemon's to
/// resolve.
///
/// # Errors
/// `ERROR_INVALID_PARAMETER` for an empty path, one with a NUL, or one from a directory whose name is not UTF-8;
/// `ISDSC_DEVICE_NOT_FOUND` where this process is in no directory.
pub fn absolute_path(path: &str) -> Result<String, Failure> {
    let no_path = || Failure::new(INVALID, format!("{path:?} is not a path"));
    if path.is_empty() || path.contains('\0') {
        return Err(no_path());
    }
    let absolute = std::path::absolute(path)
        .map_err(|error| Failure::new(Status::DEVICE_NOT_FOUND, format!("{path}: {error}")))?;
    absolute
        .into_os_string()
        .into_string()
        .map_err(|_| no_path())
}

/// The path of a volume or device (§2.5). What is longer than any path is not there.
pub(super) fn path(path: &str) -> Result<(), Failure> {
    ensure_valid(
        !path.is_empty() && !path.contains('\0'),
        "that is not a path",
    )?;
    ensure(path.len() <= MAX_PATH_LEN, Status::DEVICE_NOT_FOUND, || {
        format!("a path has {MAX_PATH_LEN} bytes at most")
    })
}
