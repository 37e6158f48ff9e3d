//! `hawser target list|info|add|remove`.

use hawser_api::v1::{
    AddStaticTargetRequest, Change, DiscoveryMechanism, GetTargetRequest, ListTargetsRequest,
    PortalRefresh, RemoveStaticTargetRequest, Target, TargetInstance,
};
use serde::Serialize;

use super::Daemon;
use super::login_options::{self, LoginOptionsView};
use super::portal::shown;
use super::reason::{some, whole};
use crate::args::{TargetAddArgs, TargetCommand, TargetListArgs};
use crate::error::CliError;
use crate::output::{self, Details, Listing, to_json};
use crate::progress;

/// `hawser target` with a subcommand.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(daemon: &Daemon, command: TargetCommand) -> Result<(), CliError> {
    match command {
        TargetCommand::List(args) => list(daemon, args).await,
        TargetCommand::Info(args) => {
            let request = GetTargetRequest {
                target_name: args.target.0,
            };
            let client = daemon.client().await?;
            let answer = client.discovery().get_target(request).await?.into_inner();
            let target = answer.target.unwrap_or_default();
            output::print(&if args.output.json {
                to_json(&TargetView::from(&target))
            } else {
                details(&target)
            })
        }
        TargetCommand::Add(args) => add(daemon, args).await,
        TargetCommand::Remove(args) => {
            let request = RemoveStaticTargetRequest {
                target_name: args.target.0.clone(),
            };
            let client = daemon.client().await?;
            client.discovery().remove_static_target(request).await?;
            output::print(&format!("{} removed", args.target))
        }
    }
}

async fn list(daemon: &Daemon, args: TargetListArgs) -> Result<(), CliError> {
    let request = ListTargetsRequest {
        refresh: args.refresh,
        ..ListTargetsRequest::default()
    };
    let client = daemon.client().await?;
    let mut discovery = client.discovery();
    let asked = discovery.list_targets(request);
    let answer = progress::during("asking for targets", asked)
        .await?
        .into_inner();
    for refresh in &answer.refreshed {
        note_failure(refresh);
    }
    let targets = &answer.targets;
    output::print(&if args.output.json {
        json(targets)
    } else {
        table(targets)
    })
}

/// A portal that does not answer does not fail the listing, but it is told.
fn note_failure(refresh: &PortalRefresh) {
    if let Some(error) = &refresh.error {
        output::note(&format!(
            "{}: {}",
            shown(refresh.portal.as_ref()),
            whole(error)
        ));
    }
}

async fn add(daemon: &Daemon, args: TargetAddArgs) -> Result<(), CliError> {
    let request = AddStaticTargetRequest {
        target_name: args.target.0.clone(),
        persist: true,
        portals: args.portals,
        ..AddStaticTargetRequest::default()
    };
    let client = daemon.client().await?;
    let answer = client
        .discovery()
        .add_static_target(request)
        .await?
        .into_inner();
    let change = match answer.change() {
        Change::Unspecified => "added",
        change => output::change(change),
    };
    output::print(&format!("{} {change}", args.target))
}

/// A target in JSON.
#[derive(Debug, Serialize)]
struct TargetView<'a> {
    target: &'a str,
    alias: Option<String>,
    portals: Vec<String>,
    sessions: Vec<String>,
    persistent: bool,
    discovered_by: Vec<InstanceView<'a>>,
}

/// What one discovery mechanism knows, in JSON.
#[derive(Debug, Serialize)]
struct InstanceView<'a> {
    mechanism: &'static str,
    mechanism_text: &'a str,
    source: Option<String>,
    portal_groups: Vec<GroupView>,
    persisted: bool,
    login_options: Option<LoginOptionsView>,
}

/// A portal group in JSON.
#[derive(Debug, Serialize)]
struct GroupView {
    tag: Option<u32>,
    portals: Vec<String>,
}

impl<'a> From<&'a Target> for TargetView<'a> {
    fn from(target: &'a Target) -> Self {
        Self {
            target: &target.target_name,
            alias: some(&target.alias),
            portals: portals(target),
            sessions: target.sessions.iter().map(ToString::to_string).collect(),
            persistent: target.persistent,
            discovered_by: target.instances.iter().map(Into::into).collect(),
        }
    }
}

impl<'a> From<&'a TargetInstance> for InstanceView<'a> {
    fn from(instance: &'a TargetInstance) -> Self {
        let groups = instance.portal_groups.iter().map(|group| GroupView {
            tag: group.tag,
            portals: group.portals.iter().map(ToString::to_string).collect(),
        });
        Self {
            mechanism: mechanism(instance.mechanism()),
            mechanism_text: &instance.mechanism_text,
            source: instance.source.as_ref().map(ToString::to_string),
            portal_groups: groups.collect(),
            persisted: instance.persisted,
            login_options: instance.login_options.as_ref().map(Into::into),
        }
    }
}

fn mechanism(mechanism: DiscoveryMechanism) -> &'static str {
    match mechanism {
        DiscoveryMechanism::Unspecified => "unknown",
        DiscoveryMechanism::SendTargets => "send-targets",
        DiscoveryMechanism::Static => "static",
        DiscoveryMechanism::Isns => "isns",
    }
}

/// Every portal of a target once, in the order of its mechanisms.
fn portals(target: &Target) -> Vec<String> {
    let mut all = Vec::new();
    let groups = target
        .instances
        .iter()
        .flat_map(|instance| &instance.portal_groups);
    for portal in groups.flat_map(|group| &group.portals) {
        let portal = portal.to_string();
        if !all.contains(&portal) {
            all.push(portal);
        }
    }
    all
}

/// The targets as JSON.
fn json(targets: &[Target]) -> String {
    to_json(&targets.iter().map(TargetView::from).collect::<Vec<_>>())
}

/// The targets as a table.
fn table(targets: &[Target]) -> String {
    let heads = [
        "TARGET",
        "PORTALS",
        "FOUND BY",
        ">SESSIONS",
        "PERSISTENT",
        "ALIAS",
    ];
    let mut listing = Listing::new(
        &heads,
        "no targets: ask a portal with `hawser portal add ADDR`",
    );
    for target in targets {
        let mut found_by: Vec<&str> = target
            .instances
            .iter()
            .map(|instance| mechanism(instance.mechanism()))
            .collect();
        found_by.dedup();
        listing.row([
            target.target_name.as_str(),
            &portals(target).join(" "),
            &found_by.join(" "),
            &target.sessions.len().to_string(),
            if target.persistent { "yes" } else { "no" },
            &target.alias,
        ]);
    }
    listing.into_text()
}

/// One target in full.
fn details(target: &Target) -> String {
    let mut details = Details::default();
    details.line("Target", &target.target_name);
    details.line_if("Alias", &target.alias);
    details.line(
        "Persistent login",
        if target.persistent { "yes" } else { "no" },
    );
    details.list("Sessions", &target.sessions);
    for instance in &target.instances {
        let source = instance
            .source
            .as_ref()
            .map(|source| format!(" at {source}"));
        let how = mechanism(instance.mechanism());
        details.line("Found by", format!("{how}{}", source.unwrap_or_default()));
        for group in &instance.portal_groups {
            let tag = group
                .tag
                .map_or_else(|| "?".to_owned(), |tag| tag.to_string());
            let group_portals: Vec<String> =
                group.portals.iter().map(ToString::to_string).collect();
            details.line(format!("  Portal group {tag}"), group_portals.join(" "));
        }
        let summary = login_options::summary(instance.login_options.as_ref(), None);
        details.line_if("  Login options", &summary);
    }
    details.into_text()
}

#[cfg(test)]
mod tests;
