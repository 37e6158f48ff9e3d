//! §2.7: the initiator's CHAP secret, IKE keys, tunnels.

use hawser_api::v1;

use super::{IkeIdentity, IkeInfo, InitiatorPort, Library, Outcome, Secret, Status, ask, calls};

impl Library {
    /// `SetIScsiInitiatorCHAPSharedSecret`: the secret that targets must prove in mutual CHAP, for logins from now
    /// on. 1 to 16 bytes; `None` and an empty one clear it. Under 12 bytes it is stored with the warning
    /// `ISDSC_SHORT_CHAP_SECRET`.
    ///
    /// # Errors
    /// `ISDSC_INVALID_INITIATOR_CHAP_SECRET` for more than 16 bytes.
    pub fn set_chap_secret(&self, secret: Option<Secret>) -> Result<Outcome<()>, Status> {
        let Some(secret) = secret.filter(|secret| !secret.is_empty()) else {
            let request = v1::ClearChapSecretRequest {};
            let call = calls::CLEAR_CHAP_SECRET;
            ask!(self, call, security.clear_chap_secret, request)?;
            return Ok(Outcome::new((), 0));
        };
        let request = v1::SetChapSecretRequest {
            secret: Some(secret.into_wire()),
            allow_long: false,
            store_short: true,
        };
        let set = ask!(
            self,
            calls::SET_CHAP_SECRET,
            security.set_chap_secret,
            request
        )?;
        Ok(Outcome::new((), set.warning))
    }

    /// `SetIScsiGroupPresharedKey`: the key where no other is set; `None` and an empty one clear it.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` for a key that is too long.
    pub fn set_group_preshared_key(
        &self,
        key: Option<Secret>,
        persist: bool,
    ) -> Result<(), Status> {
        let request = v1::SetGroupPresharedKeyRequest {
            key: key.map(Secret::into_wire),
            persist,
        };
        ask!(
            self,
            calls::SET_GROUP_PRESHARED_KEY,
            security.set_group_preshared_key,
            request
        )
        .map(drop)
    }

    /// `SetIScsiIKEInfo`: the key and flags for an identity; without a key, removes them.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` for another method than 1, contradictory flags or a key that is too long;
    /// `ISDSC_IKE_ID_PAYLOAD_TYPE_NOT_SUPPORTED`, `ISDSC_IKE_ID_PAYLOAD_INCORRECT_SIZE`,
    /// `ISDSC_INITIATOR_NOT_FOUND`, `ISDSC_INVALID_PORT_NUMBER`.
    pub fn set_ike_info(
        &self,
        initiator: &InitiatorPort,
        info: IkeInfo,
        persist: bool,
    ) -> Result<(), Status> {
        let request = v1::SetIkeInfoRequest {
            initiator: Some(initiator.into()),
            auth_method: info.auth_method,
            identity: Some(identity(info.identity)),
            security_flags: info.security_flags,
            key: info.key.map(Secret::into_wire),
            persist,
        };
        ask!(self, calls::SET_IKE_INFO, security.set_ike_info, request).map(drop)
    }

    /// `GetIScsiIKEInfo`: the `ISCSI_SECURITY_FLAGS` of an identity. The key is never given.
    ///
    /// # Errors
    /// As [`Library::set_ike_info`]; `ISDSC_NO_AUTH_INFO_AVAILABLE` if nothing is set for that initiator and port,
    /// `ISDSC_TARGET_PRESHAREDKEY_UNAVAILABLE` if not for that identity.
    pub fn ike_info(
        &self,
        initiator: &InitiatorPort,
        auth_method: u32,
        of: IkeIdentity,
    ) -> Result<u64, Status> {
        let request = v1::GetIkeInfoRequest {
            initiator: Some(initiator.into()),
            auth_method,
            identity: Some(identity(of)),
        };
        let told = ask!(self, calls::GET_IKE_INFO, security.get_ike_info, request)?;
        Ok(told.security_flags)
    }

    /// `SetIScsiTunnelModeOuterAddress`: `destination` `None` or empty: every destination that has no setting of its
    /// own; `outer` `None` or empty: remove the setting.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` for what can be no address, `ISDSC_INITIATOR_NOT_FOUND`,
    /// `ISDSC_INVALID_PORT_NUMBER`.
    pub fn set_tunnel_outer_address(
        &self,
        initiator: &InitiatorPort,
        destination: Option<&str>,
        outer: Option<&str>,
        persist: bool,
    ) -> Result<(), Status> {
        let given = |address: Option<&str>| address.unwrap_or_default().to_owned();
        let (destination_address, outer_address) = (given(destination), given(outer));
        let request = v1::SetTunnelAddressRequest {
            initiator: Some(initiator.into()),
            destination_address,
            outer_address,
            persist,
        };
        ask!(
            self,
            calls::SET_TUNNEL_ADDRESS,
            security.set_tunnel_address,
            request
        )
        .map(drop)
    }
}

fn identity(identity: IkeIdentity) -> v1::IkeIdentity {
    v1::IkeIdentity {
        id_type: identity.id_type.into(),
        id: identity.id,
    }
}
