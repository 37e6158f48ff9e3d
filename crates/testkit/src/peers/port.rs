//! Picks TCP ports for servers that cannot pick one themselves.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::PeerError;

/// Ports below Linux's ephemeral range (32768 and up): while a killed server is down, no outgoing
/// connection can be given its port, and no client that keeps retrying can connect to itself.
const FIRST: u16 = 20_000;
/// One past the last port handed out.
const LAST: u16 = 32_000;

/// Ports already given out by this process, so that two tests do not get the same one before either
/// server has bound it.
static TAKEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A TCP port that nobody listens on at `127.0.0.1`. Another process may still take it first: a launcher
/// tries again with the next one.
///
/// # Errors
/// [`PeerError::Config`] when the whole range is in use.
pub fn free_port() -> Result<u16, PeerError> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let span = u32::from(LAST - FIRST);
    // Test processes run side by side: start at a place that depends on the process.
    let start = std::process::id().wrapping_mul(7919) % span;
    for step in 0..span {
        let offset = u16::try_from((start + step) % span).unwrap_or(0);
        let port = FIRST + offset;
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        if !taken.contains(&port) && TcpListener::bind(address).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    Err(PeerError::Config(format!(
        "no free port between {FIRST} and {LAST}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_below_the_ephemeral_range() {
        let a = free_port().unwrap();
        let b = free_port().unwrap();
        assert_ne!(a, b);
        assert!((FIRST..LAST).contains(&a));
    }

    #[test]
    fn a_port_in_use_is_not_given() {
        let first = free_port().unwrap();
        let held = TcpListener::bind(("127.0.0.1", first)).unwrap();
        TAKEN.lock().unwrap().remove(&first);
        assert_ne!(free_port().unwrap(), first);
        drop(held);
    }
}
