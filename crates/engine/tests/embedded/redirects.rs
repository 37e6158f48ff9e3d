//! Login redirects (RFC 7143 §11.13.5, status class 1), passing refusals, and silence.

use std::time::Duration;

use hawser_engine::{LoginFailureKind, Portal, Session, SessionEvent, SessionState};
use hawser_target::faults::Redirect;
use tokio::net::TcpListener;

use super::support::{
    anywhere, event, in_time, logged_in_again, options, ram, serve, serve_at, target, unit, up,
};

#[tokio::test]
async fn a_temporary_redirect_keeps_the_configured_portal() {
    let elsewhere = serve().await;
    let group = serve().await;
    group
        .faults()
        .set_redirect(Some(Redirect::temporary(elsewhere.local_addrs()[0])));
    let session = up(&group).await;
    let SessionState::Up(view) = session.state() else {
        panic!("not up")
    };
    assert_eq!(view.portal, Portal::from(group.local_addrs()[0]));
    assert_eq!(view.remote_address, elsewhere.local_addrs()[0].to_string());
    // The next login asks at the configured portal again.
    group.faults().set_redirect(None);
    session.reconnect();
    logged_in_again(&session, 1).await;
    let SessionState::Up(view) = session.state() else {
        panic!("not up")
    };
    assert_eq!(view.remote_address, group.local_addrs()[0].to_string());
    session.logout().await;
}

#[tokio::test]
async fn a_permanent_redirect_is_told() {
    let elsewhere = serve().await;
    let group = serve().await;
    group
        .faults()
        .set_redirect(Some(Redirect::permanent(elsewhere.local_addrs()[0])));
    let session = Session::open(options(group.local_addrs()[0]));
    let mut events = session.events();
    let moved = event(&mut events, |event| match event {
        SessionEvent::MovedPermanently(portal) => Some(portal),
        _ => None,
    })
    .await;
    assert_eq!(moved, Portal::from(elsewhere.local_addrs()[0]));
    session.logout().await;
}

#[tokio::test]
async fn only_what_comes_before_a_temporary_redirect_counts_as_a_move() {
    let servers = [serve().await, serve().await, serve().await];
    let [first, second, third] = [0, 1, 2].map(|at: usize| servers[at].local_addrs()[0]);
    let way = |from: usize, redirect| servers[from].faults().set_redirect(Some(redirect));
    let moved = async || {
        let session = Session::open(options(first));
        let mut events = session.events();
        let mut told = None;
        let view = event(&mut events, |event| match event {
            SessionEvent::MovedPermanently(portal) => {
                told = Some(portal);
                None
            }
            SessionEvent::Up(view) => Some(view),
            _ => None,
        })
        .await;
        assert_eq!(view.remote_address, third.to_string());
        session.logout().await;
        told
    };
    way(0, Redirect::permanent(second));
    way(1, Redirect::temporary(third));
    assert_eq!(moved().await, Some(Portal::from(second)));
    way(0, Redirect::temporary(second));
    way(1, Redirect::permanent(third));
    assert_eq!(moved().await, None);
    way(0, Redirect::permanent(second));
    assert_eq!(moved().await, Some(Portal::from(third)));
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server = serve_at(anywhere(), target().lun(0, unit(ram(), "disk"))).await;
    let itself = server.local_addrs()[0];
    for redirect in [Redirect::temporary(itself), Redirect::permanent(itself)] {
        let said = redirect.permanent;
        server.faults().set_redirect(Some(redirect));
        let session = Session::open(options(itself));
        let failure = in_time(session.established()).await.unwrap_err();
        assert!(
            matches!(failure.kind, LoginFailureKind::TooManyRedirects { permanent, .. } if permanent == said),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_target_that_is_out_of_resources_is_tried_again() {
    let server = serve().await;
    server.faults().refuse_next_login(3, 2);
    let session = Session::open(options(server.local_addrs()[0]));
    let failure = in_time(session.established()).await.unwrap_err();
    assert!(!failure.is_final(), "{failure}");
    logged_in_again(&session, 0).await;
    session.logout().await;
}

#[tokio::test]
async fn a_target_that_is_silent_in_the_login_is_left_in_time_for_the_next_portal() {
    let silent = TcpListener::bind(anywhere()).await.unwrap();
    let server = serve().await;
    let mut options = options(silent.local_addr().unwrap());
    options.portals.push(Portal::from(server.local_addrs()[0]));
    options.timeouts.login = Duration::from_secs(1);
    let session = Session::open(options);
    let failure = in_time(session.established()).await.unwrap_err();
    assert!(
        matches!(failure.kind, LoginFailureKind::Silent { seconds: 1, .. }),
        "{failure}"
    );
    logged_in_again(&session, 0).await;
    session.logout().await;
}
