//! §2.8: iSNS servers.

use super::{Answer, DONE, LIBRARY, export_pairs};
use crate::abi::pack::{Nothing, Room};
use crate::abi::strings::{Limit, Unit, read_text, require_text};

export_pairs! {
    /// `AddISNSServer` (§2.8): stores a server and asks it; it stays stored if it does not answer.
    AddISNSServerA / AddISNSServerW = add(Address: *const C);

    /// `RemoveISNSServer` (§2.8): `ISDSC_ISNS_SERVER_NOT_FOUND` if it is not stored.
    RemoveISNSServerA / RemoveISNSServerW = remove(Address: *const C);

    /// `RefreshISNSServer` (§2.8): asks a server again; NULL asks all.
    RefreshISNSServerA / RefreshISNSServerW = refresh(Address: *const C);

    /// `ReportISNSServerList` (§2.8). The size is in characters; an empty list is success with the size 0.
    ReportISNSServerListA / ReportISNSServerListW =
        report(BufferSizeInChar: *mut u32, Buffer: *mut C);
}

unsafe fn add<C: Unit>(address: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let address = unsafe { require_text(address, Limit::ADDRESS) }?;
    LIBRARY.add_isns_server(&address)?;
    DONE
}

unsafe fn remove<C: Unit>(address: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let address = unsafe { require_text(address, Limit::ADDRESS) }?;
    LIBRARY.remove_isns_server(&address)?;
    DONE
}

unsafe fn refresh<C: Unit>(address: *const C) -> Answer {
    // SAFETY: the caller vouches for the text.
    let address = unsafe { read_text(address, Limit::ADDRESS) }?;
    LIBRARY.refresh_isns_server(address.as_deref())?;
    DONE
}

unsafe fn report<C: Unit>(size: *mut u32, buffer: *mut C) -> Answer {
    // SAFETY: the caller vouches for size and buffer.
    let room = unsafe { Room::of_elements(size, buffer) }?;
    room.take_list::<C>(&LIBRARY.isns_servers()?, Nothing::IsSizeZero)?;
    DONE
}
