//! §2.2, second half: static targets, and what is known of targets.

use std::ffi::c_void;

use super::{Answer, DONE, LIBRARY, export_pairs};
use crate::abi::input;
use crate::abi::pack::{Nothing, Room, reports};
use crate::abi::strings::{Limit, Unit, read_text, require_text};
use crate::abi::types::{
    BOOLEAN, ISCSI_LOGIN_OPTIONS, ISCSI_TARGET_FLAGS, ISCSI_TARGET_MAPPING, ISCSI_TARGET_PORTAL,
    ISCSI_TARGET_PORTAL_GROUP, TARGET_INFORMATION_CLASS,
};
use crate::api::{InformationClass, StaticTarget};

export_pairs! {
    /// `AddIScsiStaticTarget` (§2.2): adds a target by hand, or changes one.
    AddIScsiStaticTargetA / AddIScsiStaticTargetW = add(
        TargetName: *const C,
        TargetAlias: *const C,
        TargetFlags: ISCSI_TARGET_FLAGS,
        Persist: BOOLEAN,
        Mappings: *const ISCSI_TARGET_MAPPING<C>,
        LoginOptions: *const ISCSI_LOGIN_OPTIONS,
        PortalGroup: *const ISCSI_TARGET_PORTAL_GROUP<C>,
    );

    /// `RemoveIScsiStaticTarget` (§2.2): `ISDSC_TARGET_NOT_FOUND` if it was not added by hand.
    RemoveIScsiStaticTargetA / RemoveIScsiStaticTargetW = remove(TargetName: *const C);

    /// `ReportIScsiTargets` (§2.2): the names of the known targets. The size is in characters.
    ReportIScsiTargetsA / ReportIScsiTargetsW =
        report(ForceUpdate: BOOLEAN, BufferSize: *mut u32, Buffer: *mut C);

    /// `GetIScsiTargetInformation` (§2.2): what one mechanism knows of a target. The size is in bytes.
    GetIScsiTargetInformationA / GetIScsiTargetInformationW = information(
        TargetName: *const C,
        DiscoveryMechanism: *const C,
        InfoClass: TARGET_INFORMATION_CLASS,
        BufferSize: *mut u32,
        Buffer: *mut c_void,
    );

    /// `ReportIScsiTargetPortals` (§2.2). The count is in elements: room before, filled or needed afterwards.
    ReportIScsiTargetPortalsA / ReportIScsiTargetPortalsW = portals(
        InitiatorName: *const C,
        TargetName: *const C,
        TargetPortalTag: *const u16,
        ElementCount: *mut u32,
        Portals: *mut ISCSI_TARGET_PORTAL<C>,
    );
}

unsafe fn add<C: Unit>(
    name: *const C,
    alias: *const C,
    flags: ISCSI_TARGET_FLAGS,
    persist: BOOLEAN,
    mapping: *const ISCSI_TARGET_MAPPING<C>,
    options: *const ISCSI_LOGIN_OPTIONS,
    group: *const ISCSI_TARGET_PORTAL_GROUP<C>,
) -> Answer {
    // SAFETY: the caller vouches for the texts and the structs.
    let target = unsafe {
        StaticTarget {
            name: require_text(name, Limit::ISCSI_NAME)?,
            alias: read_text(alias, Limit::ALIAS)?,
            flags,
            persist: persist != 0,
            mapping: input::mapping(mapping)?,
            login_options: input::login_options(options)?,
            portal_group: input::portal_group(group)?,
        }
    };
    LIBRARY.add_static_target(target)?;
    DONE
}

unsafe fn remove<C: Unit>(name: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let name = unsafe { require_text(name, Limit::ISCSI_NAME) }?;
    LIBRARY.remove_static_target(&name)?;
    DONE
}

unsafe fn report<C: Unit>(force_update: BOOLEAN, size: *mut u32, buffer: *mut C) -> Answer {
    // SAFETY: the caller vouches for size and buffer.
    let room = unsafe { Room::of_elements(size, buffer) }?;
    let list = LIBRARY.targets(force_update != 0)?;
    room.take_list::<C>(&list, Nothing::IsTwoNuls)?;
    DONE
}

unsafe fn information<C: Unit>(
    name: *const C,
    mechanism: *const C,
    class: TARGET_INFORMATION_CLASS,
    size: *mut u32,
    buffer: *mut c_void,
) -> Answer {
    // SAFETY: the caller vouches for the texts, size and buffer.
    let (name, mechanism, room) = unsafe {
        (
            require_text(name, Limit::ISCSI_NAME)?,
            read_text(mechanism, Limit::MECHANISM)?,
            Room::of_bytes(size, buffer)?,
        )
    };
    let class = InformationClass::try_from(class.cast_unsigned())?;
    let mechanism = mechanism.as_deref().filter(|text| !text.is_empty());
    let information = LIBRARY.target_information(&name, mechanism, class)?;
    room.take_or_nothing(reports::information::<C>(&information).as_ref())?;
    DONE
}

unsafe fn portals<C: Unit>(
    initiator: *const C,
    name: *const C,
    tag: *const u16,
    count: *mut u32,
    buffer: *mut ISCSI_TARGET_PORTAL<C>,
) -> Answer {
    // SAFETY: the caller vouches for the texts, the tag, count and buffer.
    let (initiator, name, tag, room) = unsafe {
        (
            read_text(initiator, Limit::INSTANCE)?,
            require_text(name, Limit::ISCSI_NAME)?,
            (!tag.is_null()).then(|| tag.read_unaligned()),
            Room::of_elements(count, buffer)?,
        )
    };
    let initiator = initiator.as_deref().filter(|text| !text.is_empty());
    let list = LIBRARY.target_portals(initiator, &name, tag)?;
    room.take(&reports::portals::<C>(&list))?;
    DONE
}
