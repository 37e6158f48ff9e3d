//! Static targets and send-targets portals.

use hawser_api::Client;
use hawser_api::discovery_library::Check;
use hawser_api::v1::{
    AddPortalRequest, AddStaticTargetRequest, InitiatorPort, ListPortalsRequest, LoginOptions,
    RefreshPortalsRequest, RemovePortalRequest, RemoveStaticTargetRequest, StoredPortal,
};
use serde_json::{Value, json};

use super::commands::Request;
use super::options;
use super::page::{Page, shown};
use super::stop::{Answer, Stop};
use super::values::{Values, portal};
use crate::commands::LoginOptionsView;

/// `ISCSI_TARGET_FLAG_MERGE_TARGET_INFORMATION`.
const MERGE: u32 = 0x4;

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    AddTarget(AddStaticTargetRequest),
    RemoveTarget(RemoveStaticTargetRequest),
    AddPortal(AddPortalRequest),
    RemovePortal(RemovePortalRequest),
    RefreshPortal(RefreshPortalsRequest),
    ListPortals,
}

pub(super) fn add_target(values: &mut Values) -> Result<Request, Stop> {
    let target_name = values.name();
    let alias = values.name();
    let portal = values.portal()?;
    let target_flags = values.number().unwrap_or(0);
    let persist = values.flag();
    // Options of which none is specified are options too, and TargetInfo lists them as such. Merged into what is stored
    // they would take its place, and `*` asks for no change.
    let none_specified = (target_flags & MERGE == 0).then(LoginOptions::default);
    Ok(Request::Discovery(Ask::AddTarget(AddStaticTargetRequest {
        target_name,
        alias,
        target_flags,
        persist,
        login_options: values.login_options().or(none_specified),
        mapping: values.mapping(),
        portals: portal.into_iter().collect(),
    })))
}

pub(super) fn quick_add_target(values: &mut Values) -> Result<Request, Stop> {
    let target_name = values.name();
    let address = values.text();
    Ok(Request::Discovery(Ask::AddTarget(AddStaticTargetRequest {
        target_name,
        persist: true,
        portals: address
            .map(|address| portal(address, 0))
            .into_iter()
            .collect(),
        ..AddStaticTargetRequest::default()
    })))
}

pub(super) fn remove_target(values: &mut Values) -> Result<Request, Stop> {
    let target_name = values.name();
    let request = RemoveStaticTargetRequest { target_name };
    Ok(Request::Discovery(Ask::RemoveTarget(request)))
}

pub(super) fn add_portal(values: &mut Values) -> Result<Request, Stop> {
    let portal = values.portal()?;
    let initiator = values.initiator();
    let security_flags = values.number().unwrap_or(0).into();
    Ok(Request::Discovery(Ask::AddPortal(AddPortalRequest {
        initiator: given(initiator),
        portal,
        login_options: values.login_options(),
        security_flags,
    })))
}

pub(super) fn quick_add_portal(values: &mut Values) -> Result<Request, Stop> {
    let address = values.name();
    let (user, secret) = (values.text(), values.secret());
    Ok(Request::Discovery(Ask::AddPortal(AddPortalRequest {
        portal: Some(portal(address, 0)),
        login_options: user.map(|user| options::one_way_chap(user, secret)),
        ..AddPortalRequest::default()
    })))
}

pub(super) fn remove_portal(values: &mut Values) -> Result<Request, Stop> {
    let portal = values.portal()?;
    let initiator = given(values.initiator());
    let request = RemovePortalRequest { initiator, portal };
    Ok(Request::Discovery(Ask::RemovePortal(request)))
}

pub(super) fn refresh_portal(values: &mut Values) -> Result<Request, Stop> {
    let portal = values.portal()?;
    let initiator = given(values.initiator());
    let request = RefreshPortalsRequest { initiator, portal };
    Ok(Request::Discovery(Ask::RefreshPortal(request)))
}

pub(super) fn list_portals(_: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Discovery(Ask::ListPortals))
}

/// The initiator of a request, if one was named.
pub(super) fn given(initiator: InitiatorPort) -> Option<InitiatorPort> {
    (initiator != InitiatorPort::default()).then_some(initiator)
}

/// Whether the Discovery Library would ask this.
///
/// # Errors
/// Why not.
pub(super) fn check(ask: &Ask) -> Result<(), Stop> {
    match ask {
        Ask::AddTarget(request) => request.check()?,
        Ask::RemoveTarget(request) => request.check()?,
        Ask::AddPortal(request) => request.check()?,
        Ask::RemovePortal(request) => request.check()?,
        Ask::RefreshPortal(request) => request.check()?,
        Ask::ListPortals => {}
    }
    Ok(())
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    let mut discovery = client.discovery();
    match ask {
        Ask::AddTarget(request) => drop(discovery.add_static_target(request).await?),
        Ask::RemoveTarget(request) => drop(discovery.remove_static_target(request).await?),
        Ask::AddPortal(request) => {
            let told = discovery.add_portal(request).await?.into_inner().targets;
            return Ok(Answer::new(Page::default(), json!({ "targets": told })));
        }
        Ask::RemovePortal(request) => drop(discovery.remove_portal(request).await?),
        Ask::RefreshPortal(request) => drop(discovery.refresh_portals(request).await?),
        Ask::ListPortals => {
            let stored = discovery.list_portals(ListPortalsRequest {}).await?;
            return Ok(portals(&stored.into_inner().portals));
        }
    }
    Ok(Answer::done())
}

/// `ListTargetPortals`.
pub(super) fn portals(stored: &[StoredPortal]) -> Answer {
    let mut page = Page::default();
    if !stored.is_empty() {
        page.line(format!("Total of {} portals are persisted:", stored.len()));
        page.blank();
    }
    for one in stored {
        let portal = one.portal.clone().unwrap_or_default();
        let (address, name) = (shown(&portal.address), shown(&portal.symbolic_name));
        page.line(format!(
            "    Address and Socket   : {address} {}",
            portal.port
        ));
        page.line(format!("    Symbolic Name        : {name}"));
        page.line(format!(
            "    Initiator Name       : {}",
            shown(instance(one.initiator.as_ref()))
        ));
        page.port_number("Port Number          ", one.initiator.as_ref());
        page.security_flags(one.security_flags);
        page.login_options(&one.login_options.clone().unwrap_or_default());
        page.blank();
    }
    Answer::new(page, stored.iter().map(portal_json).collect())
}

fn portal_json(stored: &StoredPortal) -> Value {
    json!({
        "portal": stored.portal.as_ref().map(ToString::to_string),
        "initiator": instance(stored.initiator.as_ref()),
        "port_number": stored.initiator.as_ref().and_then(|initiator| initiator.port_number),
        "security_flags": stored.security_flags,
        "login_options": stored.login_options.as_ref().map(LoginOptionsView::from),
        "targets": stored.targets,
    })
}

/// Name of an initiator instance; empty for any.
pub(super) fn instance(initiator: Option<&InitiatorPort>) -> &str {
    initiator.map_or("", |initiator| initiator.instance.as_str())
}
