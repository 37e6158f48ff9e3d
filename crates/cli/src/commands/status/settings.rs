//! What the daemon was told to keep: where targets are looked for, servers that know secrets, IPsec settings.

use std::net::{Ipv4Addr, Ipv6Addr};

use hawser_api::Client;
use hawser_api::v1::{
    DiscoveryMechanism, ErrorDetail, IkeIdentity, IkeInfo, InitiatorPort, IsnsServer,
    ListIkeInfoRequest, ListIsnsServersRequest, ListPortalsRequest, ListRadiusServersRequest,
    ListTargetsRequest, ListTunnelAddressesRequest, StoredPortal, Target, TargetInstance,
    TunnelAddress,
};
use serde::Serialize;

use crate::commands::portal::shown;
use crate::commands::reason::{ReasonView, short, some};
use crate::error::CliError;
use crate::output::Details;

/// Lines that are shown of one kind of setting: whoever has more asks for their list.
const MOST_LINES: usize = 16;

/// `ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET`.
const HIDDEN: u32 = 0x2;

/// Behind a setting that the store does not keep.
const NOT_KEPT: &str = ", until the daemon ends";

/// All settings, in the daemon's order.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) portals: Vec<StoredPortal>,
    pub(super) isns_servers: Vec<IsnsServer>,
    /// Targets, of which those count that were made known by hand.
    pub(super) targets: Vec<Target>,
    pub(super) radius_servers: Vec<String>,
    pub(super) ike_identities: Vec<IkeInfo>,
    pub(super) tunnels: Vec<TunnelAddress>,
}

impl Settings {
    /// Asks the daemon for them.
    ///
    /// # Errors
    /// Why it does not say.
    pub(super) async fn ask(client: &Client) -> Result<Self, CliError> {
        let (mut discovery, mut security) = (client.discovery(), client.security());
        let targets = ListTargetsRequest {
            include_hidden: true,
            ..ListTargetsRequest::default()
        };
        let portals = discovery.list_portals(ListPortalsRequest {}).await?;
        let servers = discovery
            .list_isns_servers(ListIsnsServersRequest {})
            .await?;
        let targets = discovery.list_targets(targets).await?;
        let radius = security
            .list_radius_servers(ListRadiusServersRequest {})
            .await?;
        let identities = security.list_ike_info(ListIkeInfoRequest {}).await?;
        let tunnels = security
            .list_tunnel_addresses(ListTunnelAddressesRequest {})
            .await?;
        Ok(Self {
            portals: portals.into_inner().portals,
            isns_servers: servers.into_inner().servers,
            targets: targets.into_inner().targets,
            radius_servers: radius.into_inner().addresses,
            ike_identities: identities.into_inner().infos,
            tunnels: tunnels.into_inner().addresses,
        })
    }

    /// Targets that were made known by hand.
    fn static_targets(&self) -> impl Iterator<Item = (&Target, &TargetInstance)> {
        self.targets.iter().flat_map(|target| {
            let instances = target.instances.iter();
            let made = instances.filter(|one| one.mechanism() == DiscoveryMechanism::Static);
            made.map(move |instance| (target, instance))
        })
    }

    /// Where targets are looked for.
    pub(super) fn sources(&self, details: &mut Details) {
        let portals = self.portals.iter().map(|stored| {
            let portal = shown(stored.portal.as_ref());
            let (count, error) = (stored.targets.len(), stored.last_error.as_ref());
            format!(
                "{portal}: {}",
                answered(stored.last_answer_ms, count, error)
            )
        });
        lines(details, "Portals", portals, "hawser portal list");
        let servers = self.isns_servers.iter().map(|server| {
            let (count, error) = (server.targets.len(), server.last_error.as_ref());
            let told = answered(server.last_answer_ms, count, error);
            format!("{}: {told}", server.address)
        });
        lines(details, "iSNS servers", servers, "iscsicli ListiSNSServers");
        let made = self.static_targets().map(|(target, instance)| {
            let mut line = format!("{}: {}", target.target_name, portals_of(instance));
            if instance.target_flags & HIDDEN != 0 {
                line.push_str(", hidden until it is discovered");
            }
            kept(line, instance.persisted)
        });
        lines(details, "Static targets", made, "hawser target list");
    }

    /// Servers that are asked whether a target proved itself.
    pub(super) fn radius_servers(&self, details: &mut Details) {
        let servers = self.radius_servers.iter().cloned();
        lines(details, "RADIUS servers", servers, "hawser status --json");
    }

    /// IKE identities, without their keys, and tunnels.
    pub(super) fn ipsec(&self, details: &mut Details) {
        let identities = self.ike_identities.iter().map(|info| {
            let identity = info.identity.clone().unwrap_or_default();
            let (kind, name) = named(&identity);
            let of = of_port(info.initiator.as_ref());
            let line = format!("{kind} {name}{of}, flags {:#x}", info.security_flags);
            kept(line, info.persisted)
        });
        let more = "hawser status --json";
        lines(details, "IKE identities", identities, more);
        let tunnels = self.tunnels.iter().map(|tunnel| {
            let destination = match tunnel.destination_address.as_str() {
                "" => "all others",
                address => address,
            };
            let of = of_port(tunnel.initiator.as_ref());
            let line = format!("to {destination} by {}{of}", tunnel.outer_address);
            kept(line, tunnel.persisted)
        });
        lines(details, "Tunnels", tunnels, more);
    }
}

/// A line a setting, as many as are shown; `none` if there are none.
fn lines(details: &mut Details, name: &str, settings: impl Iterator<Item = String>, more: &str) {
    let mut settings = settings.peekable();
    if settings.peek().is_none() {
        details.line(name, "none");
        return;
    }
    details.list(name, settings.by_ref().take(MOST_LINES));
    let left = settings.count();
    if left > 0 {
        details.line("", format!("and {left} more: {more}"));
    }
}

/// What a portal or server last said.
fn answered(last: Option<i64>, targets: usize, error: Option<&ErrorDetail>) -> String {
    match (error, last, targets) {
        (Some(error), _, _) => short(Some(error)),
        (None, None, _) => "not asked yet".to_owned(),
        (None, Some(_), 1) => "1 target".to_owned(),
        (None, Some(_), count) => format!("{count} targets"),
    }
}

fn portals_of(instance: &TargetInstance) -> String {
    let groups = instance.portal_groups.iter();
    let portals = groups.flat_map(|group| group.portals.iter().map(ToString::to_string));
    let portals: Vec<String> = portals.collect();
    match portals.is_empty() {
        true => "no portal".to_owned(),
        false => portals.join(", "),
    }
}

fn kept(mut line: String, persisted: bool) -> String {
    if !persisted {
        line.push_str(NOT_KEPT);
    }
    line
}

/// What kind of identity it is, and the identity as people write it.
fn named(identity: &IkeIdentity) -> (&'static str, String) {
    let id = identity.id.as_slice();
    let text = || String::from_utf8_lossy(id).into_owned();
    match (
        identity.id_type,
        <[u8; 4]>::try_from(id),
        <[u8; 16]>::try_from(id),
    ) {
        (1, Ok(address), _) => ("IPv4 address", Ipv4Addr::from(address).to_string()),
        (5, _, Ok(address)) => ("IPv6 address", Ipv6Addr::from(address).to_string()),
        (2, _, _) => ("domain name", text()),
        (3, _, _) => ("user", text()),
        _ => ("identity", text()),
    }
}

/// For which port of the initiator a setting is, if not for all. There is one initiator, so its name says nothing.
fn of_port(initiator: Option<&InitiatorPort>) -> String {
    match initiator.and_then(|initiator| initiator.port_number) {
        Some(number) => format!(", for port {number}"),
        None => String::new(),
    }
}

/// The settings in JSON.
#[derive(Debug, Serialize)]
pub(super) struct SettingsView<'a> {
    portals: Vec<SourceView>,
    isns_servers: Vec<SourceView>,
    static_targets: Vec<StaticView<'a>>,
    radius_servers: &'a [String],
    ike_identities: Vec<IdentityView>,
    tunnels: Vec<TunnelView<'a>>,
}

/// A portal or iSNS server in JSON.
#[derive(Debug, Serialize)]
struct SourceView {
    address: String,
    targets: usize,
    last_answer_ms: Option<i64>,
    last_error: Option<ReasonView>,
}

/// A static target in JSON.
#[derive(Debug, Serialize)]
struct StaticView<'a> {
    target: &'a str,
    portals: Vec<String>,
    hidden: bool,
    persisted: bool,
}

/// An IKE identity in JSON.
#[derive(Debug, Serialize)]
struct IdentityView {
    id_type: u32,
    id: String,
    initiator: Option<String>,
    port_number: Option<u32>,
    security_flags: u64,
    persisted: bool,
}

/// A tunnel in JSON.
#[derive(Debug, Serialize)]
struct TunnelView<'a> {
    destination: Option<String>,
    outer: &'a str,
    initiator: Option<String>,
    port_number: Option<u32>,
    persisted: bool,
}

impl<'a> From<&'a Settings> for SettingsView<'a> {
    fn from(settings: &'a Settings) -> Self {
        let portals = settings.portals.iter().map(|stored| SourceView {
            address: shown(stored.portal.as_ref()),
            targets: stored.targets.len(),
            last_answer_ms: stored.last_answer_ms,
            last_error: stored.last_error.as_ref().map(Into::into),
        });
        let servers = settings.isns_servers.iter().map(|server| SourceView {
            address: server.address.clone(),
            targets: server.targets.len(),
            last_answer_ms: server.last_answer_ms,
            last_error: server.last_error.as_ref().map(Into::into),
        });
        let made = settings.static_targets();
        Self {
            portals: portals.collect(),
            isns_servers: servers.collect(),
            static_targets: made.map(StaticView::from).collect(),
            radius_servers: &settings.radius_servers,
            ike_identities: settings.ike_identities.iter().map(Into::into).collect(),
            tunnels: settings.tunnels.iter().map(Into::into).collect(),
        }
    }
}

impl<'a> From<(&'a Target, &TargetInstance)> for StaticView<'a> {
    fn from((target, instance): (&'a Target, &TargetInstance)) -> Self {
        let groups = instance.portal_groups.iter();
        let portals = groups.flat_map(|group| group.portals.iter().map(ToString::to_string));
        Self {
            target: &target.target_name,
            portals: portals.collect(),
            hidden: instance.target_flags & HIDDEN != 0,
            persisted: instance.persisted,
        }
    }
}

impl From<&IkeInfo> for IdentityView {
    fn from(info: &IkeInfo) -> Self {
        let identity = info.identity.clone().unwrap_or_default();
        let (_, id) = named(&identity);
        let (initiator, port_number) = initiator_and_port(info.initiator.as_ref());
        Self {
            id_type: identity.id_type,
            id,
            initiator,
            port_number,
            security_flags: info.security_flags,
            persisted: info.persisted,
        }
    }
}

impl<'a> From<&'a TunnelAddress> for TunnelView<'a> {
    fn from(tunnel: &'a TunnelAddress) -> Self {
        let (initiator, port_number) = initiator_and_port(tunnel.initiator.as_ref());
        Self {
            destination: some(&tunnel.destination_address),
            outer: &tunnel.outer_address,
            initiator,
            port_number,
            persisted: tunnel.persisted,
        }
    }
}

fn initiator_and_port(initiator: Option<&InitiatorPort>) -> (Option<String>, Option<u32>) {
    let instance = initiator.and_then(|initiator| some(&initiator.instance));
    (instance, initiator.and_then(|one| one.port_number))
}
