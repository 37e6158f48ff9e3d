//! Every exported function when no service runs: what the library decides by itself (NULL, malformed arguments) is told
//! first, everything else is `ISDSC_SERVICE_NOT_RUNNING`, and the caller's memory stays as it was (§1.2).

use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use hawser_api::Status;
use iscsidsc::abi::exports::*;
use iscsidsc::abi::types::{
    IKE_AUTHENTICATION_INFORMATION, ISCSI_TARGET_PORTAL, ISCSI_UNIQUE_SESSION_ID,
    ISCSI_VERSION_INFO,
};

const INVALID: u32 = Status::ERROR_INVALID_PARAMETER.code();
const STOPPED: u32 = Status::SERVICE_NOT_RUNNING.code();

/// Makes each call and expects this status of it.
macro_rules! each {
    ($expected:expr; $($name:ident($($argument:expr),*);)*) => {
        $(
            // SAFETY: each pointer is NULL or leads to a value of this test; sizes are those of the buffers, or belong
            // to NULL.
            let status = unsafe { $name($($argument),*) };
            assert_eq!(
                Status::from_code(status),
                Status::from_code($expected),
                stringify!($name($($argument),*))
            );
        )*
    };
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: only used for structs of numbers, texts and raw pointers.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn portals() -> (ISCSI_TARGET_PORTAL<u8>, ISCSI_TARGET_PORTAL<u16>) {
    let (mut ansi, mut wide) = (
        zeroed::<ISCSI_TARGET_PORTAL<u8>>(),
        zeroed::<ISCSI_TARGET_PORTAL<u16>>(),
    );
    for (index, byte) in b"192.0.2.1".iter().enumerate() {
        ansi.Address[index] = *byte;
        wide.Address[index] = u16::from(*byte);
    }
    (ansi, wide)
}

/// One test, because the environment belongs to the whole process.
#[test]
fn every_function_says_so() {
    let directory = tempfile::tempdir().unwrap();
    // SAFETY: no other thread of this process runs yet that looks at the environment.
    unsafe { std::env::set_var("HAWSER_SOCKET", directory.path().join("none.sock")) };
    null_is_refused();
    what_is_malformed_is_refused();
    texts_need_the_service();
    structs_need_the_service();
    reports_need_the_service_and_write_nothing();
    the_version_needs_no_service();
}

fn null_is_refused() {
    null_texts_are_refused();
    null_structs_are_refused();
    null_ids_are_refused();
}

fn null_texts_are_refused() {
    let (a, w) = (null::<u8>(), null::<u16>());
    each! { INVALID;
        AddISNSServerA(a); AddISNSServerW(w); RemoveISNSServerA(a); RemoveISNSServerW(w);
        AddRadiusServerA(a); AddRadiusServerW(w); RemoveRadiusServerA(a); RemoveRadiusServerW(w);
        AddPersistentIScsiDeviceA(a); AddPersistentIScsiDeviceW(w);
        RemovePersistentIScsiDeviceA(a); RemovePersistentIScsiDeviceW(w);
        ReportPersistentIScsiDevicesA(null_mut(), null_mut());
        ReportPersistentIScsiDevicesW(null_mut(), null_mut());
        ReportISNSServerListA(null_mut(), null_mut()); ReportISNSServerListW(null_mut(), null_mut());
        ReportRadiusServerListA(null_mut(), null_mut()); ReportRadiusServerListW(null_mut(), null_mut());
        ReportIScsiInitiatorListA(null_mut(), null_mut()); ReportIScsiInitiatorListW(null_mut(), null_mut());
        ReportIScsiTargetsA(1, null_mut(), null_mut()); ReportIScsiTargetsW(1, null_mut(), null_mut());
    }
}

fn null_structs_are_refused() {
    let (a, w) = (null::<u8>(), null::<u16>());
    let mut size = 0_u32;
    let s = &raw mut size;
    each! { INVALID;
        GetIScsiVersionInformation(null_mut());
        GetIScsiInitiatorNodeNameA(null_mut()); GetIScsiInitiatorNodeNameW(null_mut());
        ReportActiveIScsiTargetMappingsA(s, null_mut(), null_mut());
        ReportActiveIScsiTargetMappingsW(null_mut(), s, null_mut());
        AddIScsiSendTargetPortalA(a, u32::MAX, null(), 0, null());
        AddIScsiSendTargetPortalW(w, u32::MAX, null(), 0, null());
        RemoveIScsiSendTargetPortalA(a, u32::MAX, null()); RemoveIScsiSendTargetPortalW(w, u32::MAX, null());
        RefreshIScsiSendTargetPortalA(a, u32::MAX, null()); RefreshIScsiSendTargetPortalW(w, u32::MAX, null());
        ReportIScsiSendTargetPortalsA(null_mut(), null_mut()); ReportIScsiSendTargetPortalsW(null_mut(), null_mut());
        ReportIScsiSendTargetPortalsExA(s, null_mut(), null_mut());
        ReportIScsiSendTargetPortalsExW(null_mut(), s, null_mut());
        AddIScsiStaticTargetA(a, a, 0, 0, null(), null(), null());
        AddIScsiStaticTargetW(w, w, 0, 0, null(), null(), null());
        RemoveIScsiStaticTargetA(a); RemoveIScsiStaticTargetW(w);
        GetIScsiTargetInformationA(a, a, 0, s, null_mut()); GetIScsiTargetInformationW(w, w, 0, s, null_mut());
        ReportIScsiTargetPortalsA(a, a, null(), s, null_mut()); ReportIScsiTargetPortalsW(w, w, null(), s, null_mut());
        LogoutIScsiTarget(null()); RemoveIScsiConnection(null(), null());
        GetIScsiSessionListA(s, null_mut(), null_mut()); GetIScsiSessionListW(null_mut(), s, null_mut());
        GetIScsiSessionListEx(null_mut(), s, null_mut());
        GetDevicesForIScsiSessionA(null(), s, null_mut()); GetDevicesForIScsiSessionW(null(), s, null_mut());
        ReportIScsiPersistentLoginsA(null_mut(), null_mut(), s); ReportIScsiPersistentLoginsW(s, null_mut(), null_mut());
        RemoveIScsiPersistentTargetA(a, u32::MAX, a, null()); RemoveIScsiPersistentTargetW(w, u32::MAX, w, null());
        SetIScsiIKEInfoA(a, u32::MAX, null(), 0); SetIScsiIKEInfoW(w, u32::MAX, null(), 0);
        GetIScsiIKEInfoA(a, u32::MAX, null(), null_mut()); GetIScsiIKEInfoW(w, u32::MAX, null(), null_mut());
        SetIScsiInitiatorCHAPSharedSecret(12, null()); SetIScsiGroupPresharedKey(4, null(), 0);
        SetIScsiInitiatorRADIUSSharedSecret(22, null());
        AddIScsiConnectionA(null(), null(), u32::MAX, null(), 0, null(), 0, null(), null_mut());
        AddIScsiConnectionW(null(), null(), u32::MAX, null(), 0, null(), 0, null(), null_mut());
        SendScsiReadCapacity(null(), 0, null_mut(), s, null_mut(), s, null_mut());
        SendScsiReportLuns(null(), null_mut(), s, null_mut(), s, null_mut());
        SendScsiInquiry(null(), 0, 0, 0, null_mut(), s, null_mut(), s, null_mut());
    }
    assert_eq!(size, 0);
}

fn null_ids_are_refused() {
    let (a, w) = (null::<u8>(), null::<u16>());
    let (name, wide_name) = (
        c"iqn.2026-01.net.example:a".as_ptr().cast::<u8>(),
        wide("iqn.2026-01.net.example:a"),
    );
    let wide_name = wide_name.as_ptr();
    let mut id = zeroed::<ISCSI_UNIQUE_SESSION_ID>();
    let id = &raw mut id;
    each! { INVALID;
        LoginIScsiTargetA(name, 0, a, u32::MAX, null(), 0, null(), null(), 0, null(), 0, null_mut(), id);
        LoginIScsiTargetW(wide_name, 0, w, u32::MAX, null(), 0, null(), null(), 0, null(), 0, id, null_mut());
        LoginIScsiTargetA(a, 0, a, u32::MAX, null(), 0, null(), null(), 0, null(), 0, id, id);
        LoginIScsiTargetA(name, 0, a, 0, null(), 0, null(), null(), 0, null(), 0, id, id);
    }
}

fn what_is_malformed_is_refused() {
    let mut size = 0_u32;
    let s = &raw mut size;
    let (long, long_wide) = ([b'a'; 5000], [0x61_u16; 5000]);
    let (long, long_wide) = (long.as_ptr(), long_wide.as_ptr());
    let broken = c"/dev/\xff".as_ptr().cast::<u8>();
    let lone = [0x2f_u16, 0xd800, 0];
    let lone = lone.as_ptr();
    each! { INVALID;
        AddPersistentIScsiDeviceA(broken); AddPersistentIScsiDeviceW(lone);
        AddISNSServerA(long); AddISNSServerW(long_wide); AddRadiusServerA(long); AddRadiusServerW(long_wide);
        SetIScsiInitiatorNodeNameA(broken); SetIScsiInitiatorNodeNameW(lone);
        GetIScsiTargetInformationA(c"iqn.2026-01.net.example:a".as_ptr().cast(), null(), 8, s, null_mut());
        GetIScsiTargetInformationA(c"iqn.2026-01.net.example:a".as_ptr().cast(), null(), -1, s, null_mut());
    }
    each! { Status::INVALID_ISCSI_NAME.code();
        SetIScsiInitiatorNodeNameA(long); SetIScsiInitiatorNodeNameW(long_wide);
        RemoveIScsiStaticTargetA(long); RemoveIScsiStaticTargetW(long_wide);
    }
    each! { Status::DEVICE_NOT_FOUND.code();
        AddPersistentIScsiDeviceA(long); RemovePersistentIScsiDeviceW(long_wide);
    }
    let zero = zeroed::<ISCSI_UNIQUE_SESSION_ID>();
    each! { Status::INVALID_SESSION_ID.code(); LogoutIScsiTarget(&raw const zero); }
}

fn texts_need_the_service() {
    let (address, wide_address) = (c"192.0.2.1".as_ptr().cast::<u8>(), wide("192.0.2.1"));
    let wide_address = wide_address.as_ptr();
    let (path, wide_path) = (c"/tmp".as_ptr().cast::<u8>(), wide("/tmp"));
    let wide_path = wide_path.as_ptr();
    let (name, wide_name) = (
        c"iqn.2026-01.net.example:a".as_ptr().cast::<u8>(),
        wide("iqn.2026-01.net.example:a"),
    );
    let wide_name = wide_name.as_ptr();
    each! { STOPPED;
        AddISNSServerA(address); AddISNSServerW(wide_address);
        RemoveISNSServerA(address); RemoveISNSServerW(wide_address);
        RefreshISNSServerA(null()); RefreshISNSServerW(wide_address);
        AddRadiusServerA(address); AddRadiusServerW(wide_address);
        RemoveRadiusServerA(address); RemoveRadiusServerW(wide_address);
        AddPersistentIScsiDeviceA(path); AddPersistentIScsiDeviceW(wide_path);
        RemovePersistentIScsiDeviceA(path); RemovePersistentIScsiDeviceW(wide_path);
        SetupPersistentIScsiDevices(); SetupPersistentIScsiVolumes(); ClearPersistentIScsiDevices();
        SetIScsiInitiatorNodeNameA(null()); SetIScsiInitiatorNodeNameW(wide_name);
        RemoveIScsiStaticTargetA(name); RemoveIScsiStaticTargetW(wide_name);
        AddIScsiStaticTargetA(name, null(), 0, 0, null(), null(), null());
        AddIScsiStaticTargetW(wide_name, wide_name, 4, 1, null(), null(), null());
        RemoveIScsiPersistentTargetA(null(), u32::MAX, name, null());
        RemoveIScsiPersistentTargetW(null(), u32::MAX, wide_name, null());
        SetIScsiTunnelModeOuterAddressA(null(), u32::MAX, address, address, 0);
        SetIScsiTunnelModeOuterAddressW(null(), u32::MAX, null(), wide_address, 1);
        SetIScsiInitiatorCHAPSharedSecret(0, null()); SetIScsiGroupPresharedKey(0, null(), 0);
        SetIScsiInitiatorRADIUSSharedSecret(0, null());
    }
}

fn structs_need_the_service() {
    let (portal, wide_portal) = portals();
    let (portal, wide_portal) = (&raw const portal, &raw const wide_portal);
    let (name, wide_name) = (
        c"iqn.2026-01.net.example:a".as_ptr().cast::<u8>(),
        wide("iqn.2026-01.net.example:a"),
    );
    let wide_name = wide_name.as_ptr();
    let mut id = ISCSI_UNIQUE_SESSION_ID {
        AdapterUnique: 1,
        AdapterSpecific: 2,
    };
    let before = id;
    let i = &raw mut id;
    let mut address = [192, 0, 2, 1];
    let mut info = zeroed::<IKE_AUTHENTICATION_INFORMATION>();
    info.AuthMethod = 1;
    info.PsKey.IdType = 1;
    (info.PsKey.Id, info.PsKey.IdLengthInBytes) = (address.as_mut_ptr(), 4);
    let k = &raw mut info;
    each! { STOPPED;
        AddIScsiSendTargetPortalA(null(), u32::MAX, null(), 0, portal);
        AddIScsiSendTargetPortalW(null(), u32::MAX, null(), 0, wide_portal);
        RemoveIScsiSendTargetPortalA(null(), u32::MAX, portal);
        RemoveIScsiSendTargetPortalW(null(), u32::MAX, wide_portal);
        RefreshIScsiSendTargetPortalA(null(), u32::MAX, portal);
        RefreshIScsiSendTargetPortalW(null(), u32::MAX, wide_portal);
        LoginIScsiTargetA(name, 0, null(), u32::MAX, portal, 0, null(), null(), 0, null(), 0, i, i);
        LoginIScsiTargetW(wide_name, 1, null(), u32::MAX, null(), 0, null(), null(), 0, null(), 1, i, i);
        LogoutIScsiTarget(i); RemoveIScsiConnection(i, i);
        AddIScsiConnectionA(i, null(), u32::MAX, portal, 0, null(), 0, null(), null_mut());
        AddIScsiConnectionW(i, name.cast(), u32::MAX, wide_portal, 0, null(), 0, null(), i);
        SetIScsiIKEInfoA(null(), u32::MAX, k, 0); SetIScsiIKEInfoW(null(), u32::MAX, k, 0);
        GetIScsiIKEInfoA(null(), u32::MAX, null(), k); GetIScsiIKEInfoW(null(), u32::MAX, null(), k);
    }
    assert_eq!(id.AdapterUnique, before.AdapterUnique);
    assert_eq!(id.AdapterSpecific, before.AdapterSpecific);
}

fn reports_need_the_service_and_write_nothing() {
    let mut memory = [0xa5_a5_a5_a5_u32; 64];
    let (bytes, units) = (
        memory.as_mut_ptr().cast::<u8>(),
        memory.as_mut_ptr().cast::<u16>(),
    );
    let (mut size, mut count, mut status) = (77_u32, 78_u32, 79_u8);
    let (s, c, t) = (&raw mut size, &raw mut count, &raw mut status);
    let id = ISCSI_UNIQUE_SESSION_ID {
        AdapterUnique: 1,
        AdapterSpecific: 2,
    };
    let i = &raw const id;
    let (name, wide_name) = (
        c"iqn.2026-01.net.example:a".as_ptr().cast::<u8>(),
        wide("iqn.2026-01.net.example:a"),
    );
    let wide_name = wide_name.as_ptr();
    each! { STOPPED;
        ReportPersistentIScsiDevicesA(s, bytes); ReportPersistentIScsiDevicesW(s, units);
        ReportISNSServerListA(s, bytes); ReportISNSServerListW(s, units);
        ReportRadiusServerListA(s, bytes); ReportRadiusServerListW(s, units);
        ReportIScsiInitiatorListA(s, bytes); ReportIScsiInitiatorListW(s, units);
        ReportIScsiTargetsA(0, s, bytes); ReportIScsiTargetsW(1, s, units);
        GetIScsiInitiatorNodeNameA(bytes); GetIScsiInitiatorNodeNameW(units);
        ReportActiveIScsiTargetMappingsA(s, c, bytes.cast()); ReportActiveIScsiTargetMappingsW(s, c, null_mut());
        ReportIScsiSendTargetPortalsA(c, null_mut()); ReportIScsiSendTargetPortalsW(c, null_mut());
        ReportIScsiSendTargetPortalsExA(c, s, null_mut()); ReportIScsiSendTargetPortalsExW(c, s, null_mut());
        GetIScsiTargetInformationA(name, null(), 2, s, null_mut());
        GetIScsiTargetInformationW(wide_name, wide_name, 7, s, units.cast());
        ReportIScsiTargetPortalsA(null(), name, null(), c, null_mut());
        ReportIScsiTargetPortalsW(null(), wide_name, null(), c, null_mut());
        GetIScsiSessionListA(s, c, bytes.cast()); GetIScsiSessionListW(s, c, null_mut());
        GetIScsiSessionListEx(s, c, bytes.cast());
        GetDevicesForIScsiSessionA(i, c, null_mut()); GetDevicesForIScsiSessionW(i, c, null_mut());
        ReportIScsiPersistentLoginsA(c, bytes.cast(), s); ReportIScsiPersistentLoginsW(c, null_mut(), s);
        SendScsiInquiry(i, 0, 1, 0x83, t, s, bytes, c, bytes);
        SendScsiReadCapacity(i, 0, t, s, bytes, c, bytes);
        SendScsiReportLuns(i, t, s, bytes, c, bytes);
    }
    assert_eq!((size, count, status), (77, 78, 79));
    assert!(memory.iter().all(|word| *word == 0xa5_a5_a5_a5));
}

fn the_version_needs_no_service() {
    let mut version = zeroed::<ISCSI_VERSION_INFO>();
    each! { 0; GetIScsiVersionInformation(&raw mut version); }
    let version = [
        version.MajorVersion,
        version.MinorVersion,
        version.BuildNumber,
    ];
    let version = version.map(|number| number.to_string()).join(".");
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}

/// No function is forgotten here.
#[test]
fn every_function_of_the_list_is_called() {
    let here = include_str!("without_service.rs");
    for line in include_str!("exports.tsv").lines() {
        let (name, _) = line.split_once('\t').unwrap();
        assert!(here.contains(&format!("{name}(")), "{name} is not called");
    }
}
