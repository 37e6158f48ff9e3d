//! The service `Volumes`.

use std::sync::Arc;
use std::time::Duration;

use hawser_api::v1;
use hawser_api::v1::volumes_server::Volumes;
use hawser_store::BoundVolume;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;

use super::{Answer, Service};
use crate::daemon::{Daemon, to_its_end};
use crate::devices::{self, Around, usage};
use crate::security::may_change;
use crate::{logins, volumes};

#[tonic::async_trait]
impl Volumes for Service {
    async fn list_disks(
        &self,
        request: Request<v1::ListDisksRequest>,
    ) -> Answer<v1::ListDisksResponse> {
        let request = request.into_inner();
        let daemon = Arc::clone(&self.daemon);
        let listed = tokio::task::spawn_blocking(move || list_disks(&daemon, &request)).await;
        let disks = listed.map_err(|error| tonic::Status::internal(error.to_string()))?;
        Ok(tonic::Response::new(v1::ListDisksResponse { disks }))
    }

    async fn bind(&self, request: Request<v1::BindRequest>) -> Answer<v1::BindResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let wanted = volumes::Wanted {
            path: request.path,
            seen: view(request.seen),
            device: request.device,
            fs_type: request.fs_type,
            mount_options: request.mount_options,
        };
        let daemon = Arc::clone(&self.daemon);
        let work = async move {
            let volume = volumes::bind(&daemon, wanted).await?;
            devices::settle_links(&daemon).await;
            Ok(volume)
        };
        let volume = to_its_end(work).await?;
        Ok(tonic::Response::new(v1::BindResponse {
            volume: Some(volume),
        }))
    }

    async fn bind_all(&self, request: Request<v1::BindAllRequest>) -> Answer<v1::BindAllResponse> {
        may_change(&request)?;
        let drop_absent = request.into_inner().drop_absent;
        let daemon = Arc::clone(&self.daemon);
        let work = async move {
            let bound = volumes::bind_all(&daemon, drop_absent).await?;
            devices::settle_links(&daemon).await;
            Ok(bound)
        };
        Ok(tonic::Response::new(to_its_end(work).await?))
    }

    async fn unbind(&self, request: Request<v1::UnbindRequest>) -> Answer<v1::UnbindResponse> {
        may_change(&request)?;
        let request = request.into_inner();
        let daemon = Arc::clone(&self.daemon);
        let work = async move { volumes::unbind(&daemon, &request.path, view(request.seen)).await };
        let path = to_its_end(work).await?;
        Ok(tonic::Response::new(v1::UnbindResponse { path }))
    }

    async fn unbind_all(
        &self,
        request: Request<v1::UnbindAllRequest>,
    ) -> Answer<v1::UnbindAllResponse> {
        may_change(&request)?;
        let daemon = Arc::clone(&self.daemon);
        let paths = to_its_end(async move { volumes::unbind_all(&daemon).await }).await?;
        Ok(tonic::Response::new(v1::UnbindAllResponse { paths }))
    }

    async fn list_bound(&self, _: Request<v1::ListBoundRequest>) -> Answer<v1::ListBoundResponse> {
        let volumes = self.daemon.volumes.show_all(&self.daemon.records);
        Ok(tonic::Response::new(v1::ListBoundResponse { volumes }))
    }

    type WaitStream = ReceiverStream<Result<v1::WaitUpdate, tonic::Status>>;

    async fn wait(&self, request: Request<v1::WaitRequest>) -> Answer<Self::WaitStream> {
        let timeout = request.into_inner().timeout_ms.map(Duration::from_millis);
        // One update at a time: a later one says all that an earlier one did.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(volumes::wait::wait(
            Arc::clone(&self.daemon),
            timeout,
            sender,
        ));
        Ok(tonic::Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_devices(
        &self,
        request: Request<v1::ListDevicesRequest>,
    ) -> Answer<v1::ListDevicesResponse> {
        let id = request.into_inner().session_id.unwrap_or_default();
        let entry = self.daemon.sessions.get(id)?;
        let devices = devices::show_devices(&self.daemon, &entry);
        Ok(tonic::Response::new(v1::ListDevicesResponse { devices }))
    }
}

fn view(seen: Option<v1::PathView>) -> Option<(u64, u64)> {
    seen.map(|seen| (seen.st_dev, seen.st_ino))
}

/// The disks that a request means. Blocks while it looks through `/proc`.
fn list_disks(daemon: &Daemon, request: &v1::ListDisksRequest) -> Vec<v1::Disk> {
    let mut disks = daemon.disks.all();
    disks.retain(|disk| {
        (request.target_name.is_empty() || disk.target.eq_ignore_ascii_case(&request.target_name))
            && request.session_id.is_none_or(|id| id == disk.session)
    });
    let files: Vec<_> = disks
        .iter()
        .flat_map(|disk| usage::files_of(&daemon.host, &disk.facts()))
        .collect();
    let open = usage::OpenFiles::read(&files);
    let bound = daemon.records.all::<BoundVolume>();
    let shown = disks.iter().map(|disk| {
        let entry = daemon.sessions.get(disk.session).ok();
        let identity = disk.identity().map_or("", |identity| identity.as_str());
        devices::show_disk(
            disk,
            Around {
                entry: entry.as_deref(),
                persistent: logins::is_persistent(daemon, &disk.target),
                bound_paths: volumes::bound_paths_of(&bound, &disk.target, identity),
                holders: usage::holders(&daemon.host, &disk.facts(), &open),
            },
        )
    });
    shown.collect()
}
