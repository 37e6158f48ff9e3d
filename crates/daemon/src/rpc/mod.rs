//! The RPC: one file a service. Each call checks what the caller may do, turns the request into what
//! the other modules take, and their answer into a response.

mod discovery;
mod scsi;
mod security;
mod sessions;
mod system;
mod volumes;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hawser_api::MAX_MESSAGE_SIZE;
use hawser_api::v1::discovery_server::DiscoveryServer;
use hawser_api::v1::scsi_server::ScsiServer;
use hawser_api::v1::security_server::SecurityServer;
use hawser_api::v1::sessions_server::SessionsServer;
use hawser_api::v1::system_server::SystemServer;
use hawser_api::v1::volumes_server::VolumesServer;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::daemon::Daemon;

/// Calls of one client that are under way at once.
const CALLS_PER_CONNECTION: usize = 64;
/// Longest time of a call until its answer begins; clients set shorter ones of their own.
const LONGEST_CALL: Duration = Duration::from_secs(600);

/// The services of a daemon.
#[derive(Debug, Clone)]
struct Service {
    daemon: Arc<Daemon>,
}

/// What a call gives.
type Answer<T> = Result<tonic::Response<T>, tonic::Status>;

/// Serves calls until `end`; calls under way come to their end.
pub(crate) async fn serve(
    daemon: Arc<Daemon>,
    listener: UnixListener,
    end: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let service = Service { daemon };
    macro_rules! bounded {
        ($server:ident) => {
            $server::new(service.clone())
                .max_decoding_message_size(MAX_MESSAGE_SIZE)
                .max_encoding_message_size(MAX_MESSAGE_SIZE)
        };
    }
    Server::builder()
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .timeout(LONGEST_CALL)
        .add_service(bounded!(SystemServer))
        .add_service(bounded!(DiscoveryServer))
        .add_service(bounded!(SessionsServer))
        .add_service(bounded!(VolumesServer))
        .add_service(bounded!(ScsiServer))
        .add_service(bounded!(SecurityServer))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), end)
        .await
}

/// A count for a response.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
