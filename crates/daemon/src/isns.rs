//! iSNS servers: stored and reported. There is no client that asks them yet, so every one counts as a
//! server that cannot be reached.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hawser_api::{Failure, Status, v1};
use hawser_store::{Change, DiscoveredTarget, DiscoverySource, IsnsServer, Record};

use crate::convert;
use crate::daemon::Daemon;
use crate::events::{self, News};

/// Longest address: `MAX_ISCSI_TEXT_ADDRESS_LEN` less the NUL.
const MAX_ADDRESS_LEN: usize = 255;

/// What is known of iSNS servers besides the store.
#[derive(Debug, Default)]
pub(crate) struct Isns {
    /// Why each could not be asked last time, by key.
    failed: Mutex<BTreeMap<String, Failure>>,
}

impl Isns {
    fn with_failed<T>(&self, call: impl FnOnce(&mut BTreeMap<String, Failure>) -> T) -> T {
        call(&mut self.failed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Stores a server and asks it. It stays stored when it cannot be asked.
pub(crate) async fn add(
    daemon: &Arc<Daemon>,
    address: &str,
) -> Result<(Change, Vec<String>), Failure> {
    let mut server = IsnsServer {
        address: convert::host_in(address, MAX_ADDRESS_LEN, "an iSNS server")?,
        added_at_ms: events::now_ms(),
    };
    if let Some(present) = daemon.records.get::<IsnsServer>(&server.key())? {
        server.added_at_ms = present.added_at_ms;
    }
    let change = daemon.records.put(server.clone()).await?;
    let targets = ask(daemon, &server)?;
    Ok((change, targets))
}

/// Forgets a server; the targets that it told stay.
pub(crate) async fn remove(daemon: &Daemon, address: &str) -> Result<(), Failure> {
    let key = address.to_lowercase();
    let removed = daemon.records.remove::<IsnsServer>(key.clone()).await?;
    if removed == Change::Unchanged {
        return Err(not_stored(address));
    }
    daemon.isns.with_failed(|failed| failed.remove(&key));
    let message = format!("the iSNS server {address} is forgotten");
    daemon
        .events
        .tell(News::info("isns-server-removed", message));
    Ok(())
}

/// Asks one server again, or all (an empty address). The failure of one that was named is the failure of
/// the call.
pub(crate) fn refresh(daemon: &Daemon, address: &str) -> Result<Vec<v1::IsnsRefresh>, Failure> {
    if address.is_empty() {
        return Ok(ask_all(daemon));
    }
    let stored = daemon.records.get::<IsnsServer>(&address.to_lowercase())?;
    let server = stored.ok_or_else(|| not_stored(address))?;
    let targets = ask(daemon, &server)?;
    let address = server.address;
    Ok(vec![v1::IsnsRefresh {
        address,
        targets,
        error: None,
    }])
}

/// Asks all servers, each by itself.
pub(crate) fn ask_all(daemon: &Daemon) -> Vec<v1::IsnsRefresh> {
    let asked = daemon.records.all::<IsnsServer>().into_iter();
    asked
        .map(|server| {
            let answer = ask(daemon, &server);
            v1::IsnsRefresh {
                address: server.address,
                targets: answer.as_ref().cloned().unwrap_or_default(),
                error: answer.err().map(Into::into),
            }
        })
        .collect()
}

/// Asks a server, which fails until there is a client for it; told once for each reason.
fn ask(daemon: &Daemon, server: &IsnsServer) -> Result<Vec<String>, Failure> {
    let message = format!(
        "the iSNS server {} cannot be asked: this version has no iSNS client",
        server.address
    );
    let failure = Failure::new(Status::ISNS_SERVER_NOT_FOUND, message).with_advice(
        "it stays stored for a version that has one; until then add the targets' portals with \
         `hawser portal add`",
    );
    let before = daemon
        .isns
        .with_failed(|failed| failed.insert(server.key(), failure.clone()));
    if before.as_ref() != Some(&failure) {
        let news = News::warning("isns-server-failed", failure.clone());
        daemon.events.tell(news);
    }
    Err(failure)
}

/// The stored servers as the RPC shows them.
pub(crate) fn show(daemon: &Daemon) -> Vec<v1::IsnsServer> {
    let discovered = daemon.records.all::<DiscoveredTarget>();
    let failed = daemon.isns.with_failed(|failed| failed.clone());
    let stored = daemon.records.all::<IsnsServer>().into_iter();
    stored
        .map(|server| {
            let source = DiscoverySource::Isns(server.key());
            let told = discovered.iter().filter(|target| target.source == source);
            v1::IsnsServer {
                targets: told.map(|target| target.target_name.clone()).collect(),
                last_answer_ms: None,
                last_error: failed.get(&server.key()).cloned().map(Into::into),
                address: server.address,
            }
        })
        .collect()
}

fn not_stored(address: &str) -> Failure {
    let message = format!("no iSNS server {} is stored", convert::excerpt(address));
    Failure::new(Status::ISNS_SERVER_NOT_FOUND, message)
}
