//! One daemon a place, and who may do what.

use std::os::unix::fs::PermissionsExt;

use hawser_api::{Status, v1};
use hawser_daemon::{ExportMode, InstanceError, RunError, run_until};

use super::support::{Asks, Place, in_time, program, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_told_and_the_first_goes_on() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let second = async |config| {
        in_time(run_until(config, std::future::pending()))
            .await
            .unwrap_err()
    };
    let error = second(place.config.clone()).await;
    assert!(
        matches!(&error, RunError::Instance(InstanceError::InUse { .. })),
        "{error}"
    );
    // The same state in another runtime directory.
    let mut other = place.config.clone();
    other.runtime_dir = place.root().join("other");
    other.socket = other.runtime_dir.join("s");
    let error = second(other.clone()).await;
    assert!(matches!(&error, RunError::Store(_)), "{error}");
    assert!(error.is_in_use(), "{error}");
    assert!(
        error.to_string().contains("in use by another daemon"),
        "{error}"
    );
    assert!(!other.socket.exists());
    // Other directories and the same socket.
    other.state_dir = place.root().join("other-state");
    other.socket = place.config.socket.clone();
    let error = second(other).await;
    assert!(
        matches!(&error, RunError::Instance(InstanceError::InUse { .. })),
        "{error}"
    );
    let status = daemon
        .client
        .system()
        .get_status(v1::GetStatusRequest {})
        .await
        .unwrap();
    assert_eq!(status.into_inner().pid, std::process::id());
    daemon.stop().await;
    assert!(!place.config.socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_a_killed_daemon_is_replaced() {
    let place = Place::new(ExportMode::None);
    let daemon = place.spawn().await;
    let name = daemon
        .client
        .system()
        .get_node_name(v1::GetNodeNameRequest {})
        .await
        .unwrap();
    let name = name.into_inner().node_name;
    daemon.kill().await;
    assert!(place.config.socket.exists());
    let daemon = place.start().await;
    let again = daemon
        .client
        .system()
        .get_node_name(v1::GetNodeNameRequest {})
        .await
        .unwrap();
    assert_eq!(again.into_inner().node_name, name, "the name stays");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_is_told_ready_and_stopping() {
    let place = Place::new(ExportMode::None);
    let manager = place.root().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&manager).unwrap();
    let daemon = place
        .spawn_with(&[("NOTIFY_SOCKET", manager.to_str().unwrap())])
        .await;
    let told = async || {
        let mut message = [0; 256];
        let length = in_time(socket.recv(&mut message)).await.unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    assert_eq!(told().await, "READY=1\n");
    daemon.terminate().await;
    assert_eq!(told().await, "STOPPING=1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_database_is_named() {
    let place = Place::new(ExportMode::None);
    place.start().await.stop().await;
    let database = place.config.state_dir.join("hawser.db");
    std::fs::OpenOptions::new()
        .write(true)
        .open(&database)
        .unwrap()
        .set_len(100)
        .unwrap();
    let run = run_until(place.config.clone(), std::future::pending());
    let error = in_time(run).await.unwrap_err();
    assert!(error.to_string().contains("hawser.db"), "{error}");
    assert!(
        error.to_string().contains("backup"),
        "says what to do: {error}"
    );
}

/// Runs as root: it needs another user.
#[tokio::test(flavor = "multi_thread")]
async fn other_users_may_read_and_not_change() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.root(), open).unwrap();
    // The way to the build directory may be closed to others.
    let copy = place.root().join("client");
    // By a process of its own: a child that another test starts meanwhile would hold the copy open for
    // writing, and it could not be started.
    run("cp", &[program().to_str().unwrap(), copy.to_str().unwrap()]).await;
    let call = async |uid| {
        let mut command = tokio::process::Command::new(&copy);
        command
            .arg("--call")
            .arg(&place.config.socket)
            .uid(uid)
            .gid(uid)
            .current_dir("/");
        let output = in_time(command.output()).await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let denied = Status::ERROR_ACCESS_DENIED.code();
    assert_eq!(
        call(65_534).await,
        format!("read 0\nchange {denied}\nraw {denied}\nsettings denied 11 of 11\n")
    );
    let no_nexus = Status::ERROR_INVALID_PARAMETER.code();
    assert_eq!(
        call(0).await,
        format!("read 0\nchange 0\nraw {no_nexus}\nsettings denied 0 of 11\n")
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_kept_and_followed() {
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    let started = daemon.event("started", |_| true).await;
    assert_eq!(started.sequence, 1);
    let mut system = daemon.client.system();
    for n in 0..3 {
        let node_name = format!("iqn.2026-11.test:n{n}");
        system
            .set_node_name(v1::SetNodeNameRequest { node_name })
            .await
            .unwrap();
    }
    daemon
        .event("node-name", |event| {
            event.detail.as_ref().unwrap().message.contains("n2")
        })
        .await;
    let request = v1::WatchEventsRequest {
        recent: 2,
        ..v1::WatchEventsRequest::default()
    };
    let mut events = system.watch_events(request).await.unwrap().into_inner();
    let mut kept = Vec::new();
    while let Some(event) = in_time(events.message()).await.unwrap() {
        kept.push(event.detail.unwrap().message);
    }
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[1].contains("n2"), "{kept:?}");
    daemon.stop().await;
}
