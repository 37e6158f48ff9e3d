//! The checks of arguments that need no daemon (§1.6 to §1.9), so that every caller gets the sheet's status.

use super::{
    ANY_PORT, IkeIdentity, InitiatorPort, Portal, PortalGroup, Secret, SessionId, Status,
    TargetMapping,
};

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
/// Longest CHAP name: a text value of RFC 7143 section 6.1 has 255 bytes at most.
pub(crate) const MAX_CHAP_NAME_LEN: usize = 255;
/// Longest CHAP secret (§1.9).
pub(crate) const MAX_CHAP_SECRET_LEN: usize = 16;
/// Longest DefaultTime2Wait and DefaultTime2Retain in seconds (RFC 7143 sections 13.15 and 13.16).
pub(crate) const MAX_TIME2_S: u32 = 3600;
/// Length of a RADIUS secret in bytes (§2.9).
const RADIUS_SECRET_LEN: std::ops::RangeInclusive<usize> = 22..=26;
/// Most LUNs of a mapping: the flat space has no more.
const MAX_MAPPED_LUNS: usize = 16_384;
/// Longest IKE preshared key in bytes: ours, more than any implementation takes.
const MAX_IKE_KEY_LEN: usize = 1024;
/// Most portals of a static target; the daemon takes no more.
const MAX_PORTALS: usize = 256;

/// `ISCSI_SECURITY_FLAGS` (§3.2).
mod security {
    pub(super) const VALID: u64 = 0x01;
    pub(super) const MAIN_MODE: u64 = 0x04;
    pub(super) const AGGRESSIVE_MODE: u64 = 0x08;
    pub(super) const TRANSPORT_MODE: u64 = 0x20;
    pub(super) const TUNNEL_MODE: u64 = 0x40;
}

const INVALID: Status = Status::ERROR_INVALID_PARAMETER;

fn ensure(holds: bool, status: Status) -> Result<(), Status> {
    if holds { Ok(()) } else { Err(status) }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// The name of a target: `ISDSC_INVALID_ISCSI_NAME` if it is too long or has characters that no name has (§1.8);
/// empty is a missing argument.
pub(crate) fn target_name(name: &str) -> Result<(), Status> {
    ensure(!name.is_empty(), INVALID)?;
    let illegal =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\' | ',' | ';');
    let fits = name.len() <= MAX_NAME_LEN && !name.contains(illegal);
    ensure(fits, Status::INVALID_ISCSI_NAME)
}

/// The initiator's own name: only the length counts (§2.1).
pub(crate) fn node_name(name: &str) -> Result<(), Status> {
    ensure(name.len() <= MAX_NAME_LEN, Status::INVALID_ISCSI_NAME)
}

/// An initiator instance: over-long is `ERROR_INVALID_PARAMETER` (§1.8). Whether there is one of that name is the
/// daemon's to say.
pub(crate) fn initiator(initiator: &InitiatorPort) -> Result<(), Status> {
    let name = &initiator.instance;
    ensure(
        name.len() <= MAX_INSTANCE_LEN && !has_control(name),
        INVALID,
    )
}

/// The same where a login is meant: without an instance the port must be any (§1.6).
pub(crate) fn login_initiator(port: &InitiatorPort) -> Result<(), Status> {
    initiator(port)?;
    ensure(
        !port.instance.is_empty() || port.port_number == ANY_PORT,
        INVALID,
    )
}

/// A portal that must be given.
pub(crate) fn portal(portal: &Portal) -> Result<(), Status> {
    ensure(!portal.address.is_empty(), INVALID)?;
    optional_portal(Some(portal))
}

/// A portal that may be missing or empty. The symbolic name counts too: it is stored.
pub(crate) fn optional_portal(portal: Option<&Portal>) -> Result<(), Status> {
    let Some(portal) = portal else { return Ok(()) };
    ensure(portal.symbolic_name.len() <= MAX_PORTAL_TEXT_LEN, INVALID)?;
    portal_identity(portal)
}

/// A portal that names a stored one: its symbolic name is never looked at (§1.7).
pub(crate) fn portal_identity(portal: &Portal) -> Result<(), Status> {
    let address = &portal.address;
    let spoilt =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, ',' | '[' | ']' | '/');
    ensure(
        address.len() <= MAX_PORTAL_TEXT_LEN && !address.contains(spoilt),
        INVALID,
    )
}

/// The same where it must be given.
pub(crate) fn named_portal(portal: &Portal) -> Result<(), Status> {
    ensure(!portal.address.is_empty(), INVALID)?;
    portal_identity(portal)
}

/// `ISCSI_TARGET_FLAGS` (§3.2): hide 0x2, merge 0x4; no other bit is defined.
pub(crate) fn target_flags(flags: u32) -> Result<(), Status> {
    ensure(flags & !0x6 == 0, INVALID)
}

/// An alias (§1.8).
pub(crate) fn alias(alias: Option<&str>) -> Result<(), Status> {
    let alias = alias.unwrap_or_default();
    ensure(alias.len() <= MAX_ALIAS_LEN, INVALID)
}

/// A portal group: each of its portals must be given.
pub(crate) fn portal_group(group: Option<&PortalGroup>) -> Result<(), Status> {
    let portals = group.map_or(&[][..], |group| &group.portals);
    ensure(portals.len() <= MAX_PORTALS, INVALID)?;
    portals.iter().try_for_each(portal)
}

/// Security flags (§1.9): with VALID set, neither both modes of IKE nor both of IPsec. Without it the others are
/// ignored, and stored as they are.
pub(crate) fn security_flags(flags: u64) -> Result<(), Status> {
    let both = |one: u64, other: u64| flags & one != 0 && flags & other != 0;
    let contradictory = both(security::MAIN_MODE, security::AGGRESSIVE_MODE)
        || both(security::TRANSPORT_MODE, security::TUNNEL_MODE);
    ensure(flags & security::VALID == 0 || !contradictory, INVALID)
}

/// A mapping: no operating system's LUN and no target's LUN twice (§2.2: `ISDSC_INVALID_TARGET_MAPPING`).
pub(crate) fn mapping(mapping: Option<&TargetMapping>) -> Result<(), Status> {
    let Some(mapping) = mapping else {
        return Ok(());
    };
    let luns = &mapping.luns;
    let all_differ = |mut numbers: Vec<u64>| {
        numbers.sort_unstable();
        numbers.windows(2).all(|pair| pair[0] != pair[1])
    };
    ensure(
        luns.len() <= MAX_MAPPED_LUNS
            && all_differ(luns.iter().map(|lun| lun.os_lun.into()).collect())
            && all_differ(luns.iter().map(|lun| lun.target_lun).collect()),
        Status::INVALID_TARGET_MAPPING,
    )
}

/// A session id: all-zero is never valid (§1.6).
pub(crate) fn session_id(id: SessionId) -> Result<(), Status> {
    ensure(id != SessionId::default(), Status::INVALID_SESSION_ID)
}

/// Address of an iSNS server (§2.8) or of the peer of a tunnel.
pub(crate) fn server_address(address: &str) -> Result<(), Status> {
    let spoilt = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ',' | '/');
    let fits = !address.is_empty() && address.len() <= MAX_PORTAL_TEXT_LEN;
    ensure(fits && !address.contains(spoilt), INVALID)
}

/// Address of a RADIUS server (§2.9).
pub(crate) fn radius_address(address: &str) -> Result<(), Status> {
    ensure(address.chars().count() <= MAX_RADIUS_ADDRESS_LEN, INVALID)?;
    server_address(address)
}

/// The secret that proves us to RADIUS servers (§2.9); `None` clears it.
pub(crate) fn radius_secret(secret: Option<&Secret>) -> Result<(), Status> {
    let fits = secret.is_none_or(|secret| RADIUS_SECRET_LEN.contains(&secret.len()));
    ensure(fits, INVALID)
}

/// The initiator's own CHAP secret (§2.7), which is not empty.
pub(crate) fn initiator_secret(secret: &Secret) -> Result<(), Status> {
    ensure(
        secret.len() <= MAX_CHAP_SECRET_LEN,
        Status::INVALID_INITIATOR_CHAP_SECRET,
    )
}

/// An IKE preshared key: opaque bytes (§1.9).
pub(crate) fn key(key: Option<&Secret>) -> Result<(), Status> {
    let length = key.map_or(0, Secret::len);
    ensure(length <= MAX_IKE_KEY_LEN, INVALID)
}

/// `IKE_AUTHENTICATION_METHOD`: a preshared key is the only one (§3.1).
pub(crate) fn auth_method(method: u32) -> Result<(), Status> {
    ensure(method == 1, INVALID)
}

/// Outer address of a tunnel: an IP literal, or empty.
pub(crate) fn outer_address(address: &str) -> Result<(), Status> {
    let is_literal = address.parse::<std::net::IpAddr>().is_ok();
    ensure(address.is_empty() || is_literal, INVALID)
}

/// Whom an IKE key is for (§2.7): the type must be known, the length must be its type's.
pub(crate) fn ike_identity(identity: &IkeIdentity) -> Result<(), Status> {
    let id = &identity.id;
    let right = match identity.id_type {
        1 => id.len() == 4,
        5 => id.len() == 16,
        2 | 3 => !id.is_empty() && id.len() <= MAX_PORTAL_TEXT_LEN,
        _ => return Err(Status::IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED),
    };
    ensure(right, Status::IKE_ID_PAYLOAD_INCORRECT_SIZE)
}

#[cfg(test)]
mod tests;
