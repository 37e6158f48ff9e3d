//! §2.3: sessions, their connections and devices.

use std::ffi::c_void;

use super::{Answer, DONE, LIBRARY, export, export_pairs};
use crate::abi::input::{self, Blob};
use crate::abi::pack::{Place, Room, reports};
use crate::abi::strings::{Limit, Unit, require_text};
use crate::abi::types::{
    BOOLEAN, ISCSI_DEVICE_ON_SESSION, ISCSI_LOGIN_OPTIONS, ISCSI_SECURITY_FLAGS,
    ISCSI_SESSION_INFO, ISCSI_SESSION_INFO_EX, ISCSI_TARGET_MAPPING, ISCSI_TARGET_PORTAL,
    ISCSI_UNIQUE_CONNECTION_ID, ISCSI_UNIQUE_SESSION_ID,
};
use crate::api::{Login, NewConnection};

export_pairs! {
    /// `LoginIScsiTarget` (§2.3): logs in, or with `IsPersistent` stores that it shall be logged in to at every start; then
    /// both ids are zero.
    LoginIScsiTargetA / LoginIScsiTargetW = login(
        TargetName: *const C,
        IsInformationalSession: BOOLEAN,
        InitiatorInstance: *const C,
        InitiatorPortNumber: u32,
        TargetPortal: *const ISCSI_TARGET_PORTAL<C>,
        SecurityFlags: ISCSI_SECURITY_FLAGS,
        Mappings: *const ISCSI_TARGET_MAPPING<C>,
        LoginOptions: *const ISCSI_LOGIN_OPTIONS,
        KeySize: u32,
        Key: *const u8,
        IsPersistent: BOOLEAN,
        UniqueSessionId: *mut ISCSI_UNIQUE_SESSION_ID,
        UniqueConnectionId: *mut ISCSI_UNIQUE_CONNECTION_ID,
    );

    /// `AddIScsiConnection` (§2.3). `Reserved` is ignored; `ConnectionId` may be NULL.
    AddIScsiConnectionA / AddIScsiConnectionW = add_connection(
        UniqueSessionId: *const ISCSI_UNIQUE_SESSION_ID,
        Reserved: *const c_void,
        InitiatorPortNumber: u32,
        TargetPortal: *const ISCSI_TARGET_PORTAL<C>,
        SecurityFlags: ISCSI_SECURITY_FLAGS,
        LoginOptions: *const ISCSI_LOGIN_OPTIONS,
        KeySize: u32,
        Key: *const u8,
        ConnectionId: *mut ISCSI_UNIQUE_CONNECTION_ID,
    );

    /// `GetIScsiSessionList` (§2.3). The size is in bytes.
    GetIScsiSessionListA / GetIScsiSessionListW = list(
        BufferSize: *mut u32,
        SessionCount: *mut u32,
        SessionInfo: *mut ISCSI_SESSION_INFO<C>,
    );

    /// `GetDevicesForIScsiSession` (§2.3). The count is in elements: room before, filled or needed afterwards.
    GetDevicesForIScsiSessionA / GetDevicesForIScsiSessionW = devices(
        UniqueSessionId: *const ISCSI_UNIQUE_SESSION_ID,
        DeviceCount: *mut u32,
        Devices: *mut ISCSI_DEVICE_ON_SESSION<C>,
    );
}

export! {
    /// `LogoutIScsiTarget` (§2.3): `ISDSC_DEVICE_BUSY_ON_SESSION` if a disk of the session is in use.
    LogoutIScsiTarget = logout(UniqueSessionId: *const ISCSI_UNIQUE_SESSION_ID)
}

export! {
    /// `RemoveIScsiConnection` (§2.3): neither the last nor the leading connection of a session.
    RemoveIScsiConnection = remove_connection(
        UniqueSessionId: *const ISCSI_UNIQUE_SESSION_ID,
        ConnectionId: *const ISCSI_UNIQUE_CONNECTION_ID,
    )
}

export! {
    /// `GetIScsiSessionListEx` (§2.3): what was negotiated. The size is in bytes.
    GetIScsiSessionListEx = list_ex(
        BufferSize: *mut u32,
        SessionCountPtr: *mut u32,
        SessionInfo: *mut ISCSI_SESSION_INFO_EX,
    )
}

#[allow(clippy::too_many_arguments)]
unsafe fn login<C: Unit>(
    name: *const C,
    informational: BOOLEAN,
    instance: *const C,
    port_number: u32,
    portal: *const ISCSI_TARGET_PORTAL<C>,
    security_flags: ISCSI_SECURITY_FLAGS,
    mapping: *const ISCSI_TARGET_MAPPING<C>,
    options: *const ISCSI_LOGIN_OPTIONS,
    key_size: u32,
    key: *const u8,
    persistent: BOOLEAN,
    session_id: *mut ISCSI_UNIQUE_SESSION_ID,
    connection_id: *mut ISCSI_UNIQUE_CONNECTION_ID,
) -> Answer {
    // SAFETY: the caller vouches for the places of the ids.
    let (session_id, connection_id) =
        unsafe { (Place::at(session_id)?, Place::at(connection_id)?) };
    // SAFETY: the caller vouches for the texts, the structs and the key.
    let login = unsafe {
        Login {
            target_name: require_text(name, Limit::ISCSI_NAME)?,
            informational: informational != 0,
            initiator: input::initiator(instance, port_number)?,
            portal: input::portal(portal)?,
            security_flags,
            mapping: input::mapping(mapping)?,
            login_options: input::login_options(options)?,
            key: input::secret(key, key_size, Blob::IKE_KEY)?,
            persistent: persistent != 0,
        }
    };
    let outcome = LIBRARY.login(login)?;
    session_id.set(outcome.value.session_id.into());
    connection_id.set(outcome.value.connection_id.into());
    Ok(outcome.status())
}

unsafe fn logout(session: *const ISCSI_UNIQUE_SESSION_ID) -> Answer {
    // SAFETY: the caller vouches for the id.
    let session = unsafe { input::session_id(session) }?;
    LIBRARY.logout(session)?;
    DONE
}

#[allow(clippy::too_many_arguments)]
unsafe fn add_connection<C: Unit>(
    session: *const ISCSI_UNIQUE_SESSION_ID,
    _reserved: *const c_void,
    port_number: u32,
    portal: *const ISCSI_TARGET_PORTAL<C>,
    security_flags: ISCSI_SECURITY_FLAGS,
    options: *const ISCSI_LOGIN_OPTIONS,
    key_size: u32,
    key: *const u8,
    connection: *mut ISCSI_UNIQUE_CONNECTION_ID,
) -> Answer {
    // SAFETY: the caller vouches for the id, the structs and the key.
    let new = unsafe {
        NewConnection {
            session_id: input::session_id(session)?,
            port_number,
            portal: input::portal_identity(portal)?,
            security_flags,
            login_options: input::login_options(options)?,
            key: input::secret(key, key_size, Blob::IKE_KEY)?,
        }
    };
    let id = LIBRARY.add_connection(new)?;
    // SAFETY: the caller vouches for the place if it is not NULL.
    if let Ok(place) = unsafe { Place::at(connection) } {
        place.set(id.into());
    }
    DONE
}

unsafe fn remove_connection(
    session: *const ISCSI_UNIQUE_SESSION_ID,
    connection: *const ISCSI_UNIQUE_CONNECTION_ID,
) -> Answer {
    // SAFETY: the caller vouches for both ids.
    let (session, connection) = unsafe {
        (
            input::session_id(session)?,
            input::connection_id(connection)?,
        )
    };
    LIBRARY.remove_connection(session, connection)?;
    DONE
}

unsafe fn list<C: Unit>(
    size: *mut u32,
    count: *mut u32,
    buffer: *mut ISCSI_SESSION_INFO<C>,
) -> Answer {
    // SAFETY: the caller vouches for size, buffer and count.
    let (room, count) = unsafe { (Room::of_bytes(size, buffer)?, Place::at(count)?) };
    let list = LIBRARY.sessions()?;
    room.take_counted(&reports::sessions::<C>(&list), count, list.len())?;
    DONE
}

unsafe fn list_ex(size: *mut u32, count: *mut u32, buffer: *mut ISCSI_SESSION_INFO_EX) -> Answer {
    // SAFETY: the caller vouches for size, buffer and count.
    let (room, count) = unsafe { (Room::of_bytes(size, buffer)?, Place::at(count)?) };
    let list = LIBRARY.sessions_ex()?;
    room.take_counted(&reports::sessions_ex(&list), count, list.len())?;
    DONE
}

unsafe fn devices<C: Unit>(
    session: *const ISCSI_UNIQUE_SESSION_ID,
    count: *mut u32,
    buffer: *mut ISCSI_DEVICE_ON_SESSION<C>,
) -> Answer {
    // SAFETY: the caller vouches for the id, count and buffer.
    let (session, room) = unsafe {
        (
            input::session_id(session)?,
            Room::of_elements(count, buffer)?,
        )
    };
    room.take(&reports::devices::<C>(&LIBRARY.devices(session)?))?;
    DONE
}
