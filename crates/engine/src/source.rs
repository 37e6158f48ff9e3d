//! Connects from a chosen address of this machine.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use tokio::net::{TcpSocket, TcpStream};

use crate::error::ConnectFailure;

/// Whether a connection from `source` can lead to `address`: both are IPv4, or both IPv6.
pub(crate) fn reaches(source: Option<IpAddr>, address: &SocketAddr) -> bool {
    source.is_none_or(|source| source.is_ipv4() == address.is_ipv4())
}

/// The failure of a name none of whose addresses `source` [`reaches`].
pub(crate) fn no_address(source: Option<IpAddr>) -> ConnectFailure {
    let Some(address) = source else {
        return ConnectFailure::Resolve("the name has no address".to_owned());
    };
    let kind = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    ConnectFailure::Source {
        address,
        why: format!("the portal has no {kind} address"),
    }
}

/// Connects to `to`, from `source` if one was chosen, with any port.
pub(crate) async fn open(
    to: SocketAddr,
    source: Option<IpAddr>,
) -> Result<TcpStream, ConnectFailure> {
    let failed = |error: io::Error| ConnectFailure::Connect(error.to_string());
    let Some(address) = source else {
        return TcpStream::connect(to).await.map_err(failed);
    };
    let unusable = |error: io::Error| ConnectFailure::Source {
        address,
        why: error.to_string(),
    };
    let socket = match address {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    };
    let socket = socket.map_err(unusable)?;
    socket.bind(local(address, &to)).map_err(unusable)?;
    socket.connect(to).await.map_err(failed)
}

/// `source` with any port. A link-local one is on the link that the portal's address names.
fn local(source: IpAddr, to: &SocketAddr) -> SocketAddr {
    match (source, to) {
        (IpAddr::V6(own), SocketAddr::V6(to)) if own.is_unicast_link_local() => {
            SocketAddrV6::new(own, 0, 0, to.scope_id()).into()
        }
        _ => SocketAddr::new(source, 0),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_connection_comes_from_the_chosen_address() {
        for (at, from) in [
            ("127.0.0.1:0", Some("127.0.0.9")),
            ("127.0.0.1:0", None),
            ("[::1]:0", Some("::1")),
        ] {
            let listener = TcpListener::bind(at).await.unwrap();
            let to = listener.local_addr().unwrap();
            let (ours, theirs) = tokio::join!(open(to, from.map(ip)), listener.accept());
            let expected = from.map_or(to.ip(), ip);
            assert_eq!(theirs.unwrap().1.ip(), expected);
            assert_eq!(ours.unwrap().local_addr().unwrap().ip(), expected);
        }
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        // TEST-NET-1 (RFC 5737) is nobody's.
        let failure = open(to, Some(ip("192.0.2.9"))).await.unwrap_err();
        let text = failure.to_string();
        assert!(
            text.starts_with("cannot connect from 192.0.2.9: Cannot assign requested address"),
            "{text}"
        );
    }

    #[test]
    fn families_do_not_mix_and_link_local_addresses_take_the_portals_link() {
        let v4: SocketAddr = "192.0.2.1:3260".parse().unwrap();
        let v6: SocketAddr = "[fe80::1%7]:3260".parse().unwrap();
        assert!(reaches(None, &v4) && reaches(Some(ip("192.0.2.9")), &v4));
        assert!(!reaches(Some(ip("2001:db8::9")), &v4) && !reaches(Some(ip("192.0.2.9")), &v6));
        let text = no_address(Some(ip("2001:db8::9"))).to_string();
        assert_eq!(
            text,
            "cannot connect from 2001:db8::9: the portal has no IPv6 address"
        );
        assert_eq!(local(ip("fe80::2"), &v6), "[fe80::2%7]:0".parse().unwrap());
        let global = local(ip("2001:db8::2"), &v6);
        assert_eq!(global, "[2001:db8::2]:0".parse().unwrap());
    }
}
