//! `hawser portal`.

use hawser_api::Failure;
use hawser_api::v1::{
    AddPortalRequest, ListPortalsRequest, PortalRefresh, RefreshPortalsRequest,
    RemovePortalRequest, StoredPortal,
};
use serde::Serialize;

use super::Daemon;
use super::login_options::{self, LoginOptionsView};
use super::reason::{ReasonView, short, whole};
use crate::args::{PortalCommand, PortalRefreshArgs};
use crate::error::CliError;
use crate::output::{self, Listing, to_json};
use crate::progress;

/// `hawser portal`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(daemon: &Daemon, command: PortalCommand) -> Result<(), CliError> {
    match command {
        PortalCommand::Add(args) => {
            let request = AddPortalRequest {
                portal: Some(args.portal.clone()),
                initiator: args.source.map(login_options::from_source),
                login_options: login_options::from_args(&args.options)?,
                ..AddPortalRequest::default()
            };
            let client = daemon.client().await?;
            let mut discovery = client.discovery();
            let what = format!("asking {} for its targets", args.portal);
            let answer = progress::during(&what, discovery.add_portal(request))
                .await?
                .into_inner();
            if args.output.json {
                return output::print(&to_json(&answer.targets));
            }
            let change = output::change(answer.change());
            output::print(&found(
                &format!("{} {change}", args.portal),
                &answer.targets,
            ))
        }
        PortalCommand::Remove(args) => {
            let request = RemovePortalRequest {
                portal: Some(args.portal.clone()),
                initiator: None,
            };
            let client = daemon.client().await?;
            let answer = client
                .discovery()
                .remove_portal(request)
                .await?
                .into_inner();
            let mut text = format!("{} removed\n", args.portal);
            for target in &answer.forgotten_targets {
                text += &format!("  {} is no longer known\n", hawser_api::printable(target));
            }
            output::print(&text)
        }
        PortalCommand::Refresh(args) => refresh(daemon, args).await,
        PortalCommand::List(output) => {
            let client = daemon.client().await?;
            let answer = client
                .discovery()
                .list_portals(ListPortalsRequest {})
                .await?;
            let portals = answer.into_inner().portals;
            output::print(&if output.json {
                json(&portals)
            } else {
                table(&portals)
            })
        }
    }
}

/// `hawser portal refresh`: asks one portal, or all, for their targets again.
async fn refresh(daemon: &Daemon, args: PortalRefreshArgs) -> Result<(), CliError> {
    let request = RefreshPortalsRequest {
        portal: args.portal,
        initiator: None,
    };
    let client = daemon.client().await?;
    let mut discovery = client.discovery();
    let asked = discovery.refresh_portals(request);
    let answer = progress::during("asking for targets", asked)
        .await?
        .into_inner();
    let portals = &answer.portals;
    output::print(&if args.output.json {
        refreshed_json(portals)
    } else {
        refreshed_text(portals)
    })?;
    first_failure(portals)
}

/// What a portal told: a head line, then one line a target.
fn found(head: &str, targets: &[String]) -> String {
    let mut text = match targets.len() {
        0 => format!("{head}; it has no targets for us\n"),
        1 => format!("{head}; 1 target:\n"),
        count => format!("{head}; {count} targets:\n"),
    };
    for target in targets {
        text += &format!("  {}\n", hawser_api::printable(target));
    }
    text
}

/// Several portals fail one by one; the first failure decides how the command ends.
fn first_failure(portals: &[PortalRefresh]) -> Result<(), CliError> {
    match portals.iter().find_map(|portal| portal.error.clone()) {
        Some(error) => Err(Failure::from(error).into()),
        None => Ok(()),
    }
}

/// How portals answered, for people.
pub(crate) fn refreshed_text(portals: &[PortalRefresh]) -> String {
    let lines = portals.iter().map(|refresh| {
        let portal = shown(refresh.portal.as_ref());
        match &refresh.error {
            Some(error) => format!("{portal}: {}\n", whole(error)),
            None => found(&format!("{portal} answered"), &refresh.targets),
        }
    });
    let text: String = lines.collect();
    if text.is_empty() {
        "no portals\n".to_owned()
    } else {
        text
    }
}

/// How a portal answered, in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct RefreshView<'a> {
    portal: String,
    targets: &'a [String],
    error: Option<ReasonView>,
}

impl<'a> From<&'a PortalRefresh> for RefreshView<'a> {
    fn from(refresh: &'a PortalRefresh) -> Self {
        Self {
            portal: shown(refresh.portal.as_ref()),
            targets: &refresh.targets,
            error: refresh.error.as_ref().map(Into::into),
        }
    }
}

fn refreshed_json(portals: &[PortalRefresh]) -> String {
    to_json(&portals.iter().map(RefreshView::from).collect::<Vec<_>>())
}

/// A portal that may be missing in an answer.
pub(crate) fn shown(portal: Option<&hawser_api::v1::Portal>) -> String {
    portal.map(ToString::to_string).unwrap_or_default()
}

/// A stored portal in JSON.
#[derive(Debug, Serialize)]
struct PortalView<'a> {
    portal: String,
    source: Option<&'a str>,
    targets: &'a [String],
    last_answer_ms: Option<i64>,
    last_error: Option<ReasonView>,
    login_options: Option<LoginOptionsView>,
}

/// The stored portals as JSON.
fn json(portals: &[StoredPortal]) -> String {
    let views = portals.iter().map(|stored| PortalView {
        portal: shown(stored.portal.as_ref()),
        source: login_options::source(stored.initiator.as_ref()),
        targets: &stored.targets,
        last_answer_ms: stored.last_answer_ms,
        last_error: stored.last_error.as_ref().map(Into::into),
        login_options: stored.login_options.as_ref().map(Into::into),
    });
    to_json(&views.collect::<Vec<_>>())
}

/// The stored portals as a table.
fn table(portals: &[StoredPortal]) -> String {
    let heads = ["PORTAL", ">TARGETS", "LAST ANSWER", "LOGIN", "LAST ERROR"];
    let mut listing = Listing::new(&heads, "no portals: add one with `hawser portal add ADDR`");
    for stored in portals {
        listing.row([
            shown(stored.portal.as_ref()).as_str(),
            &stored.targets.len().to_string(),
            &output::time(stored.last_answer_ms.unwrap_or_default()),
            &login_options::summary(stored.login_options.as_ref(), stored.initiator.as_ref()),
            &short(stored.last_error.as_ref()),
        ]);
    }
    listing.into_text()
}

#[cfg(test)]
mod tests;
