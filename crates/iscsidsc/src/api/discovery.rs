//! §2.2: send-targets portals.

use hawser_api::v1;

use super::{
    InitiatorPort, Library, LoginOptions, Portal, SendTargetPortal, Status, ask, calls, convert,
};

impl Library {
    /// `AddIScsiSendTargetPortal`: stores a portal and asks it at once for its targets. Asked again it replaces
    /// the stored options. If it cannot be asked it stays stored.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` for a portal without address or contradictory flags, `ISDSC_INITIATOR_NOT_FOUND`,
    /// `ISDSC_INVALID_PORT_NUMBER`, those of [`LoginOptions`], and why the portal cannot be asked:
    /// `ISDSC_CONNECTION_FAILED`, `ISDSC_AUTHENTICATION_FAILURE`, `ISDSC_DNS_NAME_UNRESOLVED`,
    /// `ISDSC_INVALID_SENDTARGETS_TEXT`.
    pub fn add_send_target_portal(
        &self,
        initiator: &InitiatorPort,
        login_options: Option<LoginOptions>,
        security_flags: u64,
        portal: &Portal,
    ) -> Result<(), Status> {
        let request = v1::AddPortalRequest {
            initiator: Some(initiator.into()),
            portal: Some(portal.into()),
            login_options: login_options.map(LoginOptions::into_wire),
            security_flags,
        };
        ask!(self, calls::ADD_PORTAL, discovery.add_portal, request).map(drop)
    }

    /// `RemoveIScsiSendTargetPortal`: as it was added; any instance and port when no exact one is stored remove
    /// every entry of that address and socket. The portal's symbolic name does not count.
    ///
    /// # Errors
    /// `ISDSC_PORTAL_NOT_FOUND`.
    pub fn remove_send_target_portal(
        &self,
        initiator: &InitiatorPort,
        portal: &Portal,
    ) -> Result<(), Status> {
        let request = v1::RemovePortalRequest {
            initiator: Some(initiator.into()),
            portal: Some(convert::identity(portal)),
        };
        ask!(self, calls::REMOVE_PORTAL, discovery.remove_portal, request).map(drop)
    }

    /// `RefreshIScsiSendTargetPortal`: asks a stored portal again; its answer replaces the earlier one, a failure
    /// leaves that as it was. The portal's symbolic name does not count.
    ///
    /// # Errors
    /// `ISDSC_PORTAL_NOT_FOUND`, and as [`Library::add_send_target_portal`].
    pub fn refresh_send_target_portal(
        &self,
        initiator: &InitiatorPort,
        portal: &Portal,
    ) -> Result<(), Status> {
        let request = v1::RefreshPortalsRequest {
            initiator: Some(initiator.into()),
            portal: Some(convert::identity(portal)),
        };
        ask!(
            self,
            calls::REFRESH_PORTALS,
            discovery.refresh_portals,
            request
        )
        .map(drop)
    }

    /// `ReportIScsiSendTargetPortals` and `ReportIScsiSendTargetPortalsEx`: the stored portals in the order of
    /// their adding, without passwords.
    ///
    /// # Errors
    /// Those of every call.
    pub fn send_target_portals(&self) -> Result<Vec<SendTargetPortal>, Status> {
        let request = v1::ListPortalsRequest {};
        let listed = ask!(self, calls::LIST_PORTALS, discovery.list_portals, request)?;
        Ok(listed.portals.into_iter().map(stored).collect())
    }
}

fn stored(stored: v1::StoredPortal) -> SendTargetPortal {
    SendTargetPortal {
        initiator: stored.initiator.unwrap_or_default().into(),
        portal: stored.portal.unwrap_or_default().into(),
        security_flags: stored.security_flags,
        login_options: stored.login_options.unwrap_or_default().into(),
    }
}
