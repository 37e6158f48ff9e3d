//! §2.9: RADIUS servers.

use super::{Answer, DONE, LIBRARY, export, export_pairs};
use crate::abi::input::{self, Blob};
use crate::abi::pack::{Nothing, Room};
use crate::abi::strings::{Limit, Unit, require_text};

export_pairs! {
    /// `AddRadiusServer` (§2.9).
    AddRadiusServerA / AddRadiusServerW = add(Address: *const C);

    /// `RemoveRadiusServer` (§2.9): `ERROR_NOT_FOUND` if it is not stored.
    RemoveRadiusServerA / RemoveRadiusServerW = remove(Address: *const C);

    /// `ReportRadiusServerList` (§2.9). The size is in characters; an empty list is success with the size 0.
    ReportRadiusServerListA / ReportRadiusServerListW =
        report(BufferSizeInChar: *mut u32, Buffer: *mut C);
}

export! {
    /// `SetIScsiInitiatorRADIUSSharedSecret` (§2.9): 22 to 26 bytes; a length of 0 clears it.
    SetIScsiInitiatorRADIUSSharedSecret = secret(SharedSecretLength: u32, SharedSecret: *const u8)
}

unsafe fn add<C: Unit>(address: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let address = unsafe { require_text(address, Limit::RADIUS_ADDRESS) }?;
    LIBRARY.add_radius_server(&address)?;
    DONE
}

unsafe fn remove<C: Unit>(address: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let address = unsafe { require_text(address, Limit::RADIUS_ADDRESS) }?;
    LIBRARY.remove_radius_server(&address)?;
    DONE
}

unsafe fn report<C: Unit>(size: *mut u32, buffer: *mut C) -> Answer {
    // SAFETY: the caller vouches for size and buffer.
    let room = unsafe { Room::of_elements(size, buffer) }?;
    room.take_list::<C>(&LIBRARY.radius_servers()?, Nothing::IsSizeZero)?;
    DONE
}

unsafe fn secret(length: u32, secret: *const u8) -> Answer {
    // SAFETY: the caller vouches for so many bytes.
    let secret = unsafe { input::secret(secret, length, Blob::RADIUS_SECRET) }?;
    LIBRARY.set_radius_secret(secret)?;
    DONE
}
