//! The commands: one description each.

use hawser_api::Client;

use super::stop::{Answer, Stop};
use super::values::{Kind, Values};
use super::{devices, discovery, initiator, isns, persistent, scsi, security, sessions, targets};

/// A parameter of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    /// Its name in the usage.
    pub(super) name: &'static str,
    /// What its words mean.
    pub(super) kind: Kind,
}

/// What becomes of words behind the last parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// They show the usage.
    Refused,
    /// They do not count.
    Ignored,
}

/// A command.
#[derive(Debug)]
pub(super) struct Command {
    /// Its name; case does not count.
    pub(super) name: &'static str,
    /// Parameters that must be there.
    pub(super) required: &'static [Parameter],
    /// Groups of parameters that may follow, each whole and only after those before it.
    pub(super) optional: &'static [&'static [Parameter]],
    /// What becomes of further words.
    pub(super) extra: Extra,
    /// Makes the request of the values.
    make: fn(&mut Values) -> Result<Request, Stop>,
    /// What it does, in a sentence.
    pub(super) does: &'static str,
}

/// What is asked, by family.
#[derive(Debug)]
pub(super) enum Request {
    Discovery(discovery::Ask),
    Targets(targets::Ask),
    Sessions(sessions::Ask),
    Persistent(persistent::Ask),
    Devices(devices::Ask),
    Scsi(scsi::Ask),
    Initiator(initiator::Ask),
    Isns(isns::Ask),
    Security(security::Ask),
}

impl Request {
    /// Whether the Discovery Library would ask this: on Windows the program speaks through it.
    ///
    /// # Errors
    /// Why not.
    fn check(&self) -> Result<(), Stop> {
        match self {
            Self::Discovery(ask) => discovery::check(ask),
            // They say in their answers what is wrong.
            Self::Targets(_) => Ok(()),
            Self::Sessions(ask) => sessions::check(ask),
            Self::Persistent(ask) => persistent::check(ask),
            Self::Devices(ask) => devices::check(ask),
            Self::Scsi(ask) => scsi::check(ask),
            Self::Initiator(ask) => initiator::check(ask),
            Self::Isns(ask) => isns::check(ask),
            Self::Security(ask) => security::check(ask),
        }
    }

    /// Asks the daemon and lays out what it answers.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub(super) async fn send(self, client: &Client) -> Result<Answer, Stop> {
        match self {
            Self::Discovery(ask) => discovery::send(client, ask).await,
            Self::Targets(ask) => targets::send(client, ask).await,
            Self::Sessions(ask) => sessions::send(client, ask).await,
            Self::Persistent(ask) => persistent::send(client, ask).await,
            Self::Devices(ask) => devices::send(client, ask).await,
            Self::Scsi(ask) => scsi::send(client, ask).await,
            Self::Initiator(ask) => initiator::send(client, ask).await,
            Self::Isns(ask) => isns::send(client, ask).await,
            Self::Security(ask) => security::send(client, ask).await,
        }
    }
}

impl Command {
    /// Reads the words behind the command's name. Nobody is asked yet. Also gives what a person should
    /// know about how the words were read.
    ///
    /// # Errors
    /// There are too few or too many words, one cannot be what its place says, or the Discovery Library refuses them.
    pub(super) fn read(&self, words: &[String]) -> Result<(Request, Vec<String>), Stop> {
        let mut values = Values::default();
        let mut rest = words;
        for parameter in self.required {
            values.read(parameter.name, parameter.kind, &mut rest)?;
        }
        for group in self.optional {
            let given = !rest.is_empty();
            for parameter in *group {
                if given {
                    values.read(parameter.name, parameter.kind, &mut rest)?;
                } else {
                    values.absent(parameter.kind);
                }
            }
        }
        if !rest.is_empty() && self.extra == Extra::Refused {
            let why = format!("{} words too many", rest.len());
            return Err(Stop::Usage(why));
        }
        let request = (self.make)(&mut values)?;
        debug_assert!(values.is_empty(), "{}: {values:?}", self.name);
        request.check()?;
        Ok((request, values.notes))
    }
}

/// The command of this name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    ALL.iter()
        .find(|command| command.name.eq_ignore_ascii_case(name))
}

const fn p(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind }
}

const NAME: Parameter = p("TargetName", Kind::Name);
const ADDRESS: Parameter = p("TargetPortalAddress", Kind::Address);
const SOCKET: Parameter = p("TargetPortalSocket", Kind::Socket);
const ANY_ADDRESS: Parameter = p("TargetPortalAddress", Kind::AddressOrAny);
const ANY_SOCKET: Parameter = p("TargetPortalSocket", Kind::SocketOrAny);
const INSTANCE: Parameter = p("Initiator Instance", Kind::Text);
const PORT: Parameter = p("Port Number", Kind::Port);
const HBA: Parameter = p("HBA Name", Kind::Text);
const SECURITY: Parameter = p("Security Flags", Kind::Number);
const OPTIONS: Parameter = p("Login Options", Kind::LoginOptions);
const MAPPINGS: Parameter = p("Mapping Count", Kind::Mappings);
const PERSIST: Parameter = p("Persist", Kind::Flag(true));
const LOGIN_KEY: Parameter = p("Key", Kind::KeyWithNul);
const SESSION: Parameter = p("SessionId", Kind::SessionId);
const SESSION_OR_USAGE: Parameter = p("SessionId", Kind::SessionIdOrUsage);
const SERVER: Parameter = p("Server Address", Kind::Name);
const QUICK_CHAP: &[Parameter] = &[
    p("CHAP Username", Kind::QuickUser),
    p("CHAP Password", Kind::QuickSecret),
];
const LOGIN: &[Parameter] = &[
    NAME,
    p("ReportToPNP", Kind::Flag(true)),
    ANY_ADDRESS,
    ANY_SOCKET,
    INSTANCE,
    PORT,
    SECURITY,
    OPTIONS,
    LOGIN_KEY,
    MAPPINGS,
];

/// A command with a fixed number of words.
const fn fixed(
    name: &'static str,
    required: &'static [Parameter],
    make: fn(&mut Values) -> Result<Request, Stop>,
    does: &'static str,
) -> Command {
    with_optional(name, required, &[], make, does)
}

/// A command without parameters; further words do not count.
const fn bare(
    name: &'static str,
    make: fn(&mut Values) -> Result<Request, Stop>,
    does: &'static str,
) -> Command {
    Command {
        name,
        required: &[],
        optional: &[],
        extra: Extra::Ignored,
        make,
        does,
    }
}

/// A command with groups of words that may be left out.
const fn with_optional(
    name: &'static str,
    required: &'static [Parameter],
    optional: &'static [&'static [Parameter]],
    make: fn(&mut Values) -> Result<Request, Stop>,
    does: &'static str,
) -> Command {
    Command {
        name,
        required,
        optional,
        extra: Extra::Refused,
        make,
        does,
    }
}

/// Every command, in the order of the usage.
pub(super) static ALL: &[Command] = &[
    fixed(
        "AddTarget",
        &[
            NAME,
            p("TargetAlias", Kind::Text),
            ANY_ADDRESS,
            ANY_SOCKET,
            p("Target Flags", Kind::Number),
            PERSIST,
            OPTIONS,
            MAPPINGS,
        ],
        discovery::add_target,
        "Makes a target known without discovery.",
    ),
    fixed(
        "RemoveTarget",
        &[NAME],
        discovery::remove_target,
        "Forgets a target that was made known so.",
    ),
    Command {
        name: "AddTargetPortal",
        required: &[ADDRESS, SOCKET],
        optional: &[&[HBA, PORT, SECURITY, OPTIONS]],
        extra: Extra::Ignored,
        make: discovery::add_portal,
        does: "Stores a portal and asks it for its targets.",
    },
    with_optional(
        "RemoveTargetPortal",
        &[ADDRESS, SOCKET],
        &[&[HBA], &[PORT]],
        discovery::remove_portal,
        "Forgets a portal.",
    ),
    with_optional(
        "RefreshTargetPortal",
        &[ADDRESS, SOCKET],
        &[&[HBA], &[PORT]],
        discovery::refresh_portal,
        "Asks a stored portal again.",
    ),
    with_optional(
        "ListTargets",
        &[],
        &[&[p("ForceUpdate", Kind::Flag(false))]],
        targets::list,
        "Lists the known targets; with T asks everybody for them first.",
    ),
    bare(
        "ListTargetPortals",
        discovery::list_portals,
        "Lists the stored portals.",
    ),
    with_optional(
        "TargetInfo",
        &[NAME],
        &[&[p("Discovery Mechanism", Kind::Text)]],
        targets::info,
        "Shows what is known of a target, and by which mechanism.",
    ),
    fixed(
        "LoginTarget",
        LOGIN,
        sessions::login,
        "Logs in to a target now.",
    ),
    bare(
        "ListPersistentTargets",
        persistent::list,
        "Lists the persistent logins.",
    ),
    fixed(
        "LogoutTarget",
        &[SESSION],
        sessions::logout,
        "Ends a session.",
    ),
    fixed(
        "PersistentLoginTarget",
        LOGIN,
        sessions::persistent_login,
        "Stores a login that is made at each start; does not log in now.",
    ),
    fixed(
        "RemovePersistentTarget",
        &[
            INSTANCE,
            NAME,
            PORT,
            ANY_ADDRESS,
            p("TargetPortalSocket", Kind::Socket),
        ],
        persistent::remove,
        "Removes persistent logins; their sessions stay.",
    ),
    fixed(
        "AddConnection",
        &[
            SESSION_OR_USAGE,
            INSTANCE,
            PORT,
            ANY_ADDRESS,
            ANY_SOCKET,
            SECURITY,
            OPTIONS,
            LOGIN_KEY,
        ],
        sessions::add_connection,
        "Adds a connection to a session.",
    ),
    fixed(
        "RemoveConnection",
        &[SESSION_OR_USAGE, p("ConnectionId", Kind::ConnectionId)],
        sessions::remove_connection,
        "Removes a connection from a session.",
    ),
    fixed(
        "ScsiInquiry",
        &[
            SESSION,
            p("LUN", Kind::Lun),
            p("EvpdCmddt", Kind::Byte),
            p("PageCode", Kind::Byte),
        ],
        scsi::inquiry,
        "Sends INQUIRY to a LUN.",
    ),
    fixed(
        "ReadCapacity",
        &[SESSION, p("LUN", Kind::Lun)],
        scsi::read_capacity,
        "Sends READ CAPACITY (10) to a LUN.",
    ),
    fixed(
        "ReportLUNs",
        &[SESSION],
        scsi::report_luns,
        "Sends REPORT LUNS to LUN 0.",
    ),
    bare(
        "ReportTargetMappings",
        sessions::mappings,
        "Lists the LUNs of the sessions with the numbers that they have here.",
    ),
    fixed(
        "ListInitiators",
        &[],
        initiator::list,
        "Lists the initiator instances.",
    ),
    fixed(
        "AddiSNSServer",
        &[SERVER],
        isns::add,
        "Stores an iSNS server and asks it for its targets.",
    ),
    fixed(
        "RemoveiSNSServer",
        &[SERVER],
        isns::remove,
        "Forgets an iSNS server.",
    ),
    fixed(
        "RefreshiSNSServer",
        &[p("Server Address", Kind::Text)],
        isns::refresh,
        "Asks an iSNS server, or all of them, again.",
    ),
    bare("ListiSNSServers", isns::list, "Lists the iSNS servers."),
    bare(
        "FirewallExemptiSNSServer",
        initiator::firewall,
        "Not supported: open the firewall of this machine by its own means.",
    ),
    fixed(
        "NodeName",
        &[p("Node Name", Kind::Text)],
        initiator::node_name,
        "Sets the name that is sent in logins.",
    ),
    with_optional(
        "SessionList",
        &[],
        &[&[p("Show Session Info", Kind::Flag(true))]],
        sessions::list,
        "Lists the sessions; with F without their devices.",
    ),
    fixed(
        "CHAPSecret",
        &[p("CHAP Secret", Kind::Secret)],
        security::chap_secret,
        "Sets the secret that targets must prove in mutual CHAP.",
    ),
    fixed(
        "TunnelAddr",
        &[
            p("Initiator Name", Kind::Text),
            PORT,
            p("Destination Address", Kind::Text),
            p("Tunnel Address", Kind::Text),
            PERSIST,
        ],
        security::tunnel_address,
        "Sets the outer address of IPsec tunnels.",
    ),
    fixed(
        "GroupKey",
        &[p("Key", Kind::KeyWithNul), PERSIST],
        security::group_key,
        "Sets the preshared key for which no other is set.",
    ),
    fixed(
        "PSKey",
        &[
            p("Initiator Name", Kind::Text),
            PORT,
            SECURITY,
            p("Id Type", Kind::Number),
            p("Id", Kind::Name),
            p("Key", Kind::Key),
            PERSIST,
        ],
        security::preshared_key,
        "Sets the preshared key of an IKE identity.",
    ),
    fixed(
        "GetPSKey",
        &[
            p("Initiator Name", Kind::Text),
            PORT,
            p("Id Type", Kind::Number),
            p("Id", Kind::Name),
        ],
        security::get_preshared_key,
        "Shows the security flags of an IKE identity, never its key.",
    ),
    with_optional(
        "QLoginTarget",
        &[NAME],
        &[QUICK_CHAP],
        sessions::quick_login,
        "Logs in to a target now, with defaults.",
    ),
    fixed(
        "QAddTarget",
        &[NAME, ANY_ADDRESS],
        discovery::quick_add_target,
        "Makes a target known without discovery, at port 3260.",
    ),
    with_optional(
        "QAddTargetPortal",
        &[ADDRESS],
        &[QUICK_CHAP],
        discovery::quick_add_portal,
        "Stores a portal at port 3260 and asks it for its targets.",
    ),
    with_optional(
        "QAddConnection",
        &[
            SESSION_OR_USAGE,
            p("Initiator Instance", Kind::Name),
            ANY_ADDRESS,
        ],
        &[QUICK_CHAP],
        sessions::quick_add_connection,
        "Adds a connection to a session, at port 3260.",
    ),
    bare(
        "BindPersistentVolumes",
        devices::bind_all,
        "Binds all volumes and devices that are on disks of persistent logins now.",
    ),
    bare(
        "BindPersistentDevices",
        devices::bind_all,
        "The same as BindPersistentVolumes.",
    ),
    bare(
        "ReportPersistentDevices",
        devices::report,
        "Lists what is bound.",
    ),
    fixed(
        "AddPersistentDevice",
        &[p("Volume or Device Path", Kind::Name)],
        devices::add,
        "Binds a volume or device.",
    ),
    fixed(
        "RemovePersistentDevice",
        &[p("Volume or Device Path", Kind::Name)],
        devices::remove,
        "Takes a volume or device off the list of what is bound.",
    ),
    bare(
        "ClearPersistentDevices",
        devices::clear,
        "Empties the list of what is bound.",
    ),
    with_optional(
        "Ping",
        &[p("Initiator Name", Kind::Text), p("Address", Kind::Name)],
        &[
            &[p("Request Count", Kind::Number)],
            &[p("Request Size", Kind::Number)],
            &[p("Request Timeout", Kind::Number)],
        ],
        initiator::ping,
        "Not supported: use ping(8).",
    ),
];
