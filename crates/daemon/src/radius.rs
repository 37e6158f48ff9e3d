//! RADIUS servers and the secret that proves us to them: checked, stored and reported. There is no client
//! that asks them yet; a login that demands them fails.

use hawser_api::{Failure, Status};
use hawser_store::{Change, RadiusServer, Record, Secret, SecretName, StoredSecret};

use crate::daemon::Daemon;
use crate::passing::untold;
use crate::{convert, events};

/// `MAX_RADIUS_ADDRESS_LEN`.
const MAX_ADDRESS_LEN: usize = 41;
/// Lengths of the secret that the Discovery Library takes, in bytes.
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 22..=26;
/// `ISCSI_LOGIN_FLAGS`: a RADIUS server makes or checks CHAP answers.
const LOGIN_FLAGS: u32 = 0x10 | 0x20;

/// Stores a server.
pub(crate) async fn add(daemon: &Daemon, address: &str) -> Result<Change, Failure> {
    let mut server = RadiusServer {
        address: convert::host_in(address, MAX_ADDRESS_LEN, "a RADIUS server")?,
        added_at_ms: events::now_ms(),
    };
    if let Some(present) = daemon.records.get::<RadiusServer>(&server.key())? {
        server.added_at_ms = present.added_at_ms;
    }
    daemon.records.put(server).await
}

/// Forgets a server.
pub(crate) async fn remove(daemon: &Daemon, address: &str) -> Result<(), Failure> {
    let key = address.to_lowercase();
    if daemon.records.remove::<RadiusServer>(key).await? == Change::Unchanged {
        let message = format!("no RADIUS server {} is stored", convert::excerpt(address));
        return Err(Failure::new(Status::ERROR_NOT_FOUND, message));
    }
    Ok(())
}

/// The addresses of the stored servers.
pub(crate) fn addresses(daemon: &Daemon) -> Vec<String> {
    let stored = daemon.records.all::<RadiusServer>().into_iter();
    stored.map(|server| server.address).collect()
}

/// Sets the secret that proves us to the servers; `None` clears it.
pub(crate) async fn set_secret(daemon: &Daemon, secret: Option<Secret>) -> Result<Change, Failure> {
    let name = SecretName::Radius;
    let Some(secret) = secret else {
        return daemon.records.remove::<StoredSecret>(name).await;
    };
    if !SECRET_LENGTHS.contains(&secret.expose().len()) {
        let message = format!(
            "the RADIUS secret has {} to {} bytes",
            SECRET_LENGTHS.start(),
            SECRET_LENGTHS.end()
        );
        return Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message));
    }
    let secret = Some(secret);
    let change = daemon.records.put(StoredSecret { name, secret }).await?;
    Ok(untold(change))
}

/// Whether the secret is stored.
pub(crate) fn has_secret(daemon: &Daemon) -> bool {
    let stored = daemon.records.get::<StoredSecret>(&SecretName::Radius);
    stored.is_ok_and(|stored| stored.is_some_and(|stored| stored.secret.is_some()))
}

/// What demands a RADIUS server must not go on without.
pub(crate) fn refuse(login_flags: u32) -> Result<(), Failure> {
    if login_flags & LOGIN_FLAGS == 0 {
        return Ok(());
    }
    let message = "RADIUS is asked for (login flags 0x10, 0x20), which this version cannot speak";
    Err(Failure::new(Status::REQUEST_NOT_SUPPORTED, message)
        .with_advice("log in with CHAP secrets of this machine's own"))
}
