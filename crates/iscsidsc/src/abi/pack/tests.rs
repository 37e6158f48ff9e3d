//! The rules of §1.3 to §1.5, for every capacity from none to more than enough, at every alignment.

use std::ffi::c_void;

use hawser_api::Status;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Image, Nothing, Place, Room, reports};
use crate::abi::strings::Unit;
use crate::abi::types::{
    ISCSI_LOGIN_OPTIONS, ISCSI_SESSION_INFO, ISCSI_TARGET_MAPPING, ISCSI_TARGET_PORTAL,
    ISCSI_TARGET_PORTAL_INFO_EX, PERSISTENT_ISCSI_LOGIN_INFO,
};
use crate::api::{
    AuthType, ConnectionId, ConnectionInfo, ConnectionInfoEx, Device, InitiatorPort, InterfaceType,
    LoginOptions, LunMapping, PersistentLogin, Portal, PortalGroup, ScsiAddress, SendTargetPortal,
    SessionId, SessionInfo, SessionInfoEx, StorageDeviceNumber, TargetInformation, TargetMapping,
};

const CANARY: u8 = 0xa5;
const SMALL: Status = Status::ERROR_INSUFFICIENT_BUFFER;

/// A caller's buffer with canaries around it.
struct Memory {
    bytes: Vec<u8>,
    /// Where the buffer starts.
    start: usize,
}

impl Memory {
    /// `shift` is the distance of the buffer from an address that suits every struct.
    fn new(length: usize, shift: usize) -> Self {
        let bytes = vec![CANARY; length + 64];
        let start = bytes.as_ptr().align_offset(16) + 16 + shift;
        Self { bytes, start }
    }

    fn buffer(&mut self) -> *mut u8 {
        // SAFETY: `start` is within `bytes`.
        unsafe { self.bytes.as_mut_ptr().add(self.start) }
    }

    /// The first `length` bytes of the buffer, if all others are canaries still.
    fn written(&self, length: usize) -> &[u8] {
        let end = self.start + length;
        // Compared as slices, which is quick without optimisation too.
        let canaries = vec![CANARY; self.bytes.len()];
        assert!(
            self.bytes[..self.start] == canaries[..self.start],
            "written before it"
        );
        assert!(self.bytes[end..] == canaries[end..], "written behind it");
        &self.bytes[self.start..end]
    }
}

/// Offers a report to every capacity, counted in units of `unit` bytes, and checks what the caller sees.
fn offer_to_every_capacity(report: &Image, unit: usize, shift: usize) {
    assert_eq!(report.len() % unit, 0);
    let needed = u32::try_from(report.len() / unit).unwrap();
    for capacity in 0..=needed + 1 {
        let mut memory = Memory::new(report.len() + unit, shift);
        let mut size = capacity;
        let buffer = memory.buffer();
        let room = Room {
            size: place(&mut size),
            buffer,
            unit,
        };
        let told = room.take(report);
        assert_eq!(size, needed);
        if capacity < needed {
            assert_eq!(told, Err(SMALL));
            memory.written(0);
            continue;
        }
        assert_eq!(told, Ok(()));
        check_content(report, memory.written(report.len()), buffer);
    }
    let mut size = u32::MAX;
    let room = Room {
        size: place(&mut size),
        buffer: std::ptr::null_mut(),
        unit,
    };
    let told = room.take(report);
    assert_eq!(told, if needed == 0 { Ok(()) } else { Err(SMALL) });
    assert_eq!(size, needed);
}

fn place(size: &mut u32) -> Place<u32> {
    // SAFETY: a reference leads to its value.
    unsafe { Place::at(size) }.unwrap()
}

/// The bytes are those of the report but for its pointers, which lead to where they shall in `buffer`.
fn check_content(report: &Image, written: &[u8], buffer: *mut u8) {
    let mut expected = report.bytes().to_vec();
    for &(at, to) in report.links() {
        let pointer = &written[at..at + 8];
        let address = usize::from_ne_bytes(pointer.try_into().unwrap());
        assert_eq!(address, buffer as usize + to);
        assert!(to < written.len());
        expected[at..at + 8].copy_from_slice(pointer);
    }
    assert_eq!(written, expected);
}

/// A text that a daemon could send: any Unicode, not too long.
fn text() -> impl Strategy<Value = String> {
    "[a-z0-9.:éß語😀 -]{0,12}"
}

fn session_id() -> impl Strategy<Value = SessionId> {
    (any::<u64>(), any::<u64>()).prop_map(|(adapter_unique, adapter_specific)| SessionId {
        adapter_unique,
        adapter_specific,
    })
}

fn connection_id() -> impl Strategy<Value = ConnectionId> {
    session_id().prop_map(|id| ConnectionId {
        adapter_unique: id.adapter_unique,
        adapter_specific: id.adapter_specific,
    })
}

fn portal() -> impl Strategy<Value = Portal> {
    (text(), text(), any::<u16>()).prop_map(|(symbolic_name, address, socket)| Portal {
        symbolic_name,
        address,
        socket,
    })
}

fn initiator() -> impl Strategy<Value = InitiatorPort> {
    (text(), any::<u32>()).prop_map(|(instance, port_number)| InitiatorPort {
        instance,
        port_number,
    })
}

fn login_options() -> impl Strategy<Value = LoginOptions> {
    let name = proptest::option::of(vec(any::<u8>(), 0..9));
    (name, any::<bool>(), any::<u32>(), any::<Option<u32>>()).prop_map(
        |(username, password_set, login_flags, maximum_connections)| LoginOptions {
            login_flags,
            auth_type: Some(AuthType::Chap),
            maximum_connections,
            username,
            password_set,
            ..LoginOptions::default()
        },
    )
}

fn mapping() -> impl Strategy<Value = TargetMapping> {
    let lun = (any::<u32>(), any::<u64>())
        .prop_map(|(os_lun, target_lun)| LunMapping { os_lun, target_lun });
    (text(), text(), session_id(), any::<u32>(), vec(lun, 0..4)).prop_map(
        |(initiator_name, target_name, session_id, os_bus_number, luns)| TargetMapping {
            initiator_name,
            target_name,
            os_device_name: String::from("/dev/x"),
            session_id,
            os_bus_number,
            os_target_number: 7,
            luns,
        },
    )
}

fn connection() -> impl Strategy<Value = ConnectionInfo> {
    (connection_id(), text(), text(), any::<u16>()).prop_map(|(id, initiator, target, socket)| {
        ConnectionInfo {
            id,
            initiator_address: initiator,
            target_address: target,
            initiator_socket: socket,
            target_socket: 3260,
            cid: [1, 0],
        }
    })
}

fn session() -> impl Strategy<Value = SessionInfo> {
    (session_id(), text(), text(), vec(connection(), 0..4)).prop_map(
        |(id, initiator_name, target_name, connections)| SessionInfo {
            id,
            initiator_name,
            target_name,
            isid: [0x40, 0, 1, 0x37, 0, 1],
            tsid: [2, 0],
            connections,
        },
    )
}

fn send_target_portal() -> impl Strategy<Value = SendTargetPortal> {
    (initiator(), portal(), any::<u64>(), login_options()).prop_map(
        |(initiator, portal, security_flags, login_options)| SendTargetPortal {
            initiator,
            portal,
            security_flags,
            login_options,
        },
    )
}

fn persistent_login() -> impl Strategy<Value = PersistentLogin> {
    let mapping = proptest::option::of(mapping());
    (
        text(),
        any::<bool>(),
        initiator(),
        portal(),
        mapping,
        login_options(),
    )
        .prop_map(
            |(target_name, informational, initiator, portal, mapping, login_options)| {
                PersistentLogin {
                    target_name,
                    informational,
                    initiator,
                    portal,
                    security_flags: 0x45,
                    mapping,
                    login_options,
                }
            },
        )
}

fn device() -> impl Strategy<Value = Device> {
    (text(), text(), any::<u32>()).prop_map(|(initiator_name, target_name, device_number)| Device {
        initiator_name,
        target_name,
        scsi_address: ScsiAddress::default(),
        interface_type: InterfaceType::Disk,
        interface_name: String::from("/dev/disk/by-id/x"),
        legacy_name: String::from("/dev/x"),
        storage_device_number: StorageDeviceNumber {
            device_type: 7,
            device_number,
            partition_number: 0,
        },
    })
}

fn session_ex() -> impl Strategy<Value = SessionInfoEx> {
    (session_id(), connection_id(), 0..3_usize).prop_map(|(id, connection, count)| SessionInfoEx {
        id,
        initial_r2t: true,
        immediate_data: false,
        session_type: 2,
        data_sequence_in_order: true,
        data_pdu_in_order: true,
        error_recovery_level: 0,
        max_outstanding_r2t: 1,
        first_burst_length: 65_536,
        max_burst_length: 262_144,
        maximum_connections: 1,
        connections: (0..count)
            .map(|_| ConnectionInfoEx {
                id: connection,
                state: 1,
                protocol: 6,
                header_digest: 1,
                data_digest: 0,
                max_recv_data_segment_length: 8192,
                auth_type: 1,
                estimated_throughput: 9,
                max_datagram_size: 3,
            })
            .collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn lists_of_texts(list in vec(text(), 0..5), shift in 0..8_usize) {
        every_list::<u8>(&list, shift);
        every_list::<u16>(&list, shift);
    }

    #[test]
    fn sessions(list in vec(session(), 0..3), shift in 0..8_usize) {
        offer_to_every_capacity(&reports::sessions::<u8>(&list), 1, shift);
        offer_to_every_capacity(&reports::sessions::<u16>(&list), 1, shift);
        read_sessions::<u8>(&list, shift);
        read_sessions::<u16>(&list, shift);
    }

    #[test]
    fn sessions_ex(list in vec(session_ex(), 0..4), shift in 0..8_usize) {
        offer_to_every_capacity(&reports::sessions_ex(&list), 1, shift);
    }

    #[test]
    fn mappings(list in vec(mapping(), 0..3), shift in 0..8_usize) {
        offer_to_every_capacity(&reports::mappings::<u8>(&list), 1, shift);
        offer_to_every_capacity(&reports::mappings::<u16>(&list), 1, shift);
        read_mappings(&list, shift);
    }

    #[test]
    fn persistent_logins(list in vec(persistent_login(), 0..3), shift in 0..8_usize) {
        offer_to_every_capacity(&reports::persistent_logins::<u8>(&list), 1, shift);
        offer_to_every_capacity(&reports::persistent_logins::<u16>(&list), 1, shift);
        read_persistent_logins(&list, shift);
    }

    /// The size is exactly that of the structs and the user names (§1.5).
    #[test]
    fn send_target_portals(list in vec(send_target_portal(), 0..4), shift in 0..8_usize) {
        let ex = reports::send_target_portals_ex::<u8>(&list);
        let names: usize = list.iter().map(|of| of.login_options.username.iter().flatten().count()).sum();
        prop_assert_eq!(ex.len(), list.len() * 848 + names);
        offer_to_every_capacity(&ex, 1, shift);
        let ex = reports::send_target_portals_ex::<u16>(&list);
        prop_assert_eq!(ex.len(), list.len() * 1616 + names);
        offer_to_every_capacity(&reports::send_target_portals::<u8>(&list), 776, shift);
        offer_to_every_capacity(&reports::send_target_portals::<u16>(&list), 1544, shift);
        read_send_target_portals(&list, shift);
    }

    #[test]
    fn portals_and_devices(
        portals in vec(portal(), 0..6),
        devices in vec(device(), 0..4),
        shift in 0..8_usize,
    ) {
        offer_to_every_capacity(&reports::portals::<u8>(&portals), 514, shift);
        offer_to_every_capacity(&reports::portals::<u16>(&portals), 1026, shift);
        offer_to_every_capacity(&reports::devices::<u8>(&devices), 1040, shift);
        offer_to_every_capacity(&reports::devices::<u16>(&devices), 2040, shift);
    }

    #[test]
    fn information(mapping in mapping(), options in login_options(), shift in 0..8_usize) {
        let mapping = TargetInformation::PersistentTargetMappings(Some(mapping));
        let options = TargetInformation::LoginOptions(Some(options));
        for information in [mapping, options, TargetInformation::TargetAlias("é".into())] {
            let report = reports::information::<u8>(&information).unwrap();
            offer_to_every_capacity(&report, 1, shift);
            let report = reports::information::<u16>(&information).unwrap();
            offer_to_every_capacity(&report, 1, shift);
        }
    }
}

/// Offers a list to every capacity by both rules for an empty one.
fn every_list<C: Unit>(list: &[String], shift: usize) {
    let filled: Vec<&String> = list.iter().filter(|text| !text.is_empty()).collect();
    let mut expected: Vec<C> = Vec::new();
    for text in &filled {
        expected.extend(C::encode(text));
        expected.push(C::NUL);
    }
    expected.extend(vec![C::NUL; if filled.is_empty() { 2 } else { 1 }]);
    for nothing in [Nothing::IsTwoNuls, Nothing::IsSizeZero] {
        let is_nothing = filled.is_empty() && nothing == Nothing::IsSizeZero;
        for capacity in 0..=expected.len() + 1 {
            let told = offer_list::<C>(list, nothing, Some(capacity), shift);
            if is_nothing {
                assert_eq!(told, (Ok(()), 0, capacity.min(2)));
            } else if capacity < expected.len() {
                assert_eq!(told, (Err(SMALL), expected.len(), 0));
            } else {
                assert_eq!(told, (Ok(()), expected.len(), expected.len()));
            }
        }
        let null = offer_list::<C>(list, nothing, None, shift);
        if is_nothing {
            assert_eq!(null, (Ok(()), 0, 0));
        } else {
            assert_eq!(null, (Err(SMALL), expected.len(), 0));
        }
    }
}

/// Offers a list to a buffer for so many characters, or to NULL with a wild size. Gives the status, the size, and how
/// many characters were written, which are the first of those that were expected.
fn offer_list<C: Unit>(
    list: &[String],
    nothing: Nothing,
    capacity: Option<usize>,
    shift: usize,
) -> (Result<(), Status>, usize, usize) {
    let width = size_of::<C>();
    let mut memory = Memory::new(capacity.unwrap_or(0) * width, shift);
    let mut size = capacity.map_or(u32::MAX, |capacity| u32::try_from(capacity).unwrap());
    let buffer = capacity.map_or(std::ptr::null_mut(), |_| memory.buffer());
    // SAFETY: the buffer is as long as its size says.
    let room = unsafe { Room::of_elements(&raw mut size, buffer.cast::<C>()) }.unwrap();
    let told = room.take_list::<C>(list, nothing);
    let room_for = capacity.unwrap_or(0) * width;
    let bytes = memory.written(room_for);
    let written = bytes
        .iter()
        .rposition(|byte| *byte != CANARY)
        .map_or(0, |last| last + 1);
    let mut plain = Image::default();
    plain.multi_sz::<C>(list);
    assert_eq!(&bytes[..written], &plain.bytes()[..written]);
    (told, size as usize, written / width)
}

/// Lets a caller receive a report; gives its memory.
fn receive(report: &Image, shift: usize) -> Memory {
    let mut memory = Memory::new(report.len(), shift);
    let mut size = u32::try_from(report.len()).unwrap();
    // SAFETY: the buffer is as long as its size says.
    let room = unsafe { Room::of_bytes(&raw mut size, memory.buffer()) }.unwrap();
    room.take(report).unwrap();
    memory
}

/// Reads a text as a C program does.
///
/// # Safety
/// A text with a NUL is there.
unsafe fn read_text<C: Unit>(text: *const C) -> String {
    let mut units = Vec::new();
    loop {
        // SAFETY: the NUL is not behind us.
        let unit = unsafe { text.add(units.len()).read_unaligned() };
        if unit == C::NUL {
            return C::decode(&units).unwrap();
        }
        units.push(unit);
    }
}

fn read_sessions<C: Unit>(list: &[SessionInfo], shift: usize) {
    let mut memory = receive(&reports::sessions::<C>(list), shift);
    let array = memory.buffer().cast::<ISCSI_SESSION_INFO<C>>();
    for (index, of) in list.iter().enumerate() {
        // SAFETY: the report has as many sessions as the list; pointers that are not NULL lead into it.
        unsafe {
            let seen = array.add(index).read_unaligned();
            assert_eq!(seen.SessionId.AdapterSpecific, of.id.adapter_specific);
            assert_eq!(read_text(seen.InitiatorName), of.initiator_name);
            assert_eq!(read_text(seen.TargetName), of.target_name);
            assert!(seen.TargetNodeName.is_null());
            assert_eq!((seen.ISID, seen.TSID), (of.isid, of.tsid));
            assert_eq!(seen.ConnectionCount as usize, of.connections.len());
            assert_eq!(seen.Connections.is_null(), of.connections.is_empty());
            for (index, of) in of.connections.iter().enumerate() {
                let seen = seen.Connections.add(index).read_unaligned();
                assert_eq!(seen.ConnectionId.AdapterUnique, of.id.adapter_unique);
                assert_eq!(read_text(seen.InitiatorAddress), of.initiator_address);
                assert_eq!(read_text(seen.TargetAddress), of.target_address);
                assert_eq!(seen.InitiatorSocket, of.initiator_socket);
                assert_eq!((seen.TargetSocket, seen.CID), (3260, [1, 0]));
            }
        }
    }
}

/// Checks a mapping in a report.
///
/// # Safety
/// Its list leads to its LUNs.
unsafe fn check_mapping<C: Unit>(seen: &ISCSI_TARGET_MAPPING<C>, of: &TargetMapping) {
    assert_eq!(seen.LUNCount as usize, of.luns.len());
    assert_eq!(seen.LUNList.is_null(), of.luns.is_empty());
    assert_eq!(
        (seen.OSBusNumber, seen.OSTargetNumber),
        (of.os_bus_number, 7)
    );
    for (index, lun) in of.luns.iter().enumerate() {
        // SAFETY: there are as many as the count says.
        let seen = unsafe { seen.LUNList.add(index).read_unaligned() };
        assert_eq!((seen.OSLUN, seen.TargetLUN), (lun.os_lun, lun.target_lun));
    }
    let name = seen.TargetName.iter().position(|unit| *unit == C::NUL);
    let name = C::decode(&seen.TargetName[..name.unwrap()]);
    assert_eq!(name.as_deref(), Some(&*of.target_name));
}

fn read_mappings(list: &[TargetMapping], shift: usize) {
    let mut memory = receive(&reports::mappings::<u16>(list), shift);
    let array = memory.buffer().cast::<ISCSI_TARGET_MAPPING<u16>>();
    for (index, of) in list.iter().enumerate() {
        // SAFETY: the report has as many mappings as the list; their lists lead into it.
        unsafe { check_mapping(&array.add(index).read_unaligned(), of) };
    }
}

/// Checks login options in a report.
///
/// # Safety
/// The user name leads to so many bytes.
unsafe fn check_options(seen: &ISCSI_LOGIN_OPTIONS, of: &LoginOptions) {
    assert_eq!(seen.InformationSpecified, of.information_specified());
    assert_eq!(seen.LoginFlags, of.login_flags);
    assert_eq!(seen.AuthType, 1);
    assert_eq!(seen.PasswordLength, 0);
    assert!(seen.Password.is_null());
    for (index, byte) in of.username.iter().flatten().enumerate() {
        assert!(index < seen.UsernameLength as usize);
        // SAFETY: the index is within the length.
        assert_eq!(unsafe { seen.Username.add(index).read() }, *byte);
    }
    assert_eq!(seen.Username.is_null(), seen.UsernameLength == 0);
}

fn read_persistent_logins(list: &[PersistentLogin], shift: usize) {
    let mut memory = receive(&reports::persistent_logins::<u8>(list), shift);
    let array = memory.buffer().cast::<PERSISTENT_ISCSI_LOGIN_INFO<u8>>();
    for (index, of) in list.iter().enumerate() {
        // SAFETY: the report has as many logins as the list; pointers that are not NULL lead into it.
        unsafe {
            let seen = array.add(index).read_unaligned();
            assert_eq!(seen.IsInformationalSession, u8::from(of.informational));
            assert_eq!(
                (seen.SecurityFlags, seen.TargetPortal.Socket),
                (0x45, of.portal.socket)
            );
            check_options(&seen.LoginOptions, &of.login_options);
            assert_eq!(seen.Mappings.is_null(), of.mapping.is_none());
            if let Some(of) = &of.mapping {
                check_mapping(&seen.Mappings.read_unaligned(), of);
            }
        }
    }
}

fn read_send_target_portals(list: &[SendTargetPortal], shift: usize) {
    let mut memory = receive(&reports::send_target_portals_ex::<u16>(list), shift);
    let array = memory.buffer().cast::<ISCSI_TARGET_PORTAL_INFO_EX<u16>>();
    for (index, of) in list.iter().enumerate() {
        // SAFETY: the report has as many portals as the list; their pointers lead into it.
        unsafe {
            let seen = array.add(index).read_unaligned();
            assert_eq!(seen.SecurityFlags, of.security_flags);
            assert_eq!(seen.InitiatorPortNumber, of.initiator.port_number);
            check_options(&seen.LoginOptions, &of.login_options);
        }
    }
}

/// §2.2, "PortalGroups stride": W 1 portal 1032, 2 2060, 3 3084; A 520, 1036, 1548; none 4.
#[test]
fn portal_groups_have_the_stride_of_microsofts_client() {
    let group = |portals| PortalGroup {
        portals: vec![Portal::new("192.0.2.1", 3260); portals],
    };
    for (portals, ansi, wide) in [(0, 4, 4), (1, 520, 1032), (2, 1036, 2060), (3, 1548, 3084)] {
        let one = TargetInformation::PortalGroups(vec![group(portals)]);
        assert_eq!(reports::information::<u8>(&one).unwrap().len(), 4 + ansi);
        assert_eq!(reports::information::<u16>(&one).unwrap().len(), 4 + wide);
    }
    let two = TargetInformation::PortalGroups(vec![group(2), group(1)]);
    let report = reports::information::<u16>(&two).unwrap();
    assert_eq!(report.len(), 4 + 2060 + 1032);
    assert_eq!(report.bytes()[..4], 2_u32.to_ne_bytes());
    assert_eq!(report.bytes()[4..8], 2_u32.to_ne_bytes());
    let second = 4 + 2060;
    assert_eq!(report.bytes()[second..second + 4], 1_u32.to_ne_bytes());
    let portal = second + 4 + std::mem::offset_of!(ISCSI_TARGET_PORTAL<u16>, Socket);
    assert_eq!(report.bytes()[portal..portal + 2], 3260_u16.to_ne_bytes());
    offer_to_every_capacity(&report, 1, 1);
}

#[test]
fn what_a_target_has_not_is_size_zero_for_a_buffer_and_a_need_for_null() {
    let nothing = [
        TargetInformation::PortalGroups(Vec::new()),
        TargetInformation::DiscoveryMechanisms(Vec::new()),
        TargetInformation::PersistentTargetMappings(None),
        TargetInformation::InitiatorName(None),
        TargetInformation::LoginOptions(None),
    ];
    for information in nothing {
        assert!(reports::information::<u8>(&information).is_none());
    }
    let alias = reports::information::<u16>(&TargetInformation::TargetAlias(String::new()));
    assert_eq!(alias.unwrap().len(), 2);
    let (mut size, mut byte) = (77, CANARY);
    // SAFETY: NULL has no room.
    let null = unsafe { Room::of_bytes(&raw mut size, std::ptr::null_mut::<c_void>()) };
    assert_eq!(null.unwrap().take_or_nothing(None), Err(SMALL));
    assert_eq!(size, 4);
    size = 1;
    // SAFETY: the buffer has the one byte that its size says.
    let one = unsafe { Room::of_bytes(&raw mut size, &raw mut byte) };
    assert_eq!(one.unwrap().take_or_nothing(None), Ok(()));
    assert_eq!((size, byte), (0, CANARY));
}

#[test]
fn a_count_is_told_whether_or_not_the_report_fits() {
    let report = reports::sessions_ex(&[]);
    let (mut size, mut count) = (99, 99);
    // SAFETY: NULL has no room.
    let null = unsafe { Room::of_bytes(&raw mut size, std::ptr::null_mut::<u8>()) }.unwrap();
    assert_eq!(null.take_counted(&report, place(&mut count), 0), Ok(()));
    assert_eq!((size, count), (0, 0));
    let full = reports::portals::<u8>(&[Portal::default()]);
    // SAFETY: as above.
    let null = unsafe { Room::of_bytes(&raw mut size, std::ptr::null_mut::<u8>()) }.unwrap();
    assert_eq!(null.take_counted(&full, place(&mut count), 1), Err(SMALL));
    assert_eq!((size, count), (514, 1));
}

/// A program that trusts a wild size gets no more than the report.
#[test]
fn a_wild_size_makes_nothing_be_written_behind_the_report() {
    let report = reports::portals::<u16>(&[Portal::default()]);
    let mut memory = Memory::new(report.len(), 1);
    let mut size = u32::MAX;
    // SAFETY: the buffer has as much room as the report takes.
    let room = unsafe {
        Room::of_elements(
            &raw mut size,
            memory.buffer().cast::<ISCSI_TARGET_PORTAL<u16>>(),
        )
    };
    room.unwrap().take(&report).unwrap();
    assert_eq!(size, 1);
    memory.written(1026);
}

#[test]
fn a_size_must_be_given() {
    // SAFETY: NULL is allowed.
    let room = unsafe { Room::of_bytes(std::ptr::null_mut(), std::ptr::null_mut::<u8>()) };
    assert_eq!(room.err(), Some(Status::ERROR_INVALID_PARAMETER));
}
