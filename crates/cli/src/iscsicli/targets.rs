//! Known targets.

use hawser_api::discovery_library::Check;
use hawser_api::v1::{GetTargetRequest, ListTargetsRequest, Target, TargetInstance, TargetView};
use hawser_api::{Client, Failure, Status};
use serde_json::{Value, json};

use super::commands::Request;
use super::page::{Mapping, Page, shown};
use super::program::status_text;
use super::stop::{Answer, Stop};
use super::values::Values;
use crate::commands::LoginOptionsView;

/// `ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET`.
const HIDDEN: u32 = 0x2;

/// What the mechanism of a portal begins with; then come its address, its port and the initiator.
const SENDTARGETS: &str = "SendTargets:";
const PARTS_WITHOUT_SOURCE: usize = 3;

/// Properties of a target that are shown for one mechanism: the label with which a failure to read it is
/// told, the column filled.
const PROPERTIES: [&str; 7] = [
    "Protocol Type Failed ",
    "Target Alias Failed  ",
    "Portal Groups Failed ",
    "Initiator List Failed",
    "Target Flags Failed  ",
    "Login Options Failed ",
    "Target Mappings Failed ",
];

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    List {
        refresh: bool,
    },
    Info {
        name: String,
        mechanism: Option<String>,
    },
}

pub(super) fn list(values: &mut Values) -> Result<Request, Stop> {
    let refresh = values.flag();
    Ok(Request::Targets(Ask::List { refresh }))
}

pub(super) fn info(values: &mut Values) -> Result<Request, Stop> {
    let name = values.name();
    let mechanism = values.text();
    Ok(Request::Targets(Ask::Info { name, mechanism }))
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    match ask {
        Ask::List { refresh } => {
            let request = ListTargetsRequest {
                refresh,
                view: TargetView::Name.into(),
                ..ListTargetsRequest::default()
            };
            let answer = client.discovery().list_targets(request).await?.into_inner();
            let mut listed = names(&answer.targets);
            for portal in answer.refreshed {
                if let (Some(portal), Some(error)) = (portal.portal, portal.error) {
                    listed = listed.note(format!("portal {portal}: {}", error.message));
                }
            }
            for server in answer.refreshed_isns {
                if let Some(error) = server.error {
                    listed =
                        listed.note(format!("iSNS server {}: {}", server.address, error.message));
                }
            }
            Ok(listed)
        }
        Ask::Info { name, mechanism } => {
            let request = GetTargetRequest {
                target_name: name.clone(),
            };
            // Whatever is wrong with the name is told as what the service says is.
            let target = match request.check() {
                Ok(()) => known(client, request).await,
                Err(failure) => Err(failure),
            };
            details(&name, mechanism.as_deref(), &target)
        }
    }
}

async fn known(client: &Client, request: GetTargetRequest) -> Result<Target, Failure> {
    let told = client.discovery().get_target(request).await?;
    Ok(told.into_inner().target.unwrap_or_default())
}

/// `ListTargets`.
pub(super) fn names(targets: &[Target]) -> Answer {
    let mut page = Page::default();
    page.line("Targets List:");
    for target in targets {
        page.line(format!("    {}", shown(&target.target_name)));
    }
    let names = targets.iter().map(|target| target.target_name.clone());
    Answer::new(page, names.collect())
}

/// `TargetInfo`. With a mechanism it is carried out even for a target that is not known: each property
/// says why it cannot be read.
pub(super) fn details(
    name: &str,
    mechanism: Option<&str>,
    target: &Result<Target, Failure>,
) -> Result<Answer, Stop> {
    let mut page = Page::default();
    let by = mechanism.unwrap_or("<all mechanisms>");
    let (shown_name, by) = (shown(name), shown(by));
    page.line(format!(
        "Get Target information for {shown_name} discovered by {by}"
    ));
    let instances = match (target, mechanism) {
        (Err(failure), None) => {
            page.blank();
            return Err(Stop::from(failure.clone()).after(&page));
        }
        (target, _) => target.as_ref().map_or(&[][..], |target| &target.instances),
    };
    if target.is_ok() {
        mechanisms(&mut page, instances);
    }
    if let Some(mechanism) = mechanism {
        let found = instances
            .iter()
            .find(|instance| is_named(instance, mechanism));
        match (found, target) {
            (Some(found), target) => {
                let alias = target.as_ref().map_or("", |target| &target.alias);
                properties(&mut page, name, alias, found);
            }
            (None, Ok(_)) => failed(&mut page, Status::DISCOVERY_MECHANISM_NOT_FOUND),
            (None, Err(failure)) => failed(&mut page, failure.status),
        }
    }
    page.blank();
    let json = json!({
        "target": name,
        "instances": instances.iter().map(instance_json).collect::<Vec<_>>(),
    });
    Ok(Answer::new(page, json))
}

fn mechanisms(page: &mut Page, instances: &[TargetInstance]) {
    if instances.is_empty() {
        page.line("    Discovery Mechanisms: <This List is Empty>");
        return;
    }
    page.line("    Discovery Mechanisms :");
    for instance in instances {
        page.line(format!("         \"{}\"", mechanism(instance)));
    }
}

/// A mechanism as Windows writes it: behind the initiator of a portal there is a blank, then the address that it
/// is asked from, if one was chosen.
fn mechanism(instance: &TargetInstance) -> String {
    let mut text = shown(&instance.mechanism_text);
    let parts = text.trim_end().split(' ').count();
    if text.starts_with(SENDTARGETS) && parts == PARTS_WITHOUT_SOURCE && !text.ends_with(' ') {
        text.push(' ');
    }
    text
}

/// Whether a mechanism is meant: case and trailing blanks do not count.
fn is_named(instance: &TargetInstance, mechanism: &str) -> bool {
    let known = instance.mechanism_text.trim_end();
    known.eq_ignore_ascii_case(mechanism.trim_end())
}

fn failed(page: &mut Page, status: Status) {
    for label in PROPERTIES {
        page.line(format!("    {label}: {}", status_text(status)));
    }
}

/// The properties of a target by one mechanism; `alias` counts where that mechanism told none.
fn properties(page: &mut Page, name: &str, alias: &str, instance: &TargetInstance) {
    page.line("    Protocol Type        : iSCSI TCP Protocol");
    let alias = Some(instance.alias.as_str())
        .filter(|own| !own.is_empty())
        .unwrap_or(alias);
    page.line(format!("    Target Alias         : {}", shown(alias)));
    portal_groups(page, instance);
    let initiator = if instance.initiator_instance.is_empty() {
        "<Empty>".to_owned()
    } else {
        shown(&instance.initiator_instance)
    };
    page.line(format!("    Initiator Name       : {initiator}"));
    page.line(format!(
        "    Target Flags         : 0x{:x}",
        instance.target_flags
    ));
    if instance.target_flags & HIDDEN != 0 {
        page.line("                          Target is hidden until dynamically discovered");
    }
    if let Some(options) = &instance.login_options {
        page.login_options(options);
    }
    if let Some(mapping) = &instance.mapping {
        page.mapping(&Mapping::stored(
            mapping,
            name,
            &instance.initiator_instance,
        ));
    }
}

fn portal_groups(page: &mut Page, instance: &TargetInstance) {
    let groups = &instance.portal_groups;
    if groups.is_empty() {
        page.line("    PortalGroups         : <This List Is Empty>");
        return;
    }
    page.line(format!(
        "    PortalGroups         : {} portal groups",
        groups.len()
    ));
    for (index, group) in groups.iter().enumerate() {
        page.line(format!(
            "        Group {index} has {} portals",
            group.portals.len()
        ));
        for portal in &group.portals {
            let (address, name) = (shown(&portal.address), shown(&portal.symbolic_name));
            page.line(format!(
                "            Address and Socket    : {address} {}",
                portal.port
            ));
            page.line(format!("            Symbolic Name         : {name}"));
        }
    }
}

fn instance_json(instance: &TargetInstance) -> Value {
    let groups = instance.portal_groups.iter().map(|group| {
        json!({
            "tag": group.tag,
            "portals": group.portals.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    json!({
        "mechanism": instance.mechanism_text,
        "alias": instance.alias,
        "portal_groups": groups.collect::<Vec<_>>(),
        "initiator": instance.initiator_instance,
        "target_flags": instance.target_flags,
        "login_options": instance.login_options.as_ref().map(LoginOptionsView::from),
    })
}
