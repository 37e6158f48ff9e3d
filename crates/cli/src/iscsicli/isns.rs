//! iSNS servers.

use hawser_api::Client;
use hawser_api::discovery_library::Check;
use hawser_api::v1::{
    AddIsnsServerRequest, IsnsServer, ListIsnsServersRequest, RefreshIsnsServersRequest,
    RemoveIsnsServerRequest,
};
use serde_json::json;

use super::commands::Request;
use super::page::{Page, shown};
use super::stop::{Answer, Stop};
use super::values::Values;

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Add(AddIsnsServerRequest),
    Remove(RemoveIsnsServerRequest),
    Refresh(RefreshIsnsServersRequest),
    List,
}

pub(super) fn add(values: &mut Values) -> Result<Request, Stop> {
    let address = values.name();
    Ok(Request::Isns(Ask::Add(AddIsnsServerRequest { address })))
}

pub(super) fn remove(values: &mut Values) -> Result<Request, Stop> {
    let address = values.name();
    Ok(Request::Isns(Ask::Remove(RemoveIsnsServerRequest {
        address,
    })))
}

pub(super) fn refresh(values: &mut Values) -> Result<Request, Stop> {
    let address = values.name();
    Ok(Request::Isns(Ask::Refresh(RefreshIsnsServersRequest {
        address,
    })))
}

pub(super) fn list(_: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Isns(Ask::List))
}

/// Whether the Discovery Library would ask this.
///
/// # Errors
/// Why not.
pub(super) fn check(ask: &Ask) -> Result<(), Stop> {
    match ask {
        Ask::Add(request) => Ok(request.check()?),
        Ask::Remove(request) => Ok(request.check()?),
        Ask::Refresh(request) => Ok(request.check()?),
        Ask::List => Ok(()),
    }
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    let mut discovery = client.discovery();
    match ask {
        Ask::Add(request) => {
            let told = discovery.add_isns_server(request).await?.into_inner();
            let json = json!({ "targets": told.targets });
            Ok(Answer::new(Page::default(), json))
        }
        Ask::Remove(request) => {
            discovery.remove_isns_server(request).await?;
            Ok(Answer::done())
        }
        Ask::Refresh(request) => {
            let answer = discovery.refresh_isns_servers(request).await?.into_inner();
            let mut done = Answer::done();
            for server in answer.servers {
                if let Some(error) = server.error {
                    done = done.note(format!("{}: {}", server.address, error.message));
                }
            }
            Ok(done)
        }
        Ask::List => {
            let request = ListIsnsServersRequest {};
            let answer = discovery.list_isns_servers(request).await?;
            Ok(servers(&answer.into_inner().servers))
        }
    }
}

/// `ListiSNSServers`.
pub(super) fn servers(all: &[IsnsServer]) -> Answer {
    let mut page = Page::default();
    if all.is_empty() {
        page.line("No SNS Servers");
    }
    for server in all {
        page.line(format!("    {}", shown(&server.address)));
    }
    let addresses = all.iter().map(|server| server.address.clone());
    Answer::new(page, addresses.collect())
}
