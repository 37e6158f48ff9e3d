//! §2.2, first half: send-targets portals.

use hawser_api::Status;

use super::{Answer, DONE, LIBRARY, export_pairs};
use crate::abi::input;
use crate::abi::pack::{Place, Room, reports};
use crate::abi::strings::Unit;
use crate::abi::types::{
    ISCSI_LOGIN_OPTIONS, ISCSI_SECURITY_FLAGS, ISCSI_TARGET_PORTAL, ISCSI_TARGET_PORTAL_INFO,
    ISCSI_TARGET_PORTAL_INFO_EX,
};
use crate::api::{InitiatorPort, Portal};

export_pairs! {
    /// `AddIScsiSendTargetPortal` (§2.2): stores a portal and asks it for its targets; it stays stored if it does not
    /// answer.
    AddIScsiSendTargetPortalA / AddIScsiSendTargetPortalW = add(
        InitiatorInstance: *const C,
        InitiatorPortNumber: u32,
        LoginOptions: *const ISCSI_LOGIN_OPTIONS,
        SecurityFlags: ISCSI_SECURITY_FLAGS,
        Portal: *const ISCSI_TARGET_PORTAL<C>,
    );

    /// `RemoveIScsiSendTargetPortal` (§2.2): `ISDSC_PORTAL_NOT_FOUND` if it is not stored. The symbolic name is not read.
    RemoveIScsiSendTargetPortalA / RemoveIScsiSendTargetPortalW = remove(
        InitiatorInstance: *const C,
        InitiatorPortNumber: u32,
        Portal: *const ISCSI_TARGET_PORTAL<C>,
    );

    /// `RefreshIScsiSendTargetPortal` (§2.2): asks a stored portal again. The symbolic name is not read.
    RefreshIScsiSendTargetPortalA / RefreshIScsiSendTargetPortalW = refresh(
        InitiatorInstance: *const C,
        InitiatorPortNumber: u32,
        Portal: *const ISCSI_TARGET_PORTAL<C>,
    );

    /// `ReportIScsiSendTargetPortals` (§2.2). The count is in elements: room before, filled or needed afterwards.
    ReportIScsiSendTargetPortalsA / ReportIScsiSendTargetPortalsW =
        report(PortalCount: *mut u32, PortalInfo: *mut ISCSI_TARGET_PORTAL_INFO<C>);

    /// `ReportIScsiSendTargetPortalsEx` (§2.2): with options, but without passwords. The size is in bytes.
    ReportIScsiSendTargetPortalsExA / ReportIScsiSendTargetPortalsExW = report_ex(
        PortalCount: *mut u32,
        PortalInfoSize: *mut u32,
        PortalInfo: *mut ISCSI_TARGET_PORTAL_INFO_EX<C>,
    );
}

unsafe fn add<C: Unit>(
    instance: *const C,
    port_number: u32,
    options: *const ISCSI_LOGIN_OPTIONS,
    security_flags: ISCSI_SECURITY_FLAGS,
    portal: *const ISCSI_TARGET_PORTAL<C>,
) -> Answer {
    // SAFETY: the caller vouches for the text and the structs.
    let (initiator, options, portal) = unsafe {
        (
            input::initiator(instance, port_number)?,
            input::login_options(options)?,
            input::portal(portal)?,
        )
    };
    let portal = portal.ok_or(Status::ERROR_INVALID_PARAMETER)?;
    LIBRARY.add_send_target_portal(&initiator, options, security_flags, &portal)?;
    DONE
}

/// Which stored portal is meant.
unsafe fn stored<C: Unit>(
    instance: *const C,
    port_number: u32,
    portal: *const ISCSI_TARGET_PORTAL<C>,
) -> Result<(InitiatorPort, Portal), Status> {
    // SAFETY: the caller vouches for the text and the struct.
    let (initiator, portal) = unsafe {
        (
            input::initiator(instance, port_number)?,
            input::portal_identity(portal)?,
        )
    };
    Ok((initiator, portal.ok_or(Status::ERROR_INVALID_PARAMETER)?))
}

unsafe fn remove<C: Unit>(
    instance: *const C,
    port_number: u32,
    portal: *const ISCSI_TARGET_PORTAL<C>,
) -> Answer {
    // SAFETY: the caller vouches for the same.
    let (initiator, portal) = unsafe { stored(instance, port_number, portal) }?;
    LIBRARY.remove_send_target_portal(&initiator, &portal)?;
    DONE
}

unsafe fn refresh<C: Unit>(
    instance: *const C,
    port_number: u32,
    portal: *const ISCSI_TARGET_PORTAL<C>,
) -> Answer {
    // SAFETY: the caller vouches for the same.
    let (initiator, portal) = unsafe { stored(instance, port_number, portal) }?;
    LIBRARY.refresh_send_target_portal(&initiator, &portal)?;
    DONE
}

unsafe fn report<C: Unit>(count: *mut u32, buffer: *mut ISCSI_TARGET_PORTAL_INFO<C>) -> Answer {
    // SAFETY: the caller vouches for count and buffer.
    let room = unsafe { Room::of_elements(count, buffer) }?;
    let list = LIBRARY.send_target_portals()?;
    room.take(&reports::send_target_portals::<C>(&list))?;
    DONE
}

unsafe fn report_ex<C: Unit>(
    count: *mut u32,
    size: *mut u32,
    buffer: *mut ISCSI_TARGET_PORTAL_INFO_EX<C>,
) -> Answer {
    // SAFETY: the caller vouches for size, buffer and count.
    let (room, count) = unsafe { (Room::of_bytes(size, buffer)?, Place::at(count)?) };
    let list = LIBRARY.send_target_portals()?;
    let report = reports::send_target_portals_ex::<C>(&list);
    room.take_counted(&report, count, list.len())?;
    DONE
}
