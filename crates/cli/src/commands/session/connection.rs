//! `hawser session add-connection`, `remove-connection` and `policy`.

use hawser_api::v1::{
    AddConnectionRequest, Connection, ConnectionPolicy, ConnectionWeight, GetSessionRequest,
    RemoveConnectionRequest, Session, SessionId, SetPolicyRequest,
};
use hawser_api::{Client, Failure, Status};
use serde::Serialize;

use super::super::portal::shown;
use super::super::{Daemon, login_options};
use super::{WeightView, connection_id, policy_name, policy_words};
use crate::args::{AddConnectionArgs, PolicyArgs, PolicyChoice, RemoveConnectionArgs};
use crate::error::CliError;
use crate::output::{self, to_json};
use crate::progress;

/// What became of a connection, in JSON.
#[derive(Debug, Serialize)]
struct ChangedView {
    session: String,
    connection: String,
    cid: Option<u32>,
    portal: Option<String>,
}

/// The policy of a session, in JSON.
#[derive(Debug, Serialize)]
struct PolicyView {
    session: String,
    policy: &'static str,
    weights: Vec<WeightView>,
}

async fn get(client: &Client, id: SessionId) -> Result<Session, CliError> {
    let session_id = Some(id);
    let request = GetSessionRequest { session_id };
    let answer = client.sessions().get_session(request).await?;
    Ok(answer.into_inner().session.unwrap_or_default())
}

/// `hawser session add-connection`.
///
/// # Errors
/// Why it failed.
pub(super) async fn add(daemon: &Daemon, args: AddConnectionArgs) -> Result<(), CliError> {
    let request = AddConnectionRequest {
        session_id: Some(args.session),
        portal: args.portal,
        initiator: args.source.map(login_options::from_source),
        login_options: login_options::of_connection(&args.digests, &args.chap)?,
        ..AddConnectionRequest::default()
    };
    let client = daemon.client().await?;
    let mut sessions = client.sessions();
    let what = format!("adding a connection to session {}", args.session);
    let answer = progress::during(&what, sessions.add_connection(request)).await?;
    let id = answer.into_inner().connection_id;
    let session = get(&client, args.session).await?;
    let mut connections = session.connections.iter();
    let added = connections.find(|connection| connection.id == id);
    output::print(&told(
        args.session,
        id.unwrap_or_default().to_string(),
        added,
        args.output.json,
    ))
}

/// What is said of a connection that was added; it may be lost again already.
fn told(session: SessionId, id: String, added: Option<&Connection>, json: bool) -> String {
    if json {
        return to_json(&ChangedView {
            session: session.to_string(),
            connection: id,
            cid: added.map(|connection| connection.cid),
            portal: added.map(|connection| shown(connection.remote.as_ref())),
        });
    }
    match added {
        Some(connection) => format!(
            "session {session}: connection {} to {}",
            connection.cid,
            shown(connection.remote.as_ref())
        ),
        None => format!("session {session}: the connection was made, and is lost again"),
    }
}

/// `hawser session remove-connection`.
///
/// # Errors
/// Why it failed.
pub(super) async fn remove(daemon: &Daemon, args: RemoveConnectionArgs) -> Result<(), CliError> {
    let client = daemon.client().await?;
    let session = get(&client, args.session).await?;
    let cid = u32::from(args.connection);
    let mut connections = session.connections.iter();
    let Some(meant) = connections.find(|connection| connection.cid == cid) else {
        let text = format!("session {} has no connection {cid}", args.session);
        let failure = Failure::new(Status::INVALID_CONNECTION_ID, text);
        let advice = "`hawser session show` shows those that it has";
        return Err(failure.with_advice(advice).into());
    };
    let request = RemoveConnectionRequest {
        session_id: Some(args.session),
        connection_id: meant.id,
    };
    let what = format!("removing connection {cid}");
    let mut sessions = client.sessions();
    progress::during(&what, sessions.remove_connection(request)).await?;
    output::print(&if args.output.json {
        to_json(&ChangedView {
            session: args.session.to_string(),
            connection: connection_id(meant),
            cid: Some(cid),
            portal: Some(shown(meant.remote.as_ref())),
        })
    } else {
        format!("session {}: connection {cid} removed", args.session)
    })
}

/// `hawser session policy`.
///
/// # Errors
/// Why it failed.
pub(super) async fn set_policy(daemon: &Daemon, args: PolicyArgs) -> Result<(), CliError> {
    let policy = match args.policy {
        PolicyChoice::RoundRobin => ConnectionPolicy::RoundRobin,
        PolicyChoice::LeastQueueDepth => ConnectionPolicy::LeastQueueDepth,
        PolicyChoice::FailOver => ConnectionPolicy::FailOver,
        PolicyChoice::Weighted => ConnectionPolicy::Weighted,
    };
    let weights = args.weights.iter();
    let weights: Vec<_> = weights
        .map(|weight| ConnectionWeight {
            cid: weight.cid.into(),
            weight: weight.weight.into(),
        })
        .collect();
    let request = SetPolicyRequest {
        session_id: Some(args.session),
        policy: policy.into(),
        weights: weights.clone(),
    };
    let client = daemon.client().await?;
    client.sessions().set_policy(request).await?;
    output::print(&if args.output.json {
        to_json(&PolicyView {
            session: args.session.to_string(),
            policy: policy_name(policy),
            weights: weights.iter().map(Into::into).collect(),
        })
    } else {
        format!(
            "session {}: {}",
            args.session,
            policy_words(policy, &weights)
        )
    })
}
