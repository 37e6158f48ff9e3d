//! Secrets and keys of the initiator itself, IKE and IPsec settings.

use std::net::{Ipv4Addr, Ipv6Addr};

use hawser_api::Client;
use hawser_api::discovery_library::Check;
use hawser_api::v1::{
    ClearChapSecretRequest, GetIkeInfoRequest, IkeIdentity, InitiatorPort, SetChapSecretRequest,
    SetGroupPresharedKeyRequest, SetIkeInfoRequest, SetTunnelAddressRequest,
};
use serde_json::json;

use super::commands::Request;
use super::discovery::given;
use super::page::Page;
use super::stop::{Answer, Stop};
use super::values::Values;

/// `IKE_AUTHENTICATION_PRESHARED_KEY_METHOD`.
const PRESHARED_KEY: u32 = 1;

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// None: it is cleared.
    ChapSecret(Option<SetChapSecretRequest>),
    GroupKey(SetGroupPresharedKeyRequest),
    SetIke(SetIkeInfoRequest),
    GetIke(GetIkeInfoRequest),
    Tunnel(SetTunnelAddressRequest),
}

pub(super) fn chap_secret(values: &mut Values) -> Result<Request, Stop> {
    // A length of 0 clears it, as in the Discovery Library.
    let secret = values.secret().filter(|secret| !secret.is_empty());
    let request = secret.map(|secret| SetChapSecretRequest {
        secret: Some(secret),
        allow_long: false,
        store_short: true,
    });
    Ok(Request::Security(Ask::ChapSecret(request)))
}

pub(super) fn group_key(values: &mut Values) -> Result<Request, Stop> {
    let key = values.secret();
    let persist = values.flag();
    let request = SetGroupPresharedKeyRequest { key, persist };
    Ok(Request::Security(Ask::GroupKey(request)))
}

pub(super) fn preshared_key(values: &mut Values) -> Result<Request, Stop> {
    let initiator = given(values.initiator());
    let security_flags = values.number().unwrap_or(0).into();
    let identity = identity(values)?;
    let key = values.secret();
    Ok(Request::Security(Ask::SetIke(SetIkeInfoRequest {
        initiator,
        auth_method: PRESHARED_KEY,
        identity: Some(identity),
        security_flags,
        key,
        persist: values.flag(),
    })))
}

pub(super) fn get_preshared_key(values: &mut Values) -> Result<Request, Stop> {
    let initiator = given(values.initiator());
    let identity = identity(values)?;
    Ok(Request::Security(Ask::GetIke(GetIkeInfoRequest {
        initiator,
        auth_method: PRESHARED_KEY,
        identity: Some(identity),
    })))
}

/// An IKE identity: its type, then itself.
fn identity(values: &mut Values) -> Result<IkeIdentity, Stop> {
    let id_type = values.number().unwrap_or(0);
    let text = values.name();
    let no_address = || Stop::invalid(format!("{text} is not an address of id type {id_type}"));
    let id = match id_type {
        1 => {
            let address: Ipv4Addr = text.parse().map_err(|_| no_address())?;
            address.octets().to_vec()
        }
        5 => {
            let address: Ipv6Addr = text.parse().map_err(|_| no_address())?;
            address.octets().to_vec()
        }
        2 | 3 => text.into_bytes(),
        _ => {
            let line = "Error, only id types 1 (IPv4 address), 2 (domain name), \
                        3 (name at a domain) and 5 (IPv6 address) are supported";
            return Err(Stop::Said(line.to_owned()));
        }
    };
    Ok(IkeIdentity { id_type, id })
}

pub(super) fn tunnel_address(values: &mut Values) -> Result<Request, Stop> {
    let initiator: InitiatorPort = values.initiator();
    let destination_address = values.name();
    let outer_address = values.name();
    Ok(Request::Security(Ask::Tunnel(SetTunnelAddressRequest {
        initiator: given(initiator),
        destination_address,
        outer_address,
        persist: values.flag(),
    })))
}

/// Whether the Discovery Library would ask this.
///
/// # Errors
/// Why not.
pub(super) fn check(ask: &Ask) -> Result<(), Stop> {
    match ask {
        Ask::ChapSecret(request) => request.as_ref().map_or(Ok(()), Check::check)?,
        Ask::GroupKey(request) => request.check()?,
        Ask::SetIke(request) => request.check()?,
        Ask::GetIke(request) => request.check()?,
        Ask::Tunnel(request) => request.check()?,
    }
    Ok(())
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    let mut security = client.security();
    match ask {
        Ask::ChapSecret(None) => {
            security
                .clear_chap_secret(ClearChapSecretRequest {})
                .await?;
        }
        Ask::ChapSecret(Some(request)) => {
            let answer = security.set_chap_secret(request).await?.into_inner();
            return Ok(Answer::done().warning(answer.warning));
        }
        Ask::GroupKey(request) => drop(security.set_group_preshared_key(request).await?),
        Ask::SetIke(request) => drop(security.set_ike_info(request).await?),
        Ask::GetIke(request) => {
            let answer = security.get_ike_info(request).await?.into_inner();
            return Ok(flags(answer.security_flags));
        }
        Ask::Tunnel(request) => drop(security.set_tunnel_address(request).await?),
    }
    Ok(Answer::done())
}

/// `GetPSKey`.
pub(super) fn flags(security_flags: u64) -> Answer {
    let mut page = Page::default();
    page.security_flags(security_flags);
    Answer::new(page, json!({ "security_flags": security_flags }))
}
