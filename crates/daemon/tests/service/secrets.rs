//! One CHAP secret in several hands (RFC 7143 §9.2.1).

use hawser_api::v1;
use hawser_daemon::ExportMode;
use hawser_target::{ChapConfig, TargetConfig};

use super::support::{
    Asks, Place, Running, SECRET, TARGET, USER, persistent, serve, target, target_named, with_chap,
    with_secret,
};

const SECOND: &str = "iqn.2026-11.test.hawser:second";
const THIRD: &str = "iqn.2026-11.test.hawser:third";
const OTHER_SECRET: &str = "another-secret";
const KIND: &str = "chap-secret-shared";

/// Events of the kind that there were so far.
async fn told(daemon: &Running) -> Vec<v1::Event> {
    let request = v1::WatchEventsRequest::default();
    let mut system = daemon.client.system();
    let mut events = system.watch_events(request).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(event) = events.message().await.unwrap() {
        found.extend((event.kind == KIND).then_some(event));
    }
    found
}

/// Logs in persistently; gives the warnings.
async fn warnings(daemon: &Running, name: &str, secret: &str) -> Vec<v1::ErrorDetail> {
    let request = v1::LoginRequest {
        target_name: name.into(),
        ..with_secret(persistent(), secret)
    };
    daemon.login(request).await.unwrap().warnings
}

#[tokio::test(flavor = "multi_thread")]
async fn one_secret_for_two_targets_is_warned_of() {
    let third: TargetConfig = target_named(THIRD, "third");
    let servers = [
        serve(with_chap(target())).await,
        serve(with_chap(target_named(SECOND, "second"))).await,
        serve(third.chap(ChapConfig::one_way(USER, OTHER_SECRET.into()))).await,
    ];
    let place = Place::new(ExportMode::None);
    let daemon = place.start().await;
    for server in &servers {
        daemon.add_portal(server.local_addrs()[0]).await.unwrap();
    }
    assert_eq!(warnings(&daemon, TARGET, SECRET).await, []);
    assert_eq!(warnings(&daemon, TARGET, SECRET).await, [], "with itself");
    assert_eq!(warnings(&daemon, THIRD, OTHER_SECRET).await, []);
    assert_eq!(told(&daemon).await.len(), 0);

    let given = warnings(&daemon, SECOND, SECRET).await;
    assert_eq!(given.len(), 1, "{given:?}");
    assert_eq!(given[0].target, SECOND);
    assert!(given[0].message.contains(TARGET), "{given:?}");
    assert!(!given[0].message.contains(THIRD), "{given:?}");
    let events = told(&daemon).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].severity(), v1::Severity::Warning);
    assert_eq!(events[0].detail.as_ref(), Some(&given[0]));
    let sessions = daemon.sessions().await;
    let shown = format!("{given:?}{events:?}{sessions:?}");
    assert!(shown.contains("is also used for"), "noted with the session");
    assert!(!shown.contains(SECRET), "{shown}");
    daemon.stop().await;

    // At a start it is told once, and not once for each of them.
    let daemon = place.start().await;
    daemon.event("session-up", |_| true).await;
    let events = told(&daemon).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let message = &events[0].detail.as_ref().unwrap().message;
    assert!(message.contains(TARGET) && message.contains(SECOND));
    daemon.stop().await;
}
