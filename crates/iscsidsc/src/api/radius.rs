//! §2.9: RADIUS servers and the secret that proves us to them.

use hawser_api::v1;

use super::{Library, Secret, Status, ask, calls};

impl Library {
    /// `AddRadiusServer`. Adding it again is success.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` for what can be no address or has more than 41 characters.
    pub fn add_radius_server(&self, address: &str) -> Result<(), Status> {
        let request = v1::AddRadiusServerRequest {
            address: address.to_owned(),
        };
        ask!(
            self,
            calls::ADD_RADIUS_SERVER,
            security.add_radius_server,
            request
        )
        .map(drop)
    }

    /// `RemoveRadiusServer`.
    ///
    /// # Errors
    /// `ERROR_NOT_FOUND` if it is not stored, `ERROR_INVALID_PARAMETER`.
    pub fn remove_radius_server(&self, address: &str) -> Result<(), Status> {
        let request = v1::RemoveRadiusServerRequest {
            address: address.to_owned(),
        };
        ask!(
            self,
            calls::REMOVE_RADIUS_SERVER,
            security.remove_radius_server,
            request
        )
        .map(drop)
    }

    /// `ReportRadiusServerList`: in the order of their adding.
    ///
    /// # Errors
    /// Those of every call.
    pub fn radius_servers(&self) -> Result<Vec<String>, Status> {
        let request = v1::ListRadiusServersRequest {};
        let listed = ask!(
            self,
            calls::LIST_RADIUS_SERVERS,
            security.list_radius_servers,
            request
        )?;
        Ok(listed.addresses)
    }

    /// `SetIScsiInitiatorRADIUSSharedSecret`: 22 to 26 bytes; `None` and an empty one clear it.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` for another length.
    pub fn set_radius_secret(&self, secret: Option<Secret>) -> Result<(), Status> {
        let secret = secret.filter(|secret| !secret.is_empty());
        let request = v1::SetRadiusSecretRequest {
            secret: secret.map(Secret::into_wire),
        };
        ask!(
            self,
            calls::SET_RADIUS_SECRET,
            security.set_radius_secret,
            request
        )
        .map(drop)
    }
}
