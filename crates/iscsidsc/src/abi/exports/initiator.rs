//! §2.1: the initiator, its names and what it shows.

use super::{Answer, DONE, LIBRARY, export, export_pairs};
use crate::abi::constants::MAX_ISCSI_NAME_LEN;
use crate::abi::pack::{Image, Nothing, Place, Room, reports};
use crate::abi::strings::{Limit, Unit, array_of_text, read_text};
use crate::abi::types::{ISCSI_TARGET_MAPPING, ISCSI_VERSION_INFO};
use crate::api::Library;

export! {
    /// `GetIScsiVersionInformation` (§2.1): the version of this library; needs no service.
    GetIScsiVersionInformation = version(VersionInfo: *mut ISCSI_VERSION_INFO)
}

export_pairs! {
    /// `ReportIScsiInitiatorList` (§2.1): the initiator instances. The size is in characters.
    ReportIScsiInitiatorListA / ReportIScsiInitiatorListW =
        instances(BufferSize: *mut u32, Buffer: *mut C);

    /// `GetIScsiInitiatorNodeName` (§2.1): our node name. The buffer must have room for 224 characters; no more are written
    /// than the name has with its NUL.
    GetIScsiInitiatorNodeNameA / GetIScsiInitiatorNodeNameW = node_name(InitiatorNodeName: *mut C);

    /// `SetIScsiInitiatorNodeName` (§2.1): changes our node name; NULL and the empty text go back to the default.
    /// `ISDSC_INVALID_ISCSI_NAME` if it is over-long.
    SetIScsiInitiatorNodeNameA / SetIScsiInitiatorNodeNameW =
        set_node_name(InitiatorNodeName: *const C);

    /// `ReportActiveIScsiTargetMappings` (§2.1): which LUNs are which disks. The size is in bytes.
    ReportActiveIScsiTargetMappingsA / ReportActiveIScsiTargetMappingsW = mappings(
        BufferSize: *mut u32,
        MappingCount: *mut u32,
        Mappings: *mut ISCSI_TARGET_MAPPING<C>,
    );
}

unsafe fn version(info: *mut ISCSI_VERSION_INFO) -> Answer {
    // SAFETY: the caller vouches for the struct.
    let info = unsafe { Place::at(info) }?;
    let version = Library::version();
    info.set(ISCSI_VERSION_INFO {
        MajorVersion: version.major,
        MinorVersion: version.minor,
        BuildNumber: version.build,
    });
    DONE
}

unsafe fn instances<C: Unit>(size: *mut u32, buffer: *mut C) -> Answer {
    // SAFETY: the caller vouches for size and buffer.
    let room = unsafe { Room::of_elements(size, buffer) }?;
    room.take_list::<C>(&LIBRARY.initiators()?, Nothing::IsTwoNuls)?;
    DONE
}

unsafe fn node_name<C: Unit>(buffer: *mut C) -> Answer {
    // SAFETY: the caller vouches for one character, as it does for 224.
    unsafe { Place::at(buffer) }?;
    let name: [C; MAX_ISCSI_NAME_LEN + 1] = array_of_text(&LIBRARY.node_name()?);
    let end = name.iter().position(|unit| *unit == C::NUL);
    let mut image = Image::default();
    for unit in &name[..=end.unwrap_or(MAX_ISCSI_NAME_LEN)] {
        image.value(&[*unit]);
    }
    // SAFETY: the buffer is not NULL and has room for 224 characters; there are no more in `name`.
    unsafe { image.copy_to(buffer.cast()) };
    DONE
}

unsafe fn set_node_name<C: Unit>(name: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let name = unsafe { read_text(name, Limit::ISCSI_NAME) }?;
    let name = name.as_deref().filter(|name| !name.is_empty());
    Ok(LIBRARY.set_node_name(name)?.status())
}

unsafe fn mappings<C: Unit>(
    size: *mut u32,
    count: *mut u32,
    buffer: *mut ISCSI_TARGET_MAPPING<C>,
) -> Answer {
    // SAFETY: the caller vouches for size, buffer and count.
    let (room, count) = unsafe { (Room::of_bytes(size, buffer)?, Place::at(count)?) };
    let list = LIBRARY.target_mappings()?;
    room.take_counted(&reports::mappings::<C>(&list), count, list.len())?;
    DONE
}
