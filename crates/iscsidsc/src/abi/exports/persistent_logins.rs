//! §2.4: logins that are made again at every start.

use super::{Answer, DONE, LIBRARY, export_pairs};
use crate::abi::input;
use crate::abi::pack::{Place, Room, reports};
use crate::abi::strings::{Limit, Unit, require_text};
use crate::abi::types::{ISCSI_TARGET_PORTAL, PERSISTENT_ISCSI_LOGIN_INFO};

export_pairs! {
    /// `ReportIScsiPersistentLogins` (§2.4). The size is in bytes, and is the last parameter.
    ReportIScsiPersistentLoginsA / ReportIScsiPersistentLoginsW = report(
        Count: *mut u32,
        PersistentLoginInfo: *mut PERSISTENT_ISCSI_LOGIN_INFO<C>,
        BufferSizeInBytes: *mut u32,
    );

    /// `RemoveIScsiPersistentTarget` (§2.4): NULL and an empty portal mean every portal of the target. The port comes before
    /// the name.
    RemoveIScsiPersistentTargetA / RemoveIScsiPersistentTargetW = remove(
        InitiatorInstance: *const C,
        InitiatorPortNumber: u32,
        TargetName: *const C,
        Portal: *const ISCSI_TARGET_PORTAL<C>,
    );
}

unsafe fn report<C: Unit>(
    count: *mut u32,
    buffer: *mut PERSISTENT_ISCSI_LOGIN_INFO<C>,
    size: *mut u32,
) -> Answer {
    // SAFETY: the caller vouches for size, buffer and count.
    let (room, count) = unsafe { (Room::of_bytes(size, buffer)?, Place::at(count)?) };
    let list = LIBRARY.persistent_logins()?;
    let report = reports::persistent_logins::<C>(&list);
    room.take_counted(&report, count, list.len())?;
    DONE
}

unsafe fn remove<C: Unit>(
    instance: *const C,
    port_number: u32,
    name: *const C,
    portal: *const ISCSI_TARGET_PORTAL<C>,
) -> Answer {
    // SAFETY: the caller vouches for the texts and the portal.
    let (initiator, name, portal) = unsafe {
        (
            input::initiator(instance, port_number)?,
            require_text(name, Limit::ISCSI_NAME)?,
            input::portal_identity(portal)?,
        )
    };
    LIBRARY.remove_persistent_target(&initiator, &name, portal.as_ref())?;
    DONE
}
