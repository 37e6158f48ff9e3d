//! The answer to SendTargets (RFC 7143 Appendix C).

use std::net::{IpAddr, SocketAddr};

use hawser_proto::names::{IscsiName, Portal, TargetAddress};
use hawser_proto::text::PairWriter;

use crate::config::{PortalConfig, TargetConfig};

/// What a session may ask SendTargets for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    /// A discovery session: any target that the initiator may see.
    Discovery,
    /// A normal session: its own target only.
    Own(&'a IscsiName),
}

/// Who asks, and over which local address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) initiator: &'a IscsiName,
    pub(crate) local: SocketAddr,
    pub(crate) scope: Scope<'a>,
}

/// The records for a SendTargets of this `value`: text of `TargetName` and `TargetAddress` pairs.
/// `None` when the session may not ask for that (`All` in a normal session), which is a Reject.
pub(crate) fn send_targets<'t>(
    asker: Asker<'_>,
    value: &str,
    targets: impl Iterator<Item = &'t TargetConfig>,
    portals: &[PortalConfig],
) -> Option<Vec<u8>> {
    let wanted = wanted(asker.scope, value)?;
    let mut text = PairWriter::new();
    for target in targets.filter(|target| target.access.allows(asker.initiator)) {
        let fits = match &wanted {
            Wanted::All => true,
            Wanted::Named(name) => name.as_ref() == Some(&target.name),
        };
        if fits {
            record(&mut text, target, asker.local, portals);
        }
    }
    Some(text.into_bytes())
}

enum Wanted {
    All,
    /// The target of this name; `None`: a name that no target can have.
    Named(Option<IscsiName>),
}

fn wanted(scope: Scope<'_>, value: &str) -> Option<Wanted> {
    match (scope, value) {
        (Scope::Discovery, "All") => Some(Wanted::All),
        (Scope::Own(name), "") => Some(Wanted::Named(Some(name.clone()))),
        // No target is logged in to, and `All` is for discovery.
        (Scope::Discovery, "") | (Scope::Own(_), "All") => None,
        (Scope::Discovery, name) => Some(Wanted::Named(IscsiName::parse(name).ok())),
        (Scope::Own(own), name) => {
            let name = IscsiName::parse(name).ok().filter(|name| name == own);
            Some(Wanted::Named(name))
        }
    }
}

/// One target with all portals through which it is reachable.
fn record(
    text: &mut PairWriter,
    target: &TargetConfig,
    local: SocketAddr,
    portals: &[PortalConfig],
) {
    text.push("TargetName", target.name.as_written());
    for portal in portals
        .iter()
        .filter(|portal| target.is_in_group(portal.group))
    {
        let address = TargetAddress {
            portal: Portal::from(advertised(portal.address, local)),
            tag: Some(portal.group),
        };
        text.push("TargetAddress", &address.to_string());
    }
}

/// The address by which the asker can reach a portal: one bound to "any address" is reached by the
/// address that the asker itself has used, if that is of the same family.
fn advertised(bound: SocketAddr, local: SocketAddr) -> SocketAddr {
    let ip = match (bound.ip(), local.ip()) {
        (ip, _) if !ip.is_unspecified() => ip,
        (IpAddr::V6(_), used) => used.to_canonical(),
        (IpAddr::V4(_), used @ IpAddr::V4(_)) => used,
        (ip, IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Access;

    fn ask(scope: Scope<'_>, value: &str) -> Option<String> {
        let initiator = IscsiName::parse("iqn.2024-01.test:i").unwrap();
        let only = IscsiName::parse("iqn.2024-01.test:other").unwrap();
        let targets = [
            TargetConfig::new("iqn.2024-01.test:a").unwrap(),
            TargetConfig::new("iqn.2024-01.test:b")
                .unwrap()
                .groups(&[2]),
            TargetConfig::new("iqn.2024-01.test:c")
                .unwrap()
                .access(Access::Only(vec![only])),
        ];
        let portal = |group, text: &str| PortalConfig {
            group,
            address: text.parse().unwrap(),
        };
        let portals = [portal(1, "0.0.0.0:3260"), portal(2, "[2001:db8::1]:3261")];
        let local = "192.0.2.7:3260".parse().unwrap();
        let asker = Asker {
            initiator: &initiator,
            local,
            scope,
        };
        send_targets(asker, value, targets.iter(), &portals)
            .map(|text| String::from_utf8(text).unwrap().replace('\0', "\n"))
    }

    const A: &str = "TargetName=iqn.2024-01.test:a\nTargetAddress=192.0.2.7:3260,1\n\
                     TargetAddress=[2001:db8::1]:3261,2\n";
    const B: &str = "TargetName=iqn.2024-01.test:b\nTargetAddress=[2001:db8::1]:3261,2\n";

    #[test]
    fn discovery_sees_what_it_may() {
        assert_eq!(ask(Scope::Discovery, "All").unwrap(), format!("{A}{B}"));
        assert_eq!(ask(Scope::Discovery, "iqn.2024-01.test:b").unwrap(), B);
        assert_eq!(ask(Scope::Discovery, "iqn.2024-01.test:c").unwrap(), "");
        assert_eq!(ask(Scope::Discovery, "nonsense").unwrap(), "");
        assert_eq!(ask(Scope::Discovery, ""), None);
    }

    #[test]
    fn a_normal_session_sees_its_own_target() {
        let own = IscsiName::parse("iqn.2024-01.test:a").unwrap();
        assert_eq!(ask(Scope::Own(&own), "").unwrap(), A);
        assert_eq!(ask(Scope::Own(&own), "iqn.2024-01.test:a").unwrap(), A);
        assert_eq!(ask(Scope::Own(&own), "iqn.2024-01.test:b").unwrap(), "");
        assert_eq!(ask(Scope::Own(&own), "All"), None);
    }

    #[test]
    fn an_unspecified_address_is_replaced_by_the_one_used() {
        let at = |text: &str| text.parse().unwrap();
        let check = |bound, local| advertised(at(bound), at(local)).to_string();
        assert_eq!(check("0.0.0.0:1", "192.0.2.1:9"), "192.0.2.1:1");
        assert_eq!(check("[::]:1", "[::ffff:192.0.2.1]:9"), "192.0.2.1:1");
        assert_eq!(check("[::]:1", "[2001:db8::2]:9"), "[2001:db8::2]:1");
        assert_eq!(check("198.51.100.1:1", "192.0.2.1:9"), "198.51.100.1:1");
    }
}
