//! Persistent logins.

use hawser_api::Client;
use hawser_api::discovery_library::Check;
use hawser_api::v1::{ListPersistentLoginsRequest, PersistentLogin, RemovePersistentLoginRequest};
use serde_json::{Value, json};

use super::commands::Request;
use super::discovery::{given, instance};
use super::page::{Mapping, Page, shown};
use super::stop::{Answer, Stop};
use super::values::Values;
use crate::commands::LoginOptionsView;

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    List,
    Remove(RemovePersistentLoginRequest),
}

pub(super) fn list(_: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Persistent(Ask::List))
}

pub(super) fn remove(values: &mut Values) -> Result<Request, Stop> {
    let instance = values.name();
    let target_name = values.name();
    let port_number = values.number();
    let portal = values.portal()?;
    let initiator = hawser_api::v1::InitiatorPort {
        instance,
        port_number,
        source_address: None,
    };
    let request = RemovePersistentLoginRequest {
        initiator: given(initiator),
        target_name,
        portal,
    };
    Ok(Request::Persistent(Ask::Remove(request)))
}

/// Whether the Discovery Library would ask this.
///
/// # Errors
/// Why not.
pub(super) fn check(ask: &Ask) -> Result<(), Stop> {
    match ask {
        Ask::List => Ok(()),
        Ask::Remove(request) => Ok(request.check()?),
    }
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    let mut sessions = client.sessions();
    match ask {
        Ask::List => {
            let request = ListPersistentLoginsRequest {};
            let answer = sessions.list_persistent_logins(request).await?;
            Ok(logins(&answer.into_inner().logins))
        }
        Ask::Remove(request) => {
            let answer = sessions.remove_persistent_login(request).await?;
            let answer = answer.into_inner();
            let mut done = Answer::new(Page::default(), json!({ "removed": answer.removed }));
            for path in answer.orphaned_paths {
                done = done.note(format!("{path} is bound and does not come back any more"));
            }
            Ok(done)
        }
    }
}

/// `ListPersistentTargets`.
pub(super) fn logins(all: &[PersistentLogin]) -> Answer {
    let mut page = Page::default();
    if !all.is_empty() {
        // Spelt so on Windows, and looked for so by scripts.
        page.line(format!("Total of {} peristent targets", all.len()));
    }
    for login in all {
        one_login(&mut page, login);
    }
    Answer::new(page, all.iter().map(login_json).collect())
}

fn one_login(page: &mut Page, login: &PersistentLogin) {
    let (address, port) = match &login.portal {
        Some(portal) if !portal.address.is_empty() => (shown(&portal.address), portal.port),
        _ => ("*".to_owned(), 0),
    };
    let kind = if login.informational {
        "Informational"
    } else {
        "Data"
    };
    let initiator = instance(login.initiator.as_ref());
    let name = shown(&login.target_name);
    page.line(format!("    Target Name           : {name}"));
    page.line(format!("    Address and Socket    : {address} {port}"));
    page.line(format!("    Session Type          : {kind}"));
    page.line(format!("    Initiator Name        : {}", shown(initiator)));
    page.port_number("Port Number           ", login.initiator.as_ref());
    page.security_flags(login.security_flags);
    page.login_options(&login.login_options.clone().unwrap_or_default());
    if let Some(mapping) = &login.mapping {
        page.mapping(&Mapping::stored(mapping, &login.target_name, initiator));
    }
    page.blank();
}

fn login_json(login: &PersistentLogin) -> Value {
    json!({
        "target": login.target_name,
        "portal": login.portal.as_ref().map(ToString::to_string),
        "informational": login.informational,
        "initiator": instance(login.initiator.as_ref()),
        "port_number": login.initiator.as_ref().and_then(|initiator| initiator.port_number),
        "security_flags": login.security_flags,
        "login_options": login.login_options.as_ref().map(LoginOptionsView::from),
        "session": login.session_id.map(|id| id.to_string()),
    })
}
