//! What a failed login or discovery says: where it was, and how far it came.

use std::net::SocketAddr;
use std::time::Duration;

use hawser_engine::discovery::send_targets;
use hawser_engine::{LoginFailureKind, Portal, Session, Waiting};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::{LIMIT, TARGET, anywhere, in_time, options, serve};

/// Answers the first Login Request with AuthMethod=None and the step to the next stage, takes the
/// second, and falls silent. The numbers are those of RFC 7143 §11.12 and §11.13.
async fn agree_on_security_and_no_more(stream: &mut TcpStream) {
    let request = take_pdu(stream).await;
    let mut response = [0_u8; 48];
    // Login Response; T, CSG 0 (security), NSG 1 (operational); 16 bytes of text.
    response[0] = 0x23;
    response[1] = 0x81;
    response[7] = 16;
    response[8..14].copy_from_slice(&request[8..14]);
    response[16..20].copy_from_slice(&request[16..20]);
    // StatSN 1; ExpCmdSN and MaxCmdSN as the request's CmdSN.
    response[27] = 1;
    response[28..32].copy_from_slice(&request[24..28]);
    response[32..36].copy_from_slice(&request[24..28]);
    let text = b"AuthMethod=None\0";
    stream
        .write_all(&[&response[..], text].concat())
        .await
        .unwrap();
    take_pdu(stream).await;
}

/// Reads one PDU without additional headers; gives its header.
async fn take_pdu(stream: &mut TcpStream) -> [u8; 48] {
    let mut header = [0; 48];
    stream.read_exact(&mut header).await.unwrap();
    let text = u32::from_be_bytes([0, header[5], header[6], header[7]]).next_multiple_of(4);
    let mut data = vec![0; text as usize];
    stream.read_exact(&mut data).await.unwrap();
    header
}

/// A peer that comes as far as the security stage, with any number of logins.
async fn half_a_target() -> SocketAddr {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            agree_on_security_and_no_more(&mut stream).await;
            kept.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn a_login_that_runs_out_of_time_says_in_which_step() {
    let silent = TcpListener::bind(anywhere()).await.unwrap();
    for (address, step, words) in [
        (
            silent.local_addr().unwrap(),
            Waiting::SecurityReply,
            "waiting for the target's authentication method",
        ),
        (
            half_a_target().await,
            Waiting::OperationalReply,
            "waiting for the target's operational parameters",
        ),
    ] {
        let mut options = options(address);
        options.timeouts.login = Duration::from_secs(1);
        let session = Session::open(options);
        let failure = in_time(session.established()).await.unwrap_err();
        assert!(
            matches!(failure.kind, LoginFailureKind::Silent { seconds: 1, waiting } if waiting == step),
            "{failure:?}"
        );
        assert_eq!(
            failure.to_string(),
            format!("login to {TARGET} at {address} failed: no answer within 1 s, {words}")
        );
        session.logout().await;
    }
}

#[tokio::test]
async fn a_discovery_that_fails_names_the_portal_and_no_target() {
    let server = serve().await;
    let address = server.local_addrs()[0];
    server.kill().await;
    let (login, portal) = (options(address).login, Portal::from(address));
    let asked = send_targets(&login, &portal, LIMIT);
    let failure = in_time(asked).await.unwrap_err();
    assert_eq!(failure.target, None);
    assert_eq!(failure.portal, Some(portal));
    let text = failure.to_string();
    let start = format!("discovery at {address} failed: cannot connect: ");
    assert!(text.starts_with(&start), "{text}");
}
