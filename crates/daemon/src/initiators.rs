//! Our initiator instance and the addresses from which it can connect.
//!
//! The Discovery Library numbers an initiator's ports; ours are the addresses of this machine. Numbers
//! change when addresses come and go, so what is stored keeps to the address that a number meant.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hawser_api::v1;
use hawser_api::{Failure, Status};
use hawser_store::InitiatorPort;

use crate::convert;

/// Name of our one initiator instance.
pub(crate) const INSTANCE: &str = "Root\\HAWSER\\0000_0";
/// Longest name of an instance: `MAX_ISCSI_HBANAME_LEN` less the NUL.
const MAX_INSTANCE_LEN: usize = 255;
/// Addresses that an error lists; a machine with more has tools of its own for it.
const MAX_LISTED: usize = 8;
/// How long listings take the machine's addresses to be as they were.
const RECENT_FOR: Duration = Duration::from_secs(1);

/// The IP addresses of this machine, loopback last. The order is that of the kernel's list.
pub(crate) fn source_addresses() -> Vec<v1::SourceAddress> {
    let mut found = Vec::new();
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address else {
            continue;
        };
        let ip: IpAddr = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => v4.ip().into(),
            (None, Some(v6)) => v6.ip().into(),
            (None, None) => continue,
        };
        found.push((ip, interface.interface_name));
    }
    found.sort_by_key(|(ip, _)| ip.is_loopback());
    let numbered = found.into_iter().zip(0..);
    numbered
        .map(|((address, interface), port_number)| v1::SourceAddress {
            port_number,
            address: address.to_string(),
            interface,
        })
        .collect()
}

/// Checks an initiator and source address of a request against what this machine has, and finds the
/// address that a number means.
pub(crate) fn resolve(initiator: InitiatorPort) -> Result<InitiatorPort, Failure> {
    check_instance(&initiator)?;
    let instance = &initiator.instance;
    match (&initiator.source, initiator.port_number) {
        (None, None) => Ok(initiator),
        (None, Some(_)) if instance.is_empty() => {
            let message = "a port number needs an initiator instance";
            Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message))
        }
        (None, Some(number)) => {
            let address = address_of(number).ok_or_else(|| {
                let message = format!("the initiator has no port {number}");
                Failure::new(Status::INVALID_PORT_NUMBER, message).with_advice(advice())
            })?;
            Ok(from_address(address, Some(number)))
        }
        (Some(text), number) => by_address(text, number),
    }
}

/// Refuses an initiator that is not ours.
pub(crate) fn check_instance(initiator: &InitiatorPort) -> Result<(), Failure> {
    let instance = &initiator.instance;
    if instance.is_empty() || instance.eq_ignore_ascii_case(INSTANCE) {
        return Ok(());
    }
    if instance.len() > MAX_INSTANCE_LEN {
        let message = format!("an initiator's name has {MAX_INSTANCE_LEN} bytes at most");
        return Err(Failure::new(Status::ERROR_INVALID_PARAMETER, message));
    }
    let message = format!("there is no initiator {}", convert::excerpt(instance));
    Err(Failure::new(Status::INITIATOR_NOT_FOUND, message)
        .with_advice(format!("name none, or {INSTANCE}")))
}

fn by_address(text: &str, number: Option<u32>) -> Result<InitiatorPort, Failure> {
    let invalid = |what: String| Failure::new(Status::ERROR_INVALID_PARAMETER, what);
    let address: IpAddr = text
        .parse()
        .map_err(|_| invalid(format!("the source address {text} is no IP address")))?;
    let present = number_of(address);
    if number.is_some() && number != present {
        let what =
            format!("the initiator's port of that number does not have the address {address}");
        return Err(invalid(what));
    }
    if present.is_none() && !is_ours(address) {
        let message = format!("{address} is no address of this machine to connect from");
        return Err(Failure::new(Status::INVALID_PORT_NUMBER, message).with_advice(advice()));
    }
    Ok(from_address(address, present))
}

/// The one that a request means which asks for what is stored: it may speak of an address that this
/// machine has no more.
pub(crate) fn named(initiator: &InitiatorPort) -> InitiatorPort {
    let given = initiator.source.as_ref().and_then(|text| text.parse().ok());
    let address = given.or_else(|| address_of(initiator.port_number?));
    match address {
        Some(address) => from_address(address, initiator.port_number),
        None => initiator.clone(),
    }
}

/// It means every initiator and every source address.
pub(crate) fn is_any(initiator: &InitiatorPort) -> bool {
    *initiator == InitiatorPort::default()
}

/// The number that its address has now, if it has one.
pub(crate) fn number_now(initiator: &InitiatorPort) -> Option<u32> {
    match &initiator.source {
        Some(source) => {
            let address: IpAddr = source.parse().ok()?;
            number_in(&recent_addresses(), address)
        }
        None => initiator.port_number,
    }
}

/// The addresses as they were a moment ago: a listing asks for those of hundreds of records.
fn recent_addresses() -> Arc<Vec<v1::SourceAddress>> {
    static RECENT: Mutex<Option<(Instant, Arc<Vec<v1::SourceAddress>>)>> = Mutex::new(None);
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    match &*recent {
        Some((seen, addresses)) if seen.elapsed() < RECENT_FOR => Arc::clone(addresses),
        _ => {
            let addresses = Arc::new(source_addresses());
            *recent = Some((Instant::now(), Arc::clone(&addresses)));
            addresses
        }
    }
}

/// The address to connect from, as the engine takes it.
pub(crate) fn source(initiator: &InitiatorPort) -> Result<Option<IpAddr>, Failure> {
    let parse = |text: &String| {
        text.parse().map_err(|_| {
            let message = format!("the source address {text} is no IP address");
            Failure::new(Status::ERROR_INVALID_PARAMETER, message)
        })
    };
    initiator.source.as_ref().map(parse).transpose()
}

fn from_address(address: IpAddr, port_number: Option<u32>) -> InitiatorPort {
    InitiatorPort {
        instance: INSTANCE.to_owned(),
        port_number,
        source: Some(address.to_string()),
    }
}

fn address_of(number: u32) -> Option<IpAddr> {
    let all = source_addresses();
    let port = all.iter().find(|port| port.port_number == number)?;
    port.address.parse().ok()
}

fn number_of(address: IpAddr) -> Option<u32> {
    number_in(&source_addresses(), address)
}

fn number_in(all: &[v1::SourceAddress], address: IpAddr) -> Option<u32> {
    let text = address.to_string();
    let port = all.iter().find(|port| port.address == text)?;
    Some(port.port_number)
}

/// Whether a socket can have this address: one of 127.0.0.0/8, or one that a route makes local, is ours
/// without being in the kernel's list.
fn is_ours(address: IpAddr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && UdpSocket::bind((address, 0)).is_ok()
}

fn advice() -> String {
    let all = source_addresses();
    let mut listed: Vec<&str> = all.iter().map(|port| port.address.as_str()).collect();
    let more = if listed.len() > MAX_LISTED {
        ", …"
    } else {
        ""
    };
    listed.truncate(MAX_LISTED);
    format!("choose one of this machine's: {}{more}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(instance: &str, port_number: Option<u32>, source: Option<&str>) -> InitiatorPort {
        InitiatorPort {
            instance: instance.into(),
            port_number,
            source: source.map(str::to_owned),
        }
    }

    fn status(initiator: InitiatorPort) -> Status {
        resolve(initiator).unwrap_err().status
    }

    #[test]
    fn an_initiator_must_be_ours_and_a_port_needs_it() {
        resolve(port("", None, None)).unwrap();
        resolve(port("root\\hawser\\0000_0", None, None)).unwrap();
        assert_eq!(
            status(port("other", None, None)),
            Status::INITIATOR_NOT_FOUND
        );
        assert_eq!(
            status(port(&"x".repeat(255), None, None)),
            Status::INITIATOR_NOT_FOUND
        );
        assert_eq!(
            status(port(&"x".repeat(256), None, None)),
            Status::ERROR_INVALID_PARAMETER
        );
        assert_eq!(
            status(port("", Some(0), None)),
            Status::ERROR_INVALID_PARAMETER
        );
        assert_eq!(
            status(port(INSTANCE, Some(9999), None)),
            Status::INVALID_PORT_NUMBER
        );
    }

    #[test]
    fn a_number_and_its_address_are_the_same_port() {
        let all = source_addresses();
        let loopback = all.iter().find(|port| port.address == "127.0.0.1").unwrap();
        let number = Some(loopback.port_number);
        let by_number = resolve(port(INSTANCE, number, None)).unwrap();
        assert_eq!(by_number, port(INSTANCE, number, Some("127.0.0.1")));
        assert_eq!(
            resolve(port("", None, Some("127.0.0.1"))).unwrap(),
            by_number
        );
        assert_eq!(
            resolve(port("", number, Some("127.0.0.1"))).unwrap(),
            by_number
        );
        assert_eq!(named(&port("", number, None)), by_number);
        assert_eq!(number_now(&by_number), number);
        // As it is told of after the addresses were numbered anew.
        let old = port(INSTANCE, Some(9999), Some("127.0.0.1"));
        assert_eq!(number_now(&old), number);
        assert_eq!(old.for_comparison(), by_number.for_comparison());
        assert_eq!(
            status(port("", Some(9999), Some("127.0.0.1"))),
            Status::ERROR_INVALID_PARAMETER
        );
    }

    #[test]
    fn addresses_of_others_are_refused_with_those_that_are_ours() {
        for (text, expected) in [
            ("192.0.2.9", Status::INVALID_PORT_NUMBER),
            ("2001:db8::9", Status::INVALID_PORT_NUMBER),
            ("0.0.0.0", Status::INVALID_PORT_NUMBER),
            ("localhost", Status::ERROR_INVALID_PARAMETER),
        ] {
            assert_eq!(status(port("", None, Some(text))), expected, "{text}");
        }
        let failure = resolve(port("", None, Some("192.0.2.9"))).unwrap_err();
        assert!(failure.advice.contains("127.0.0.1"), "{failure}");
        // Not in the kernel's list, and ours.
        let other = resolve(port("", None, Some("127.3.4.5"))).unwrap();
        assert_eq!(other, port(INSTANCE, None, Some("127.3.4.5")));
        assert_eq!(source(&other).unwrap(), Some("127.3.4.5".parse().unwrap()));
        // What is stored may be of an address that is gone.
        let gone = named(&port("", None, Some("192.0.2.9")));
        assert_eq!(gone, port(INSTANCE, None, Some("192.0.2.9")));
    }
}
