//! `hawser session`.

mod connection;

use hawser_api::Failure;
use hawser_api::v1::{
    Connection, ConnectionPolicy, ConnectionState, ConnectionWeight, GetSessionRequest,
    ListDisksRequest, ListSessionsRequest, Session, SessionState, SessionType,
};
use serde::Serialize;

use super::login_options::{auth_name, digest_name, on_lost_name};
use super::portal::shown;
use super::reason::{ReasonView, short, some, whole};
use super::{Daemon, disk, login_options};
use crate::args::{SessionCommand, SessionShowArgs};
use crate::error::CliError;
use crate::output::{self, Details, Listing, ShownLun, to_json};

/// `hawser session`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(daemon: &Daemon, command: SessionCommand) -> Result<(), CliError> {
    match command {
        SessionCommand::List(output) => {
            let client = daemon.client().await?;
            let answer = client
                .sessions()
                .list_sessions(ListSessionsRequest::default())
                .await?;
            let sessions = answer.into_inner().sessions;
            output::print(&if output.json {
                json(&sessions)
            } else {
                table(&sessions)
            })
        }
        SessionCommand::Show(args) => show(daemon, args).await,
        SessionCommand::AddConnection(args) => connection::add(daemon, args).await,
        SessionCommand::RemoveConnection(args) => connection::remove(daemon, args).await,
        SessionCommand::Policy(args) => connection::set_policy(daemon, args).await,
    }
}

async fn show(daemon: &Daemon, args: SessionShowArgs) -> Result<(), CliError> {
    let client = daemon.client().await?;
    let request = GetSessionRequest {
        session_id: Some(args.session),
    };
    let answer = client.sessions().get_session(request).await?.into_inner();
    let session = answer.session.unwrap_or_default();
    if args.output.json {
        return output::print(&to_json(&SessionView::from(&session)));
    }
    let of_session = ListDisksRequest {
        session_id: Some(args.session),
        ..ListDisksRequest::default()
    };
    let disks = client
        .volumes()
        .list_disks(of_session)
        .await
        .map_err(Failure::from)?;
    let mut details = details(&session);
    details.list("Disks", disks.into_inner().disks.iter().map(disk::brief));
    output::print(&details.into_text())
}

/// A session in JSON.
#[derive(Debug, Serialize)]
struct SessionView<'a> {
    session: String,
    target: &'a str,
    state: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    target_alias: Option<String>,
    initiator: &'a str,
    source: Option<&'a str>,
    isid: String,
    tsih: u32,
    target_portal_group_tag: Option<u32>,
    persistent: bool,
    on_lost: &'static str,
    hold_time_s: u32,
    logged_in_at_ms: i64,
    lost_at_ms: Option<i64>,
    last_error: Option<ReasonView>,
    notes: &'a [String],
    luns: Vec<ShownLun>,
    connections: Vec<ConnectionView>,
    policy: &'static str,
    weights: Vec<WeightView>,
    authentication: Option<AuthenticationView>,
    negotiated: Option<NegotiatedView>,
    counters: Option<CountersView>,
}

/// A connection in JSON.
#[derive(Debug, Serialize)]
struct ConnectionView {
    connection: String,
    cid: u32,
    state: &'static str,
    local: String,
    remote: String,
    header_digest: &'static str,
    data_digest: &'static str,
    max_recv_data_segment_length: u32,
    max_send_data_segment_length: u32,
    connected_at_ms: i64,
}

/// The weight of a connection in JSON.
#[derive(Debug, Serialize)]
struct WeightView {
    cid: u32,
    weight: u32,
}

impl From<&ConnectionWeight> for WeightView {
    fn from(weight: &ConnectionWeight) -> Self {
        Self {
            cid: weight.cid,
            weight: weight.weight,
        }
    }
}

/// How the sides proved who they are, in JSON.
#[derive(Debug, Serialize)]
struct AuthenticationView {
    #[serde(rename = "type")]
    kind: &'static str,
    algorithm: Option<String>,
    chap_user: Option<String>,
    md5_retry: bool,
}

/// Copies numbers and switches of a message into its view, under the same names.
macro_rules! same_names {
    ($(#[$doc:meta])* $view:ident from $message:ident { $($field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Serialize)]
        struct $view {
            $($field: $kind,)*
        }

        impl From<&hawser_api::v1::$message> for $view {
            fn from(message: &hawser_api::v1::$message) -> Self {
                Self { $($field: message.$field,)* }
            }
        }
    };
}

same_names! {
    /// What the login agreed on, in JSON.
    NegotiatedView from NegotiatedParameters {
        initial_r2t: bool,
        immediate_data: bool,
        data_pdu_in_order: bool,
        data_sequence_in_order: bool,
        error_recovery_level: u32,
        max_connections: u32,
        max_outstanding_r2t: u32,
        first_burst_length: u32,
        max_burst_length: u32,
        default_time2wait_s: u32,
        default_time2retain_s: u32,
    }
}

same_names! {
    /// Counters of a session, in JSON.
    CountersView from SessionCounters {
        commands: u64,
        commands_in_flight: u64,
        bytes_read: u64,
        bytes_written: u64,
        check_conditions: u64,
        failed_commands: u64,
        replayed_commands: u64,
        timeouts: u64,
        digest_errors: u64,
        protocol_errors: u64,
        reconnects: u64,
        failed_reconnects: u64,
        management_functions: u64,
        pdus_sent: u64,
        pdus_received: u64,
        wire_bytes_sent: u64,
        wire_bytes_received: u64,
    }
}

impl<'a> From<&'a Session> for SessionView<'a> {
    fn from(session: &'a Session) -> Self {
        let authentication = session.authentication.as_ref();
        Self {
            session: id(session),
            target: &session.target_name,
            state: state(session.state()),
            kind: kind(session.r#type()),
            target_alias: some(&session.target_alias),
            initiator: &session.initiator_node_name,
            source: login_options::source(session.initiator.as_ref()),
            isid: hex(&session.isid),
            tsih: session.tsih,
            target_portal_group_tag: session.target_portal_group_tag,
            persistent: session.persistent,
            on_lost: on_lost_name(session.on_lost()),
            hold_time_s: session.hold_time_s,
            logged_in_at_ms: session.logged_in_at_ms,
            lost_at_ms: session.lost_at_ms,
            last_error: session.last_error.as_ref().map(Into::into),
            notes: &session.notes,
            luns: session.luns.iter().copied().map(Into::into).collect(),
            connections: session.connections.iter().map(Into::into).collect(),
            policy: policy_name(session.policy()),
            weights: session.weights.iter().map(Into::into).collect(),
            authentication: authentication.map(|proof| AuthenticationView {
                kind: auth_name(proof.r#type()),
                algorithm: some(&proof.algorithm),
                chap_user: some(&String::from_utf8_lossy(&proof.username)),
                md5_retry: proof.md5_retry,
            }),
            negotiated: session.negotiated.as_ref().map(Into::into),
            counters: session.counters.as_ref().map(Into::into),
        }
    }
}

impl From<&Connection> for ConnectionView {
    fn from(connection: &Connection) -> Self {
        Self {
            connection: connection_id(connection),
            cid: connection.cid,
            state: connection_state(connection.state()),
            local: shown(connection.local.as_ref()),
            remote: shown(connection.remote.as_ref()),
            header_digest: digest_name(connection.header_digest()),
            data_digest: digest_name(connection.data_digest()),
            max_recv_data_segment_length: connection.max_recv_data_segment_length,
            max_send_data_segment_length: connection.max_send_data_segment_length,
            connected_at_ms: connection.connected_at_ms,
        }
    }
}

fn id(session: &Session) -> String {
    session
        .id
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn connection_id(connection: &Connection) -> String {
    let id = connection.id.as_ref().map(ToString::to_string);
    id.unwrap_or_default()
}

fn policy_name(policy: ConnectionPolicy) -> &'static str {
    match policy {
        ConnectionPolicy::Unspecified => "unknown",
        ConnectionPolicy::RoundRobin => "round-robin",
        ConnectionPolicy::LeastQueueDepth => "least-queue-depth",
        ConnectionPolicy::FailOver => "fail-over",
        ConnectionPolicy::Weighted => "weighted",
    }
}

/// The policy and its weights in words: `weighted 0=3 1=0`.
fn policy_words(policy: ConnectionPolicy, weights: &[ConnectionWeight]) -> String {
    let weights = weights.iter();
    let weights: String = weights
        .map(|weight| format!(" {}={}", weight.cid, weight.weight))
        .collect();
    policy_name(policy).to_owned() + &weights
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn state(state: SessionState) -> &'static str {
    match state {
        SessionState::Unspecified => "unknown",
        SessionState::LoggingIn => "logging-in",
        SessionState::LoggedIn => "logged-in",
        SessionState::Reconnecting => "reconnecting",
        SessionState::Failed => "failed",
        SessionState::LoggingOut => "logging-out",
    }
}

fn kind(kind: SessionType) -> &'static str {
    match kind {
        SessionType::Unspecified => "unknown",
        SessionType::Discovery => "discovery",
        SessionType::Informational => "informational",
        SessionType::Data => "data",
    }
}

fn connection_state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Unspecified => "unknown",
        ConnectionState::Login => "login",
        ConnectionState::FullFeature => "full-feature",
        ConnectionState::Logout => "logout",
    }
}

/// The sessions as JSON.
fn json(sessions: &[Session]) -> String {
    to_json(&sessions.iter().map(SessionView::from).collect::<Vec<_>>())
}

/// The sessions as a table.
fn table(sessions: &[Session]) -> String {
    let heads = [
        "SESSION",
        "TARGET",
        "PORTAL",
        "STATE",
        "SINCE",
        ">LUNS",
        "PERSISTENT",
        "LAST ERROR",
    ];
    let mut listing = Listing::new(&heads, "no sessions: log in with `hawser login IQN`");
    for session in sessions {
        let portal = session
            .connections
            .first()
            .map(|first| shown(first.remote.as_ref()));
        let since = session.lost_at_ms.unwrap_or(session.logged_in_at_ms);
        // An error that is over belongs to `session show`.
        let error = session
            .last_error
            .as_ref()
            .filter(|_| session.lost_at_ms.is_some());
        listing.row([
            id(session).as_str(),
            &session.target_name,
            &portal.unwrap_or_default(),
            state(session.state()),
            &output::time(since),
            &session.luns.len().to_string(),
            if session.persistent { "yes" } else { "no" },
            &short(error),
        ]);
    }
    listing.into_text()
}

/// One session in full.
fn details(session: &Session) -> Details {
    let mut details = Details::default();
    details.line("Session", id(session));
    details.line("Target", &session.target_name);
    details.line_if("Alias", &session.target_alias);
    details.line("Initiator", &session.initiator_node_name);
    let source = login_options::source(session.initiator.as_ref());
    details.line_if("Source address", source.unwrap_or_default());
    details.line("State", state(session.state()));
    details.line("Type", kind(session.r#type()));
    details.line("Persistent", if session.persistent { "yes" } else { "no" });
    details.line("Logged in", output::time(session.logged_in_at_ms));
    if let Some(lost) = session.lost_at_ms {
        details.line("Lost", output::time(lost));
    }
    let held = match session.hold_time_s {
        0 => on_lost_name(session.on_lost()).to_owned(),
        seconds => format!("{} after {seconds} s", on_lost_name(session.on_lost())),
    };
    details.line("When lost", held);
    let tag = session
        .target_portal_group_tag
        .map(|tag| tag.to_string())
        .unwrap_or_default();
    details.line(
        "ISID, TSIH, group",
        format!("{} {} {tag}", hex(&session.isid), session.tsih),
    );
    add_authentication(&mut details, session);
    for connection in &session.connections {
        add_connection(&mut details, connection);
    }
    if session.connections.len() > 1 || session.policy() > ConnectionPolicy::RoundRobin {
        let policy = policy_words(session.policy(), &session.weights);
        details.line("Policy", policy);
    }
    add_negotiated(&mut details, session);
    add_counters(&mut details, session);
    if let Some(error) = &session.last_error {
        // Escaped twice where it was hostile: rather that than not at all.
        details.line("Last error", whole(error));
    }
    details.list("Notes", &session.notes);
    details
}

fn add_authentication(details: &mut Details, session: &Session) {
    let Some(proof) = &session.authentication else {
        return;
    };
    let mut text = auth_name(proof.r#type()).to_owned();
    if !proof.algorithm.is_empty() {
        text += &format!(" with {}", proof.algorithm);
    }
    if !proof.username.is_empty() {
        text += &format!(" as {}", String::from_utf8_lossy(&proof.username));
    }
    if proof.md5_retry {
        text += "; the target took MD5 alone and none of the stronger algorithms";
    }
    details.line("Authentication", text);
}

fn add_connection(details: &mut Details, connection: &Connection) {
    let ends = format!(
        "{} to {}",
        shown(connection.local.as_ref()),
        shown(connection.remote.as_ref())
    );
    let state = connection_state(connection.state());
    details.line(
        format!("Connection {}", connection.cid),
        format!("{ends}, {state}"),
    );
    let digests = format!(
        "header {}, data {}",
        digest_name(connection.header_digest()),
        digest_name(connection.data_digest())
    );
    details.line("  Digests", digests);
    let segments = format!(
        "{} to us, {} to the target",
        output::bytes(connection.max_recv_data_segment_length.into()),
        output::bytes(connection.max_send_data_segment_length.into())
    );
    details.line("  Largest segment", segments);
}

fn add_negotiated(details: &mut Details, session: &Session) {
    let Some(agreed) = &session.negotiated else {
        return;
    };
    let yes = |value: bool| if value { "Yes" } else { "No" };
    details.line("InitialR2T", yes(agreed.initial_r2t));
    details.line("ImmediateData", yes(agreed.immediate_data));
    details.line("FirstBurstLength", agreed.first_burst_length);
    details.line("MaxBurstLength", agreed.max_burst_length);
    details.line("MaxOutstandingR2T", agreed.max_outstanding_r2t);
    details.line("MaxConnections", agreed.max_connections);
    details.line("ErrorRecoveryLevel", agreed.error_recovery_level);
    let times = format!(
        "{} s, {} s",
        agreed.default_time2wait_s, agreed.default_time2retain_s
    );
    details.line("Time2Wait, Time2Retain", times);
}

fn add_counters(details: &mut Details, session: &Session) {
    let Some(counted) = &session.counters else {
        return;
    };
    let commands = format!(
        "{} sent, {} under way, {} failed, {} sent again",
        counted.commands,
        counted.commands_in_flight,
        counted.failed_commands,
        counted.replayed_commands
    );
    details.line("Commands", commands);
    let moved = format!(
        "{} read, {} written",
        output::bytes(counted.bytes_read),
        output::bytes(counted.bytes_written)
    );
    details.line("Data", moved);
    let wire = format!(
        "{} PDUs of {} sent, {} PDUs of {} received",
        counted.pdus_sent,
        output::bytes(counted.wire_bytes_sent),
        counted.pdus_received,
        output::bytes(counted.wire_bytes_received)
    );
    details.line("On the wire", wire);
    let errors = format!(
        "{} check conditions, {} timeouts, {} aborts and resets, {} digest errors, {} protocol errors",
        counted.check_conditions,
        counted.timeouts,
        counted.management_functions,
        counted.digest_errors,
        counted.protocol_errors
    );
    details.line("Errors", errors);
    let reconnects = format!(
        "{}, and {} failed",
        counted.reconnects, counted.failed_reconnects
    );
    details.line("Reconnects", reconnects);
}

#[cfg(test)]
mod tests;
