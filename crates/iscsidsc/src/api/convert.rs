//! Messages of the contract as the library's types, and the other way.

use hawser_api::{lun_as_discovery_library, v1};

use super::{ANY_PORT, InitiatorPort, LunMapping, Portal, PortalGroup, SessionId, TargetMapping};

/// `OSBusNumber` and `OSTargetNumber`: any.
const ANY_NUMBER: u32 = 0xffff_ffff;

/// A number of the contract in the 16 bits that C has for it.
pub(super) fn low16(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// A number of the contract in the 8 bits that C has for it.
pub(super) fn low8(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

impl From<&InitiatorPort> for v1::InitiatorPort {
    fn from(port: &InitiatorPort) -> Self {
        Self {
            instance: port.instance.clone(),
            port_number: Some(port.port_number).filter(|number| *number != ANY_PORT),
            source_address: None,
        }
    }
}

impl From<v1::InitiatorPort> for InitiatorPort {
    fn from(port: v1::InitiatorPort) -> Self {
        Self {
            instance: port.instance,
            port_number: port.port_number.unwrap_or(ANY_PORT),
        }
    }
}

impl From<&Portal> for v1::Portal {
    fn from(portal: &Portal) -> Self {
        Self {
            address: portal.address.clone(),
            port: portal.socket.into(),
            symbolic_name: portal.symbolic_name.clone(),
        }
    }
}

/// A portal that names a stored one: what its symbolic name holds may be rubbish (§1.7).
pub(super) fn identity(portal: &Portal) -> v1::Portal {
    v1::Portal {
        symbolic_name: String::new(),
        ..portal.into()
    }
}

/// NULL and an empty address are the same (§1.7).
pub(super) fn given(portal: Option<&Portal>) -> Option<v1::Portal> {
    portal
        .filter(|portal| !portal.address.is_empty())
        .map(v1::Portal::from)
}

impl From<v1::Portal> for Portal {
    fn from(portal: v1::Portal) -> Self {
        Self {
            symbolic_name: portal.symbolic_name,
            address: portal.address,
            socket: low16(portal.port),
        }
    }
}

impl From<v1::PortalGroup> for PortalGroup {
    fn from(group: v1::PortalGroup) -> Self {
        Self {
            portals: group.portals.into_iter().map(Portal::from).collect(),
        }
    }
}

/// What counts of a mapping on input: the numbers (§2.3).
pub(super) fn mapping_in(mapping: &TargetMapping) -> v1::TargetMapping {
    let number = |number| Some(number).filter(|number| *number != ANY_NUMBER);
    let luns = mapping.luns.iter();
    v1::TargetMapping {
        os_bus_number: number(mapping.os_bus_number),
        os_target_number: number(mapping.os_target_number),
        luns: luns
            .map(|lun| v1::LunMapping {
                os_lun: lun.os_lun,
                lun: lun_as_discovery_library(lun.target_lun),
            })
            .collect(),
    }
}

/// A stored mapping of a target; it has no session.
pub(super) fn mapping_out(
    mapping: v1::TargetMapping,
    initiator: &str,
    target: &str,
) -> TargetMapping {
    let luns = mapping.luns.into_iter();
    TargetMapping {
        initiator_name: initiator.to_owned(),
        target_name: target.to_owned(),
        os_device_name: String::new(),
        session_id: SessionId::default(),
        os_bus_number: mapping.os_bus_number.unwrap_or(ANY_NUMBER),
        os_target_number: mapping.os_target_number.unwrap_or(ANY_NUMBER),
        luns: luns
            .map(|lun| LunMapping {
                os_lun: lun.os_lun,
                target_lun: lun_as_discovery_library(lun.lun),
            })
            .collect(),
    }
}
