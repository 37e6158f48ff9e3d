//! Who sends a command through which port: the I_T nexus.

use std::fmt;
use std::sync::Arc;

/// One initiator port and one target port (RFC 7143 §4.4.2): the owner of reservations and of
/// unit attentions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nexus {
    initiator_name: Arc<str>,
    isid: [u8; 6],
    portal_group: u16,
}

impl Nexus {
    /// The nexus of the initiator `initiator_name` with the session id part `isid` and the target
    /// portal group `portal_group`.
    #[must_use]
    pub fn new(initiator_name: &str, isid: [u8; 6], portal_group: u16) -> Self {
        Self {
            initiator_name: initiator_name.into(),
            isid,
            portal_group,
        }
    }

    /// The iSCSI name of the initiator.
    #[must_use]
    pub fn initiator_name(&self) -> &str {
        &self.initiator_name
    }

    /// The initiator's half of the session identifier.
    #[must_use]
    pub const fn isid(&self) -> [u8; 6] {
        self.isid
    }

    /// The target portal group tag, which is also the relative target port identifier.
    #[must_use]
    pub const fn portal_group(&self) -> u16 {
        self.portal_group
    }

    /// The name of the initiator port: `NAME,i,0x` and the ISID (RFC 7143 §4.4.2).
    pub(super) fn initiator_port(&self) -> String {
        let isid: String = self.isid.iter().map(|b| format!("{b:02x}")).collect();
        format!("{},i,0x{isid}", self.initiator_name)
    }
}

impl fmt::Display for Nexus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},t,{:#06x}", self.initiator_port(), self.portal_group)
    }
}
