//! The initiator itself, and what only the program of Windows does.

use hawser_api::discovery_library::Check;
use hawser_api::v1::{Initiator, ListInitiatorsRequest, SetNodeNameRequest};
use hawser_api::{Client, Failure, Status};
use serde_json::json;

use super::commands::Request;
use super::page::{Page, shown};
use super::stop::{Answer, Stop};
use super::values::Values;

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    List,
    NodeName(SetNodeNameRequest),
}

pub(super) fn list(_: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Initiator(Ask::List))
}

pub(super) fn node_name(values: &mut Values) -> Result<Request, Stop> {
    let node_name = values.name();
    Ok(Request::Initiator(Ask::NodeName(SetNodeNameRequest {
        node_name,
    })))
}

/// `Ping`: its output is not known, and every system has a program for it.
pub(super) fn ping(_: &mut Values) -> Result<Request, Stop> {
    let failure = Failure::new(Status::ERROR_NOT_SUPPORTED, "Ping is not supported");
    Err(failure.with_advice("use ping(8)").into())
}

/// `FirewallExemptiSNSServer`: the firewall of this machine is not ours to open.
pub(super) fn firewall(_: &mut Values) -> Result<Request, Stop> {
    let what = "FirewallExemptiSNSServer is not supported";
    let advice = "let iSNS (port 3205) through with the firewall's own tools";
    let failure = Failure::new(Status::ERROR_NOT_SUPPORTED, what);
    Err(failure.with_advice(advice).into())
}

/// Whether the Discovery Library would ask this.
///
/// # Errors
/// Why not.
pub(super) fn check(ask: &Ask) -> Result<(), Stop> {
    match ask {
        Ask::List => Ok(()),
        Ask::NodeName(request) => Ok(request.check()?),
    }
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    let mut system = client.system();
    match ask {
        Ask::List => {
            let answer = system.list_initiators(ListInitiatorsRequest {}).await?;
            Ok(initiators(&answer.into_inner().initiators))
        }
        Ask::NodeName(request) => {
            let answer = system.set_node_name(request).await?.into_inner();
            let json = json!({ "node_name": answer.node_name });
            Ok(Answer::new(Page::default(), json).warning(answer.warning))
        }
    }
}

/// `ListInitiators`.
pub(super) fn initiators(all: &[Initiator]) -> Answer {
    let mut page = Page::default();
    page.line("Initiators List:");
    for initiator in all {
        page.line(format!("    {}", shown(&initiator.instance)));
    }
    let names = all.iter().map(|initiator| initiator.instance.clone());
    Answer::new(page, names.collect())
}
