//! A daemon in a process of its own, which tests can kill: `STATE RUNTIME SOCKET EXPORT-MODE`. And a
//! client in a process of its own, which tests can run as another user: `--call SOCKET`.

use std::error::Error;
use std::path::PathBuf;

use hawser_api::{Client, Failure, Status, v1};
use hawser_daemon::Config;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "hawser_daemon=debug,info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let mut next = || arguments.next().ok_or("an argument is missing");
    let first = next()?;
    if first.as_os_str() == "--call" {
        return call(&next()?).await;
    }
    let mut config = Config::new(first, next()?, next()?);
    config.export = next()?.to_string_lossy().parse()?;
    Ok(hawser_daemon::run(config).await?)
}

/// Reads something, then tries to change something; prints the status of each.
async fn call(socket: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(socket).await?;
    let status = |failure: tonic::Status| Failure::from(failure).status.code();
    let read = client.system().get_status(v1::GetStatusRequest {}).await;
    println!("read {}", read.map_or_else(status, |_| 0));
    let change = client
        .system()
        .set_node_name(v1::SetNodeNameRequest::default())
        .await;
    println!("change {}", change.map_or_else(status, |_| 0));
    let raw = client.scsi().inquiry(v1::InquiryRequest::default()).await;
    println!("raw {}", raw.map_or_else(status, |_| 0));
    // Without arguments none of these does anything that another test could miss.
    macro_rules! statuses {
        ($($service:ident.$call:ident($request:ident);)*) => {
            [$({
                let answer = client.$service().$call(v1::$request::default()).await;
                answer.map_or_else(status, |_| 0)
            }),*]
        };
    }
    let settings = statuses! {
        discovery.add_isns_server(AddIsnsServerRequest);
        discovery.remove_isns_server(RemoveIsnsServerRequest);
        discovery.refresh_isns_servers(RefreshIsnsServersRequest);
        security.add_radius_server(AddRadiusServerRequest);
        security.remove_radius_server(RemoveRadiusServerRequest);
        security.set_radius_secret(SetRadiusSecretRequest);
        security.set_group_preshared_key(SetGroupPresharedKeyRequest);
        security.set_ike_info(SetIkeInfoRequest);
        security.set_tunnel_address(SetTunnelAddressRequest);
        sessions.add_connection(AddConnectionRequest);
        sessions.remove_connection(RemoveConnectionRequest);
    };
    let denied = |status: &&u32| **status == Status::ERROR_ACCESS_DENIED.code();
    let count = settings.iter().filter(denied).count();
    println!("settings denied {count} of {}", settings.len());
    Ok(())
}
