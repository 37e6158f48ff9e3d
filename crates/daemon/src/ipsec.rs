//! IKE identities, the default preshared key and the outer addresses of tunnels: checked, kept and
//! reported. This program sets up no IPsec: what demands it fails when it connects.

use hawser_api::{Failure, Status, v1};
use hawser_store::{
    Change, IkeInfo, InitiatorPort, Record, Secret, SecretName, StoredSecret, TunnelAddress,
};

use crate::daemon::Daemon;
use crate::initiators::{self, INSTANCE};
use crate::passing::{Passing, untold};
use crate::{convert, events};

/// `ISCSI_LOGIN_FLAGS`: IPsec must be used.
const FLAG_REQUIRE_IPSEC: u32 = 0x01;
/// `ISCSI_SECURITY_FLAGS`: the flags count.
const SECURITY_VALID: u64 = 0x01;
/// `ISCSI_SECURITY_FLAGS`: IPsec is asked for.
const SECURITY_IPSEC: u64 = 0x02;
/// `ISCSI_SECURITY_FLAGS`: main mode and aggressive mode, which exclude each other.
const SECURITY_MODES: u64 = 0x04 | 0x08;
/// `ISCSI_SECURITY_FLAGS`: transport mode and tunnel mode, which exclude each other.
const SECURITY_WRAPPINGS: u64 = 0x20 | 0x40;
/// `IKE_AUTHENTICATION_PRESHARED_KEY_METHOD`, the only one there is.
const METHOD_PRESHARED_KEY: u32 = 1;
/// Longest name in an identity, in bytes: that of a domain.
const MAX_ID_LEN: usize = 255;
/// Longest destination of a tunnel, in bytes.
const MAX_DESTINATION_LEN: usize = 255;

/// The settings as far as they are not stored.
#[derive(Debug, Default)]
pub(crate) struct Ipsec {
    infos: Passing<IkeInfo>,
    tunnels: Passing<TunnelAddress>,
    group_key: Passing<StoredSecret>,
}

/// IPsec is not built: what demands it must not go on without.
pub(crate) fn refuse(security_flags: u64, login_flags: u32) -> Result<(), Failure> {
    let asked = security_flags & SECURITY_VALID != 0 && security_flags & SECURITY_IPSEC != 0;
    if asked || login_flags & FLAG_REQUIRE_IPSEC != 0 {
        let what = "IPsec is asked for, which this program cannot set up";
        return Err(Failure::new(Status::IPSEC_NOT_SUPPORTED_ON_OS, what));
    }
    Ok(())
}

/// Refuses flags that exclude each other, if they count.
pub(crate) fn check_flags(flags: u64) -> Result<(), Failure> {
    let both = |pair: u64| flags & pair == pair;
    if flags & SECURITY_VALID != 0 && (both(SECURITY_MODES) || both(SECURITY_WRAPPINGS)) {
        let what = "the security flags ask for main and aggressive mode, or for transport and tunnel \
                    mode, which exclude each other";
        return Err(Failure::new(Status::ERROR_INVALID_PARAMETER, what));
    }
    Ok(())
}

fn invalid(what: impl Into<String>) -> Failure {
    Failure::new(Status::ERROR_INVALID_PARAMETER, what)
}

/// Initiator and port of a setting. There is one initiator, so that naming none means it; an address that
/// this machine had before still names what was set for it.
fn initiator_in(initiator: Option<v1::InitiatorPort>) -> Result<InitiatorPort, Failure> {
    let mut initiator = convert::initiator_in(initiator);
    if initiator.instance.is_empty() {
        INSTANCE.clone_into(&mut initiator.instance);
    }
    let mut found = match initiators::resolve(initiator.clone()) {
        Err(failure) if failure.status == Status::INVALID_PORT_NUMBER => {
            let by_address = Some(initiators::named(&initiator));
            by_address
                .filter(|named| named.source.is_some())
                .ok_or(failure)?
        }
        found => found?,
    };
    INSTANCE.clone_into(&mut found.instance);
    Ok(found)
}

/// Method and identity of a request.
fn identity_in(method: u32, identity: Option<v1::IkeIdentity>) -> Result<(u8, Vec<u8>), Failure> {
    if method != METHOD_PRESHARED_KEY {
        return Err(invalid(format!(
            "there is no IKE authentication method {method}, only {METHOD_PRESHARED_KEY}"
        )));
    }
    let v1::IkeIdentity { id_type, id } = identity.unwrap_or_default();
    let (id_type, fits) = match id_type {
        1 => (1, id.len() == 4),
        2 | 3 => {
            let text = !id.contains(&0) && (1..=MAX_ID_LEN).contains(&id.len());
            (if id_type == 2 { 2 } else { 3 }, text)
        }
        5 => (5, id.len() == 16),
        other => {
            let what = format!("there is no IKE identity of type {other}: 1, 2, 3 or 5");
            return Err(Failure::new(
                Status::IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED,
                what,
            ));
        }
    };
    if !fits {
        let what = format!(
            "an IKE identity of type {id_type} cannot have these {} bytes: an IPv4 address has 4, an \
             IPv6 address 16, a name 1 to {MAX_ID_LEN} without NUL",
            id.len()
        );
        return Err(Failure::new(Status::IKE_ID_PAYLOAD_INCORRECT_SIZE, what));
    }
    Ok((id_type, id))
}

/// Sets or removes an identity.
pub(crate) async fn set_info(
    daemon: &Daemon,
    request: v1::SetIkeInfoRequest,
) -> Result<Change, Failure> {
    let (id_type, id) = identity_in(request.auth_method, request.identity)?;
    check_flags(request.security_flags)?;
    let info = IkeInfo {
        initiator: initiator_in(request.initiator)?,
        id_type,
        id,
        security_flags: request.security_flags,
        key: convert::key_in(request.key)?,
        added_at_ms: events::now_ms(),
    };
    let (infos, persist) = (&daemon.ipsec.infos, request.persist);
    if info.key.is_none() {
        return infos.remove(&daemon.records, info.key(), persist).await;
    }
    Ok(untold(infos.put(&daemon.records, info, persist).await?))
}

/// The flags of an identity: those that are set for the port, else those for all ports. Asked for all
/// ports, any will do.
pub(crate) fn info_flags(daemon: &Daemon, request: v1::GetIkeInfoRequest) -> Result<u64, Failure> {
    let (id_type, id) = identity_in(request.auth_method, request.identity)?;
    let wanted = initiator_in(request.initiator)?.for_comparison();
    let for_all = |port: &InitiatorPort| port.source.is_none() && port.port_number.is_none();
    let mut infos = daemon.ipsec.infos.all(&daemon.records);
    infos.retain(|(info, _)| {
        let own = info.initiator.for_comparison();
        own == wanted || for_all(&own) || for_all(&wanted)
    });
    if infos.is_empty() {
        let what = "no IKE identity is set for that initiator and port";
        return Err(Failure::new(Status::NO_AUTH_INFO_AVAILABLE, what));
    }
    infos.retain(|(info, _)| info.id_type == id_type && info.id == id);
    let exact = |info: &IkeInfo| info.initiator.for_comparison() == wanted;
    let best = infos
        .iter()
        .find(|(info, _)| exact(info))
        .or_else(|| infos.first());
    best.map(|(info, _)| info.security_flags).ok_or_else(|| {
        let what = "no preshared key is set for that IKE identity";
        Failure::new(Status::TARGET_PRESHAREDKEY_UNAVAILABLE, what)
    })
}

/// All identities, without their keys.
pub(crate) fn show_infos(daemon: &Daemon) -> Vec<v1::IkeInfo> {
    let all = daemon.ipsec.infos.all(&daemon.records).into_iter();
    all.map(|(info, persisted)| v1::IkeInfo {
        initiator: Some(convert::initiator_out(&info.initiator)),
        identity: Some(v1::IkeIdentity {
            id_type: info.id_type.into(),
            id: info.id,
        }),
        security_flags: info.security_flags,
        persisted,
    })
    .collect()
}

/// Sets the default preshared key; `None` clears it.
pub(crate) async fn set_group_key(
    daemon: &Daemon,
    key: Option<Secret>,
    persist: bool,
) -> Result<Change, Failure> {
    let name = SecretName::GroupPresharedKey;
    let keys = &daemon.ipsec.group_key;
    if key.is_none() {
        return keys.remove(&daemon.records, name, persist).await;
    }
    let record = StoredSecret { name, secret: key };
    Ok(untold(keys.put(&daemon.records, record, persist).await?))
}

/// Whether the default preshared key is set.
pub(crate) fn has_group_key(daemon: &Daemon) -> bool {
    let keys = &daemon.ipsec.group_key;
    let found = keys.get(&daemon.records, &SecretName::GroupPresharedKey);
    found.is_ok_and(|found| found.is_some_and(|found| found.secret.is_some()))
}

/// Sets or removes the outer address of the tunnels to a destination.
pub(crate) async fn set_tunnel(
    daemon: &Daemon,
    request: v1::SetTunnelAddressRequest,
) -> Result<Change, Failure> {
    let destination = match request.destination_address.as_str() {
        "" => String::new(),
        given => convert::host_in(given, MAX_DESTINATION_LEN, "a tunnel's destination")?,
    };
    let outer = &request.outer_address;
    if !outer.is_empty() && outer.parse::<std::net::IpAddr>().is_err() {
        let what = format!(
            "a tunnel's outer address is an IP address, which {} is not",
            convert::excerpt(outer)
        );
        return Err(invalid(what));
    }
    let tunnel = TunnelAddress {
        initiator: initiator_in(request.initiator)?,
        destination,
        outer: request.outer_address,
        added_at_ms: 0,
    };
    let (tunnels, persist) = (&daemon.ipsec.tunnels, request.persist);
    if tunnel.outer.is_empty() {
        return tunnels.remove(&daemon.records, tunnel.key(), persist).await;
    }
    tunnels.put(&daemon.records, tunnel, persist).await
}

/// The outer addresses of tunnels.
pub(crate) fn show_tunnels(daemon: &Daemon) -> Vec<v1::TunnelAddress> {
    let all = daemon.ipsec.tunnels.all(&daemon.records).into_iter();
    all.map(|(tunnel, persisted)| v1::TunnelAddress {
        initiator: Some(convert::initiator_out(&tunnel.initiator)),
        destination_address: tunnel.destination,
        outer_address: tunnel.outer,
        persisted,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipsec_is_refused_only_where_it_is_demanded() {
        refuse(0, 0).unwrap();
        refuse(SECURITY_IPSEC, 0).unwrap();
        for (security, login) in [
            (SECURITY_VALID | SECURITY_IPSEC, 0),
            (0, FLAG_REQUIRE_IPSEC),
        ] {
            let failure = refuse(security, login).unwrap_err();
            assert_eq!(failure.status, Status::IPSEC_NOT_SUPPORTED_ON_OS);
        }
    }

    #[test]
    fn flags_that_exclude_each_other_are_refused_if_they_count() {
        for flags in [0x7e, 0x01, 0x27, 0x4b, 1 << 40] {
            check_flags(flags).unwrap();
        }
        for flags in [0x0d, 0x61, 0x7f] {
            let failure = check_flags(flags).unwrap_err();
            assert_eq!(failure.status, Status::ERROR_INVALID_PARAMETER);
        }
    }

    #[test]
    fn identities_have_a_type_and_its_size() {
        let identity = |id_type, id: &[u8]| {
            let id = id.to_vec();
            identity_in(METHOD_PRESHARED_KEY, Some(v1::IkeIdentity { id_type, id }))
        };
        for (id_type, id) in [
            (1, &[0; 4][..]),
            (2, b"san.example"),
            (3, b"me@san.example"),
            (5, &[0; 16]),
        ] {
            let given = u32::from(id_type);
            assert_eq!(identity(given, id).unwrap(), (id_type, id.to_vec()));
        }
        for (id_type, id) in [
            (1, &[0; 5][..]),
            (5, &[0; 4]),
            (2, b""),
            (2, b"a\0"),
            (3, &[b'x'; 256]),
        ] {
            let failure = identity(id_type, id).unwrap_err();
            assert_eq!(failure.status, Status::IKE_ID_PAYLOAD_INCORRECT_SIZE);
        }
        for id_type in [0, 4, 6, 257] {
            let failure = identity(id_type, &[0; 4]).unwrap_err();
            assert_eq!(failure.status, Status::IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED);
        }
        let failure = identity_in(2, None).unwrap_err();
        assert_eq!(failure.status, Status::ERROR_INVALID_PARAMETER);
    }
}
