//! §2.4: persistent logins.

use hawser_api::v1;

use super::{InitiatorPort, Library, PersistentLogin, Portal, Status, ask, calls, convert};

impl Library {
    /// `ReportIScsiPersistentLogins`: in the order of their adding, without passwords.
    ///
    /// # Errors
    /// Those of every call.
    pub fn persistent_logins(&self) -> Result<Vec<PersistentLogin>, Status> {
        let request = v1::ListPersistentLoginsRequest {};
        let listed = ask!(
            self,
            calls::LIST_PERSISTENT_LOGINS,
            sessions.list_persistent_logins,
            request
        )?;
        Ok(listed.logins.into_iter().map(stored).collect())
    }

    /// `RemoveIScsiPersistentTarget`: any instance, [`super::ANY_PORT`] and no portal (or an empty address) each
    /// mean all. Sessions and bound devices stay.
    ///
    /// # Errors
    /// `ISDSC_TARGET_NOT_FOUND` if none matches, `ISDSC_COULD_NOT_REMOVE_PERSISTENT_LOGIN_DATA`,
    /// `ISDSC_INVALID_ISCSI_NAME`.
    pub fn remove_persistent_target(
        &self,
        initiator: &InitiatorPort,
        target_name: &str,
        portal: Option<&Portal>,
    ) -> Result<(), Status> {
        let portal = portal.filter(|portal| !portal.address.is_empty());
        let request = v1::RemovePersistentLoginRequest {
            initiator: Some(initiator.into()),
            target_name: target_name.to_owned(),
            portal: portal.map(convert::identity),
        };
        ask!(
            self,
            calls::REMOVE_PERSISTENT_LOGIN,
            sessions.remove_persistent_login,
            request
        )
        .map(drop)
        .map_err(|status| match status {
            // The one name that §2.4 has for it, whatever was in the way.
            Status::ERROR_DISK_FULL => Status::COULD_NOT_REMOVE_PERSISTENT_LOGIN_DATA,
            other => other,
        })
    }
}

fn stored(login: v1::PersistentLogin) -> PersistentLogin {
    let initiator = InitiatorPort::from(login.initiator.unwrap_or_default());
    let mapping = login
        .mapping
        .map(|mapping| convert::mapping_out(mapping, &initiator.instance, &login.target_name));
    PersistentLogin {
        target_name: login.target_name,
        informational: login.informational,
        initiator,
        portal: login.portal.unwrap_or_default().into(),
        security_flags: login.security_flags,
        mapping,
        login_options: login.login_options.unwrap_or_default().into(),
    }
}
