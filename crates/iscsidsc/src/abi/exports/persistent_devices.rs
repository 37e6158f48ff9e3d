//! §2.5: bound volumes and devices.

use super::{Answer, DONE, LIBRARY, export, export_pairs};
use crate::abi::pack::{Nothing, Room};
use crate::abi::strings::{Limit, Unit, require_text};

export_pairs! {
    /// `AddPersistentIScsiDevice` (§2.5): binds a mount point, a link or a device.
    ///
    /// `ISDSC_DEVICE_NOT_FOUND` if the path leads nowhere, `ISDSC_DEVICE_NOT_ISCSI_OR_PERSISTENT` if not every disk under it
    /// comes back by a persistent login, `ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND` if it is bound.
    AddPersistentIScsiDeviceA / AddPersistentIScsiDeviceW = add(DevicePath: *const C);

    /// `RemovePersistentIScsiDevice` (§2.5): unbinds one, whether or not it is there; `ISDSC_DEVICE_NOT_FOUND` if it is not
    /// bound.
    RemovePersistentIScsiDeviceA / RemovePersistentIScsiDeviceW = remove(DevicePath: *const C);

    /// `ReportPersistentIScsiDevices` (§2.5): the bound volumes and devices. The size is in characters; an empty list is
    /// success with the size 0.
    ReportPersistentIScsiDevicesA / ReportPersistentIScsiDevicesW =
        report(BufferSizeInChar: *mut u32, Buffer: *mut C);
}

export! {
    /// `SetupPersistentIScsiDevices` (§2.5): binds all that is on sessions with a persistent login, and nothing else.
    SetupPersistentIScsiDevices = setup()
}

export! {
    /// `SetupPersistentIScsiVolumes` (§2.5): another name of [`SetupPersistentIScsiDevices`].
    SetupPersistentIScsiVolumes = setup()
}

export! {
    /// `ClearPersistentIScsiDevices` (§2.5): unbinds all; no matter if there is none.
    ClearPersistentIScsiDevices = clear()
}

unsafe fn add<C: Unit>(path: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let path = unsafe { require_text(path, Limit::PATH) }?;
    LIBRARY.add_persistent_device(&path)?;
    DONE
}

unsafe fn remove<C: Unit>(path: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let path = unsafe { require_text(path, Limit::PATH) }?;
    LIBRARY.remove_persistent_device(&path)?;
    DONE
}

unsafe fn report<C: Unit>(size: *mut u32, buffer: *mut C) -> Answer {
    // SAFETY: the caller vouches for size and buffer.
    let room = unsafe { Room::of_elements(size, buffer) }?;
    room.take_list::<C>(&LIBRARY.persistent_devices()?, Nothing::IsSizeZero)?;
    DONE
}

/// Unsafe as all bodies are for `export!`; it asks for nothing.
unsafe fn setup() -> Answer {
    LIBRARY.setup_persistent_devices()?;
    DONE
}

/// As [`setup`].
unsafe fn clear() -> Answer {
    LIBRARY.clear_persistent_devices()?;
    DONE
}
