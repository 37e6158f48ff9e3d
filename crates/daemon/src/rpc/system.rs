//! The service `System`.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use hawser_api::v1;
use hawser_api::v1::system_server::System;
use hawser_engine::SessionState;
use hawser_export::{ExportMode, capabilities};
use hawser_store::{IsnsServer, PersistentLogin, RadiusServer, Record, SendTargetsPortal};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;

use super::{Answer, Service, count};
use crate::daemon::Daemon;
use crate::records::api_change;
use crate::security::{self, may_change};
use crate::{discovery, events, initiators, ipsec, radius};

/// Events that wait for a client that reads slowly.
const STREAMED_AHEAD: usize = 64;

type EventStream = Pin<Box<dyn Stream<Item = Result<v1::Event, tonic::Status>> + Send>>;

#[tonic::async_trait]
impl System for Service {
    async fn get_version(
        &self,
        _: Request<v1::GetVersionRequest>,
    ) -> Answer<v1::GetVersionResponse> {
        let number = |text: &str| text.parse().unwrap_or(0);
        Ok(tonic::Response::new(v1::GetVersionResponse {
            major: number(env!("CARGO_PKG_VERSION_MAJOR")),
            minor: number(env!("CARGO_PKG_VERSION_MINOR")),
            build: number(env!("CARGO_PKG_VERSION_PATCH")),
            text: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        let name = security::node_name(&self.daemon.records).await?.name;
        let daemon = Arc::clone(&self.daemon);
        let built = tokio::task::spawn_blocking(move || status(&daemon, name)).await;
        let status = built.map_err(|error| tonic::Status::internal(error.to_string()))?;
        Ok(tonic::Response::new(status))
    }

    async fn list_initiators(
        &self,
        _: Request<v1::ListInitiatorsRequest>,
    ) -> Answer<v1::ListInitiatorsResponse> {
        let initiator = v1::Initiator {
            instance: initiators::INSTANCE.to_owned(),
            ports: initiators::source_addresses(),
        };
        Ok(tonic::Response::new(v1::ListInitiatorsResponse {
            initiators: vec![initiator],
        }))
    }

    async fn get_node_name(
        &self,
        _: Request<v1::GetNodeNameRequest>,
    ) -> Answer<v1::GetNodeNameResponse> {
        let name = security::node_name(&self.daemon.records).await?;
        let (node_name, is_default) = (name.name, name.is_default);
        Ok(tonic::Response::new(v1::GetNodeNameResponse {
            node_name,
            is_default,
        }))
    }

    async fn set_node_name(
        &self,
        request: Request<v1::SetNodeNameRequest>,
    ) -> Answer<v1::SetNodeNameResponse> {
        may_change(&request)?;
        let name = request.into_inner().node_name;
        let (name, change) = security::set_node_name(&self.daemon.records, &name).await?;
        let message = format!("logins are made as {} from now on", name.name);
        self.daemon
            .events
            .tell(events::News::info("node-name", message));
        let response = v1::SetNodeNameResponse {
            node_name: name.name,
            change: api_change(change).into(),
            warning: 0,
        };
        Ok(tonic::Response::new(response))
    }

    type WatchEventsStream = EventStream;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Answer<Self::WatchEventsStream> {
        let request = request.into_inner();
        let recent = usize::try_from(request.recent).unwrap_or(usize::MAX);
        let (kept, follow) = self.daemon.events.watch(recent);
        let minimum = request.minimum;
        let kept: Vec<_> = kept
            .into_iter()
            .filter(|event| event.severity >= minimum)
            .map(Ok)
            .collect();
        let kept = tokio_stream::iter(kept);
        if !request.follow {
            return Ok(tonic::Response::new(Box::pin(kept)));
        }
        let (sender, receiver) = mpsc::channel(STREAMED_AHEAD);
        tokio::spawn(follow_events(
            Arc::clone(&self.daemon),
            follow,
            minimum,
            sender,
        ));
        let stream = tokio_stream::StreamExt::chain(kept, ReceiverStream::new(receiver));
        Ok(tonic::Response::new(Box::pin(stream)))
    }
}

/// Passes events on until the client or the daemon ends. A client that is too slow loses some, which it
/// sees by the gap in their numbers.
async fn follow_events(
    daemon: Arc<Daemon>,
    mut follow: broadcast::Receiver<v1::Event>,
    minimum: i32,
    sender: mpsc::Sender<Result<v1::Event, tonic::Status>>,
) {
    loop {
        let next = tokio::select! {
            () = daemon.stopped() => return,
            () = sender.closed() => return,
            next = follow.recv() => next,
        };
        match next {
            Ok(event) if event.severity < minimum => {}
            Ok(event) => {
                if sender.send(Ok(event)).await.is_err() {
                    return;
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn status(daemon: &Daemon, node_name: String) -> v1::GetStatusResponse {
    let sessions = daemon.sessions.all();
    let is_up = |state: SessionState| matches!(state, SessionState::Up(_));
    let connected: Vec<_> = sessions
        .iter()
        .filter(|entry| is_up(entry.engine.state()))
        .collect();
    let served: HashSet<_> = connected.iter().filter_map(|entry| entry.login()).collect();
    let logins = daemon.records.shared::<PersistentLogin>();
    let waiting = logins.iter().filter(|login| !served.contains(&login.key()));
    let bound = daemon.volumes.show_all(&daemon.records);
    let usable = bound
        .iter()
        .filter(|volume| volume.state() == v1::BoundState::Usable)
        .count();
    let damages = daemon.records.damages().into_iter();
    v1::GetStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uid: nix::unistd::geteuid().as_raw(),
        started_at_ms: daemon.started_at_ms,
        node_name,
        state_dir: daemon.config.state_dir.display().to_string(),
        runtime_dir: daemon.config.runtime_dir.display().to_string(),
        export_mode: daemon.config.export.to_string(),
        export_methods: methods(),
        portals: count(daemon.records.shared::<SendTargetsPortal>().len()),
        targets: count(discovery::count_targets(daemon)),
        sessions: count(sessions.len()),
        sessions_connected: count(connected.len()),
        persistent_logins: count(logins.len()),
        persistent_logins_waiting: count(waiting.count()),
        disks: count(daemon.disks.count()),
        bound_volumes: count(bound.len()),
        bound_volumes_usable: count(usable),
        chap_secret_set: security::chap_secret(&daemon.records)
            .is_ok_and(|secret| secret.is_some()),
        damaged_records: damages
            .map(|damage| v1::DamagedRecord {
                kind: damage.kind,
                key: damage.key,
                reason: damage.reason,
            })
            .collect(),
        isns_servers: count(daemon.records.shared::<IsnsServer>().len()),
        radius_servers: count(daemon.records.shared::<RadiusServer>().len()),
        radius_secret_set: radius::has_secret(daemon),
        group_preshared_key_set: ipsec::has_group_key(daemon),
    }
}

/// The ways to show a disk, best first, and which of them work here.
fn methods() -> Vec<v1::ExportMethod> {
    let can = capabilities();
    let method = |name: &str, found: Result<(), String>| v1::ExportMethod {
        name: name.to_owned(),
        available: found.is_ok(),
        reason: found.err().unwrap_or_default(),
    };
    let not_built = || Err("not built yet".to_owned());
    let on_loop = can.fuse.clone().and(can.loop_device);
    vec![
        method("ublk", not_built()),
        method("nbd-kernel", not_built()),
        method(ExportMode::Loop.name(), on_loop),
        method(ExportMode::Fuse.name(), can.fuse),
        method(ExportMode::Nbd.name(), Ok(())),
    ]
}
