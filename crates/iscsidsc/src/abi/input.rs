//! What callers hand in through pointers, as owned values of [`crate::api`] (§1.7 to §1.9, §3.3).
//!
//! Structs are read field by field, because a caller need not fill those that do not count, and unaligned, because a
//! pointer may lead anywhere.

use hawser_api::Status;

use super::constants::{
    ISCSI_LOGIN_OPTIONS_AUTH_TYPE, ISCSI_LOGIN_OPTIONS_DATA_DIGEST,
    ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_RETAIN, ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT,
    ISCSI_LOGIN_OPTIONS_HEADER_DIGEST, ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS,
    ISCSI_LOGIN_OPTIONS_PASSWORD, ISCSI_LOGIN_OPTIONS_USERNAME, ISCSI_LOGIN_OPTIONS_VERSION,
};
use super::strings::{Limit, Unit, read_text, text_of_array};
use super::types::{
    IKE_AUTHENTICATION_INFORMATION, ISCSI_LOGIN_OPTIONS, ISCSI_TARGET_MAPPING, ISCSI_TARGET_PORTAL,
    ISCSI_TARGET_PORTAL_GROUP, ISCSI_UNIQUE_SESSION_ID, SCSI_LUN_LIST,
};
use crate::api::{
    ConnectionId, IkeIdentity, IkeInfo, InitiatorPort, LoginOptions, LunMapping, Portal,
    PortalGroup, RawLoginOptions, Secret, SessionId, TargetMapping,
};

/// Longest CHAP name: RFC 7143 section 6.1 has no longer text value.
const MAX_CHAP_NAME: Blob = Blob(255, Status::INVALID_CHAP_USER_NAME);
/// Longest secret of a target that is looked at; those that may be used are shorter.
const MAX_TARGET_SECRET: Blob = Blob(255, Status::INVALID_TARGET_CHAP_SECRET);
/// Most LUNs of a mapping: a flat LUN has 14 bits.
const MAX_LUNS: u32 = 16_384;
/// Most portals of a group: the daemon takes no more for a target.
const MAX_PORTALS: u32 = 256;

/// How many bytes a blob may have, and what it is answered if it has more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blob(pub(crate) usize, pub(crate) Status);

impl Blob {
    /// An IKE preshared key.
    pub(crate) const IKE_KEY: Self = Self(1024, Status::ERROR_INVALID_PARAMETER);
    /// Whom an IKE key is for.
    pub(crate) const IKE_ID: Self = Self(255, Status::IKE_ID_PAYLOAD_INCORRECT_SIZE);
    /// Our CHAP secret.
    pub(crate) const INITIATOR_SECRET: Self = Self(255, Status::INVALID_INITIATOR_CHAP_SECRET);
    /// The secret that we share with RADIUS servers.
    pub(crate) const RADIUS_SECRET: Self = Self(255, Status::ERROR_INVALID_PARAMETER);
}

/// Copies `length` bytes; none if the length is 0, whatever the pointer. NULL with another length is
/// `ERROR_INVALID_PARAMETER`.
///
/// # Safety
/// If `bytes` is not NULL and `length` is within `limit`, so many bytes can be read.
pub(crate) unsafe fn blob(bytes: *const u8, length: u32, limit: Blob) -> Result<Vec<u8>, Status> {
    let length = usize::try_from(length).map_err(|_| limit.1)?;
    if length == 0 {
        return Ok(Vec::new());
    }
    if bytes.is_null() {
        return Err(Status::ERROR_INVALID_PARAMETER);
    }
    if length > limit.0 {
        return Err(limit.1);
    }
    let mut copy = vec![0; length];
    // SAFETY: the caller vouches for `length` bytes; `copy` is ours and has as many.
    unsafe { bytes.copy_to_nonoverlapping(copy.as_mut_ptr(), length) };
    Ok(copy)
}

/// The same as a secret; `None` if it has no bytes.
///
/// # Safety
/// As [`blob`].
pub(crate) unsafe fn secret(
    bytes: *const u8,
    length: u32,
    limit: Blob,
) -> Result<Option<Secret>, Status> {
    // SAFETY: the caller vouches for what `blob` asks.
    let bytes = unsafe { blob(bytes, length, limit) }?;
    Ok((!bytes.is_empty()).then(|| Secret::new(bytes)))
}

/// Reads a struct that is given; NULL is `ERROR_INVALID_PARAMETER`.
///
/// # Safety
/// A pointer that is not NULL leads to a `T` that can be read and is filled.
pub(crate) unsafe fn required<T: Copy>(pointer: *const T) -> Result<T, Status> {
    if pointer.is_null() {
        return Err(Status::ERROR_INVALID_PARAMETER);
    }
    // SAFETY: not NULL, so the caller vouches for it.
    Ok(unsafe { pointer.read_unaligned() })
}

/// Reads a session id.
///
/// # Safety
/// As [`required`].
pub(crate) unsafe fn session_id(id: *const ISCSI_UNIQUE_SESSION_ID) -> Result<SessionId, Status> {
    // SAFETY: the caller vouches for it.
    let id = unsafe { required(id) }?;
    Ok(SessionId {
        adapter_unique: id.AdapterUnique,
        adapter_specific: id.AdapterSpecific,
    })
}

/// Reads a connection id.
///
/// # Safety
/// As [`required`].
pub(crate) unsafe fn connection_id(
    id: *const ISCSI_UNIQUE_SESSION_ID,
) -> Result<ConnectionId, Status> {
    // SAFETY: the caller vouches for it.
    let id = unsafe { required(id) }?;
    Ok(ConnectionId {
        adapter_unique: id.AdapterUnique,
        adapter_specific: id.AdapterSpecific,
    })
}

/// An initiator instance, where NULL is any, and one of its ports.
///
/// # Safety
/// As [`read_text`].
pub(crate) unsafe fn initiator<C: Unit>(
    instance: *const C,
    port_number: u32,
) -> Result<InitiatorPort, Status> {
    // SAFETY: the caller vouches for it.
    let instance = unsafe { read_text(instance, Limit::INSTANCE) }?;
    Ok(InitiatorPort::new(instance.as_deref(), port_number))
}

/// Reads address and port of a portal and not its symbolic name, which may be uninitialised (§1.7); NULL is `None`.
///
/// # Safety
/// Address and port of a portal that is not NULL can be read and are filled, the address up to its NUL.
pub(crate) unsafe fn portal_identity<C: Unit>(
    portal: *const ISCSI_TARGET_PORTAL<C>,
) -> Result<Option<Portal>, Status> {
    if portal.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so the caller vouches for these two fields.
    let (address, socket) = unsafe {
        (
            (&raw const (*portal).Address).read_unaligned(),
            (&raw const (*portal).Socket).read_unaligned(),
        )
    };
    Ok(Some(Portal::new(&text_of_array(&address)?, socket)))
}

/// Reads a portal with its symbolic name; NULL is `None`. Without an address it says nothing, and its symbolic name
/// is not read.
///
/// # Safety
/// As [`portal_identity`]; with an address the symbolic name is filled too, up to its NUL.
pub(crate) unsafe fn portal<C: Unit>(
    portal: *const ISCSI_TARGET_PORTAL<C>,
) -> Result<Option<Portal>, Status> {
    // SAFETY: the caller vouches for it.
    let Some(mut owned) = (unsafe { portal_identity(portal) })? else {
        return Ok(None);
    };
    if !owned.address.is_empty() {
        // SAFETY: `portal_identity` gave `None` for NULL, and there is an address, so the caller vouches for the name.
        let name = unsafe { (&raw const (*portal).SymbolicName).read_unaligned() };
        owned.symbolic_name = text_of_array(&name)?;
    }
    Ok(Some(owned))
}

/// Reads a portal group: its count, then so many portals back to back; NULL is `None`.
///
/// # Safety
/// The count of a group that is not NULL can be read; if it is 256 at most, so many portals behind it are as
/// [`portal`] asks.
pub(crate) unsafe fn portal_group<C: Unit>(
    group: *const ISCSI_TARGET_PORTAL_GROUP<C>,
) -> Result<Option<PortalGroup>, Status> {
    if group.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so the caller vouches for the count.
    let count = unsafe { (&raw const (*group).Count).read_unaligned() };
    if count > MAX_PORTALS {
        return Err(Status::ERROR_INVALID_PARAMETER);
    }
    let portals = (0..count as usize).map(|index| {
        // SAFETY: the caller vouches for `count` portals; the pointer keeps the reach of `group`, it is not that of a
        // reference to the one portal that the type has.
        unsafe {
            let first = (&raw const (*group).Portals).cast::<ISCSI_TARGET_PORTAL<C>>();
            portal(first.add(index)).map(Option::unwrap_or_default)
        }
    });
    Ok(Some(PortalGroup {
        portals: portals.collect::<Result<_, _>>()?,
    }))
}

/// Reads the numbers and LUNs of a mapping; NULL is `None`. Its texts and its session are for output only and not read.
/// A wild count of LUNs is `ISDSC_INVALID_TARGET_MAPPING`.
///
/// # Safety
/// Numbers, count and list of a mapping that is not NULL can be read and are filled; if the count is 16384 at most
/// and the list not NULL, so many LUNs can be read there.
pub(crate) unsafe fn mapping<C: Unit>(
    mapping: *const ISCSI_TARGET_MAPPING<C>,
) -> Result<Option<TargetMapping>, Status> {
    if mapping.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so the caller vouches for these fields.
    let (os_bus_number, os_target_number, count, list) = unsafe {
        (
            (&raw const (*mapping).OSBusNumber).read_unaligned(),
            (&raw const (*mapping).OSTargetNumber).read_unaligned(),
            (&raw const (*mapping).LUNCount).read_unaligned(),
            (&raw const (*mapping).LUNList).read_unaligned(),
        )
    };
    if count > MAX_LUNS || (count > 0 && list.is_null()) {
        return Err(Status::INVALID_TARGET_MAPPING);
    }
    let luns = (0..count as usize).map(|index| {
        // SAFETY: the list is not NULL, and the caller vouches for `count` LUNs in it.
        let lun: SCSI_LUN_LIST = unsafe { list.add(index).read_unaligned() };
        LunMapping {
            os_lun: lun.OSLUN,
            target_lun: lun.TargetLUN,
        }
    });
    Ok(Some(TargetMapping {
        initiator_name: String::new(),
        target_name: String::new(),
        os_device_name: String::new(),
        session_id: SessionId::default(),
        os_bus_number,
        os_target_number,
        luns: luns.collect(),
    }))
}

/// Reads the method of IKE authentication information and whom it is for, and nothing else of it: where it is asked
/// for, the caller fills no more (§2.7). NULL is `ERROR_INVALID_PARAMETER`.
///
/// # Safety
/// Method, type, id and length of the struct can be read and are filled; the id as [`blob`] asks.
pub(crate) unsafe fn ike_identity(
    info: *const IKE_AUTHENTICATION_INFORMATION,
) -> Result<(u32, IkeIdentity), Status> {
    if info.is_null() {
        return Err(Status::ERROR_INVALID_PARAMETER);
    }
    // SAFETY: not NULL, so the caller vouches for these fields and the id.
    unsafe {
        let key = &raw const (*info).PsKey;
        let id = (&raw const (*key).Id).read_unaligned();
        let length = (&raw const (*key).IdLengthInBytes).read_unaligned();
        let identity = IkeIdentity {
            id_type: (&raw const (*key).IdType).read(),
            id: blob(id, length, Blob::IKE_ID)?,
        };
        let method = (&raw const (*info).AuthMethod).read_unaligned();
        Ok((method.cast_unsigned(), identity))
    }
}

/// Reads IKE authentication information that is to be stored, all of it. NULL is `ERROR_INVALID_PARAMETER`.
///
/// # Safety
/// As [`ike_identity`]; flags, key and its length can be read and are filled too, the key as [`blob`] asks.
pub(crate) unsafe fn ike_info(
    info: *const IKE_AUTHENTICATION_INFORMATION,
) -> Result<IkeInfo, Status> {
    // SAFETY: the caller vouches for it.
    let (auth_method, identity) = unsafe { ike_identity(info) }?;
    // SAFETY: `ike_identity` refuses NULL, so the caller vouches for these fields and the key.
    unsafe {
        let place = &raw const (*info).PsKey;
        let key = (&raw const (*place).Key).read_unaligned();
        let length = (&raw const (*place).KeyLengthInBytes).read_unaligned();
        Ok(IkeInfo {
            auth_method,
            security_flags: (&raw const (*place).SecurityFlags).read_unaligned(),
            identity,
            key: secret(key, length, Blob::IKE_KEY)?,
        })
    }
}

/// Reads a field of login options if its bit is set; it is the default of its type else, as what the caller left there
/// may be anything.
macro_rules! field_if {
    ($specified:expr, $bit:ident, $options:ident.$field:ident) => {
        if $specified & $bit == 0 {
            Default::default()
        } else {
            (&raw const (*$options).$field).read_unaligned()
        }
    };
}

/// Reads login options; NULL is `None`. Fields whose bits are not set are not read, whatever they hold.
///
/// # Safety
/// Version, bits and flags of options that are not NULL can be read and are filled. If the version is 0, this holds too
/// for each field whose bit is set, and as many bytes as the lengths of user name and password say can be read there,
/// each if its bit is set, its pointer not NULL and its length 255 at most.
pub(crate) unsafe fn login_options(
    options: *const ISCSI_LOGIN_OPTIONS,
) -> Result<Option<LoginOptions>, Status> {
    if options.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL, so the caller vouches for the version.
    let version = unsafe { (&raw const (*options).Version).read_unaligned() };
    if version != ISCSI_LOGIN_OPTIONS_VERSION {
        return Err(Status::ERROR_INVALID_PARAMETER);
    }
    // SAFETY: the version is right, so the caller vouches for bits and flags, and for what the bits say.
    let mut raw = unsafe {
        let bits = (&raw const (*options).InformationSpecified).read_unaligned();
        let auth_type: i32 = field_if!(bits, ISCSI_LOGIN_OPTIONS_AUTH_TYPE, options.AuthType);
        let header: i32 = field_if!(
            bits,
            ISCSI_LOGIN_OPTIONS_HEADER_DIGEST,
            options.HeaderDigest
        );
        let data: i32 = field_if!(bits, ISCSI_LOGIN_OPTIONS_DATA_DIGEST, options.DataDigest);
        RawLoginOptions {
            version,
            information_specified: bits,
            login_flags: (&raw const (*options).LoginFlags).read_unaligned(),
            auth_type: auth_type.cast_unsigned(),
            header_digest: header.cast_unsigned(),
            data_digest: data.cast_unsigned(),
            maximum_connections: field_if!(
                bits,
                ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS,
                options.MaximumConnections
            ),
            default_time2wait: field_if!(
                bits,
                ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT,
                options.DefaultTime2Wait
            ),
            default_time2retain: field_if!(
                bits,
                ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_RETAIN,
                options.DefaultTime2Retain
            ),
            ..RawLoginOptions::default()
        }
    };
    // SAFETY: as above.
    unsafe { name_and_password(options, &mut raw) }?;
    raw.try_into().map(Some)
}

/// The two fields of login options that lead to bytes elsewhere.
///
/// # Safety
/// As [`login_options`], with the version and the bits of `raw`.
unsafe fn name_and_password(
    options: *const ISCSI_LOGIN_OPTIONS,
    raw: &mut RawLoginOptions,
) -> Result<(), Status> {
    let has = |bit| raw.information_specified & bit != 0;
    let (has_name, has_password) = (
        has(ISCSI_LOGIN_OPTIONS_USERNAME),
        has(ISCSI_LOGIN_OPTIONS_PASSWORD),
    );
    if has_name {
        // SAFETY: the bit is set, so the caller vouches for pointer, length and bytes.
        raw.username = unsafe {
            let name = (&raw const (*options).Username).read_unaligned();
            let length = (&raw const (*options).UsernameLength).read_unaligned();
            blob(name, length, MAX_CHAP_NAME)
        }?;
    }
    if has_password {
        // SAFETY: as for the user name.
        raw.password = unsafe {
            let password = (&raw const (*options).Password).read_unaligned();
            let length = (&raw const (*options).PasswordLength).read_unaligned();
            secret(password, length, MAX_TARGET_SECRET)
        }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
