//! Further connections of a session. A login agrees on one connection (MaxConnections=1), so what is asked
//! for is checked and then refused as a target refuses it that allows no more; nothing is sent.

use hawser_api::{Failure, Status, v1};

use crate::daemon::Daemon;
use crate::initiators::{self, INSTANCE};
use crate::{convert, ipsec, radius};

/// Adds a connection.
pub(crate) fn add(
    daemon: &Daemon,
    request: v1::AddConnectionRequest,
) -> Result<v1::ConnectionId, Failure> {
    let entry = daemon
        .sessions
        .get(request.session_id.unwrap_or_default())?;
    let target = &entry.origin.target;
    if entry.is_ending() {
        let message = format!("the session with {target} is being logged out");
        return Err(Failure::new(Status::SESSION_BUSY, message).with_target(target));
    }
    let mut initiator = convert::initiator_in(request.initiator);
    if initiator.port_number.is_some() && initiator.instance.is_empty() {
        INSTANCE.clone_into(&mut initiator.instance);
    }
    initiators::resolve(initiator)?;
    convert::portal_in(request.portal)?;
    convert::key_in(request.preshared_key)?;
    let options = convert::options_in(request.login_options.unwrap_or_default())?;
    ipsec::check_flags(request.security_flags)?;
    ipsec::refuse(request.security_flags, options.login_flags)?;
    radius::refuse(options.login_flags)?;
    let message = format!("the session with {target} allows one connection, which it has");
    Err(Failure::new(Status::TOO_MANY_CONNECTIONS, message)
        .with_target(target)
        .with_advice("a further session, with login flag 0x2 (multi-path), is a second path too"))
}

/// Removes a connection.
pub(crate) fn remove(
    daemon: &Daemon,
    request: &v1::RemoveConnectionRequest,
) -> Result<(), Failure> {
    let entry = daemon
        .sessions
        .get(request.session_id.unwrap_or_default())?;
    let id = request.connection_id.unwrap_or_default();
    // While the session is lost it has none, as its listing says.
    if entry.view().is_none() || id != entry.connection_id() {
        let message = format!("session {} has no connection {id}", entry.id);
        return Err(Failure::new(Status::INVALID_CONNECTION_ID, message)
            .with_target(&entry.origin.target)
            .with_advice("`hawser session show` shows those that it has"));
    }
    let (status, message) = if entry.is_ending() {
        let message = "the connection is being removed already";
        (Status::REMOVE_CONNECTION_IN_PROGRESS, message)
    } else {
        let message = "the last connection of a session cannot be removed by itself";
        (Status::CANT_REMOVE_LAST_CONNECTION, message)
    };
    Err(Failure::new(status, message)
        .with_target(&entry.origin.target)
        .with_advice("log the session out instead"))
}
