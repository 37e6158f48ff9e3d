//! §2.7: CHAP secret, IKE keys, tunnels.

use super::{Answer, DONE, LIBRARY, export, export_pairs};
use crate::abi::input::{self, Blob};
use crate::abi::pack::reports;
use crate::abi::strings::{Limit, Unit, read_text};
use crate::abi::types::{BOOLEAN, IKE_AUTHENTICATION_INFORMATION};

export! {
    /// `SetIScsiInitiatorCHAPSharedSecret` (§2.7): a length of 0 clears it. `ISDSC_SHORT_CHAP_SECRET` is a warning.
    SetIScsiInitiatorCHAPSharedSecret = chap_secret(SharedSecretLength: u32, SharedSecret: *const u8)
}

export! {
    /// `SetIScsiGroupPresharedKey` (§2.7): a length of 0 clears it.
    SetIScsiGroupPresharedKey = group_key(KeyLength: u32, Key: *const u8, Persist: BOOLEAN)
}

export_pairs! {
    /// `SetIScsiIKEInfo` (§2.7): a key of length 0 is removed.
    SetIScsiIKEInfoA / SetIScsiIKEInfoW = set_ike_info(
        InitiatorName: *const C,
        InitiatorPortNumber: u32,
        AuthInfo: *const IKE_AUTHENTICATION_INFORMATION,
        Persist: BOOLEAN,
    );

    /// `GetIScsiIKEInfo` (§2.7): the flags of the key that is stored for an identity, never the key. `Reserved` is ignored.
    GetIScsiIKEInfoA / GetIScsiIKEInfoW = ike_info(
        InitiatorName: *const C,
        InitiatorPortNumber: u32,
        Reserved: *const u32,
        AuthInfo: *mut IKE_AUTHENTICATION_INFORMATION,
    );

    /// `SetIScsiTunnelModeOuterAddress` (§2.7).
    SetIScsiTunnelModeOuterAddressA / SetIScsiTunnelModeOuterAddressW = tunnel(
        InitiatorName: *const C,
        InitiatorPortNumber: u32,
        DestinationAddress: *const C,
        OuterModeAddress: *const C,
        Persist: BOOLEAN,
    );
}

unsafe fn chap_secret(length: u32, secret: *const u8) -> Answer {
    // SAFETY: the caller vouches for so many bytes.
    let secret = unsafe { input::secret(secret, length, Blob::INITIATOR_SECRET) }?;
    Ok(LIBRARY.set_chap_secret(secret)?.status())
}

unsafe fn group_key(length: u32, key: *const u8, persist: BOOLEAN) -> Answer {
    // SAFETY: the caller vouches for so many bytes.
    let key = unsafe { input::secret(key, length, Blob::IKE_KEY) }?;
    LIBRARY.set_group_preshared_key(key, persist != 0)?;
    DONE
}

unsafe fn set_ike_info<C: Unit>(
    instance: *const C,
    port_number: u32,
    info: *const IKE_AUTHENTICATION_INFORMATION,
    persist: BOOLEAN,
) -> Answer {
    // SAFETY: the caller vouches for the text, the struct, and the id and key in it.
    let (initiator, info) = unsafe {
        let info = input::ike_info(info)?;
        (input::initiator(instance, port_number)?, info)
    };
    LIBRARY.set_ike_info(&initiator, info, persist != 0)?;
    DONE
}

unsafe fn ike_info<C: Unit>(
    instance: *const C,
    port_number: u32,
    _reserved: *const u32,
    info: *mut IKE_AUTHENTICATION_INFORMATION,
) -> Answer {
    // SAFETY: the caller vouches for the text, the struct, and the id in it.
    let (initiator, (method, identity)) = unsafe {
        (
            input::initiator(instance, port_number)?,
            input::ike_identity(info)?,
        )
    };
    let flags = LIBRARY.ike_info(&initiator, method, identity)?;
    // SAFETY: `ike_identity` refuses NULL, and the caller vouches for the struct.
    unsafe { reports::answer_ike(info, flags) };
    DONE
}

unsafe fn tunnel<C: Unit>(
    instance: *const C,
    port_number: u32,
    destination: *const C,
    outer: *const C,
    persist: BOOLEAN,
) -> Answer {
    // SAFETY: the caller vouches for the texts.
    let (initiator, destination, outer) = unsafe {
        (
            input::initiator(instance, port_number)?,
            read_text(destination, Limit::ADDRESS)?,
            read_text(outer, Limit::ADDRESS)?,
        )
    };
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (destination, outer) = (given(destination), given(outer));
    LIBRARY.set_tunnel_outer_address(
        &initiator,
        destination.as_deref(),
        outer.as_deref(),
        persist != 0,
    )?;
    DONE
}
