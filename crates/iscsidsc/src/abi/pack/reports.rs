//! The structs of reports, from the types of [`crate::api`] (§3.3): first the array, then what it points to (§1.5).

use super::image::{Image, point, put};
use crate::abi::constants::{ISCSI_LOGIN_OPTIONS_VERSION, device_interface};
use crate::abi::strings::{Unit, array_of_text};
use crate::abi::types::{
    BOOLEAN, IKE_AUTHENTICATION_INFORMATION, ISCSI_CONNECTION_INFO, ISCSI_CONNECTION_INFO_EX,
    ISCSI_DEVICE_ON_SESSION, ISCSI_LOGIN_OPTIONS, ISCSI_SESSION_INFO, ISCSI_SESSION_INFO_EX,
    ISCSI_TARGET_MAPPING, ISCSI_TARGET_PORTAL, ISCSI_TARGET_PORTAL_GROUP, ISCSI_TARGET_PORTAL_INFO,
    ISCSI_TARGET_PORTAL_INFO_EX, ISCSI_UNIQUE_SESSION_ID, PERSISTENT_ISCSI_LOGIN_INFO,
    SCSI_ADDRESS, SCSI_LUN_LIST, STORAGE_DEVICE_NUMBER,
};
use crate::api::{
    ConnectionId, Device, LoginOptions, PersistentLogin, Portal, PortalGroup, SendTargetPortal,
    SessionId, SessionInfo, SessionInfoEx, TargetInformation, TargetMapping,
};

impl From<SessionId> for ISCSI_UNIQUE_SESSION_ID {
    fn from(id: SessionId) -> Self {
        Self {
            AdapterUnique: id.adapter_unique,
            AdapterSpecific: id.adapter_specific,
        }
    }
}

impl From<ConnectionId> for ISCSI_UNIQUE_SESSION_ID {
    fn from(id: ConnectionId) -> Self {
        Self {
            AdapterUnique: id.adapter_unique,
            AdapterSpecific: id.adapter_specific,
        }
    }
}

/// A count of elements that are in memory, each of several bytes, and that fits because the size of all fits or is refused.
fn count(elements: usize) -> u32 {
    u32::try_from(elements).unwrap_or(u32::MAX)
}

/// An image with `list.len()` structs `S`, each filled by `fill` from its element.
fn array_of<S, T>(list: &[T], mut fill: impl FnMut(&mut Image, usize, &T)) -> Image {
    let mut image = Image::default();
    let start = image.array::<S>(list.len());
    for (index, element) in list.iter().enumerate() {
        fill(&mut image, start + index * size_of::<S>(), element);
    }
    image
}

/// `ISCSI_TARGET_PORTAL` (`ReportIScsiTargetPortals`).
pub(crate) fn portals<C: Unit>(list: &[Portal]) -> Image {
    array_of::<ISCSI_TARGET_PORTAL<C>, _>(list, portal::<C>)
}

fn portal<C: Unit>(image: &mut Image, at: usize, portal: &Portal) {
    put!(image, at, ISCSI_TARGET_PORTAL<C> {
        SymbolicName: array_of_text(symbolic_name(portal)),
        Address: array_of_text(&portal.address),
        Socket: portal.socket,
    });
}

/// The symbolic name, which is the address where none was given (§1.7).
fn symbolic_name(portal: &Portal) -> &str {
    if portal.symbolic_name.is_empty() {
        &portal.address
    } else {
        &portal.symbolic_name
    }
}

/// `ISCSI_TARGET_PORTAL_INFO` (`ReportIScsiSendTargetPortals`).
pub(crate) fn send_target_portals<C: Unit>(list: &[SendTargetPortal]) -> Image {
    array_of::<ISCSI_TARGET_PORTAL_INFO<C>, _>(list, |image, at, of| {
        put!(image, at, ISCSI_TARGET_PORTAL_INFO<C> {
            InitiatorName: array_of_text(&of.initiator.instance),
            InitiatorPortNumber: of.initiator.port_number,
            SymbolicName: array_of_text(symbolic_name(&of.portal)),
            Address: array_of_text(&of.portal.address),
            Socket: of.portal.socket,
        });
    })
}

/// `ISCSI_TARGET_PORTAL_INFO_EX` (`ReportIScsiSendTargetPortalsEx`), then user names without padding.
pub(crate) fn send_target_portals_ex<C: Unit>(list: &[SendTargetPortal]) -> Image {
    array_of::<ISCSI_TARGET_PORTAL_INFO_EX<C>, _>(list, |image, at, of| {
        type Info<C> = ISCSI_TARGET_PORTAL_INFO_EX<C>;
        put!(image, at, Info<C> {
            InitiatorName: array_of_text(&of.initiator.instance),
            InitiatorPortNumber: of.initiator.port_number,
            SymbolicName: array_of_text(symbolic_name(&of.portal)),
            Address: array_of_text(&of.portal.address),
            Socket: of.portal.socket,
            SecurityFlags: of.security_flags,
        });
        let options = at + std::mem::offset_of!(Info<C>, LoginOptions);
        login_options(image, options, &of.login_options);
    })
}

/// `ISCSI_LOGIN_OPTIONS`, its user name behind all that is there; never a password (§1.9).
fn login_options(image: &mut Image, at: usize, of: &LoginOptions) {
    let user_name = of.username.as_deref().unwrap_or_default();
    put!(
        image,
        at,
        ISCSI_LOGIN_OPTIONS {
            Version: ISCSI_LOGIN_OPTIONS_VERSION,
            InformationSpecified: of.information_specified(),
            LoginFlags: of.login_flags,
            AuthType: of.auth_type.map_or(0, |value| value as i32),
            HeaderDigest: of.header_digest.map_or(0, |value| value as i32),
            DataDigest: of.data_digest.map_or(0, |value| value as i32),
            MaximumConnections: of.maximum_connections.unwrap_or_default(),
            DefaultTime2Wait: of.default_time2wait.unwrap_or_default(),
            DefaultTime2Retain: of.default_time2retain.unwrap_or_default(),
            UsernameLength: count(user_name.len()),
        }
    );
    if !user_name.is_empty() {
        point!(
            image,
            at,
            ISCSI_LOGIN_OPTIONS {
                Username: image.blob(user_name)
            }
        );
    }
}

/// `ISCSI_TARGET_MAPPING` with LUN lists (`ReportActiveIScsiTargetMappings`).
pub(crate) fn mappings<C: Unit>(list: &[TargetMapping]) -> Image {
    array_of::<ISCSI_TARGET_MAPPING<C>, _>(list, mapping::<C>)
}

fn mapping<C: Unit>(image: &mut Image, at: usize, of: &TargetMapping) {
    put!(image, at, ISCSI_TARGET_MAPPING<C> {
        InitiatorName: array_of_text(&of.initiator_name),
        TargetName: array_of_text(&of.target_name),
        OSDeviceName: array_of_text(&of.os_device_name),
        SessionId: of.session_id.into(),
        OSBusNumber: of.os_bus_number,
        OSTargetNumber: of.os_target_number,
        LUNCount: count(of.luns.len()),
    });
    if of.luns.is_empty() {
        return;
    }
    let luns = image.array::<SCSI_LUN_LIST>(of.luns.len());
    point!(image, at, ISCSI_TARGET_MAPPING<C> { LUNList: luns });
    for (index, lun) in of.luns.iter().enumerate() {
        put!(
            image,
            luns + index * size_of::<SCSI_LUN_LIST>(),
            SCSI_LUN_LIST {
                OSLUN: lun.os_lun,
                TargetLUN: lun.target_lun,
            }
        );
    }
}

/// `ISCSI_SESSION_INFO`, then connections, then texts (`GetIScsiSessionList`).
pub(crate) fn sessions<C: Unit>(list: &[SessionInfo]) -> Image {
    let mut image = Image::default();
    let start = image.array::<ISCSI_SESSION_INFO<C>>(list.len());
    let connections: Vec<usize> = list
        .iter()
        .map(|of| image.array::<ISCSI_CONNECTION_INFO<C>>(of.connections.len()))
        .collect();
    for (index, (of, connections)) in list.iter().zip(connections).enumerate() {
        let at = start + index * size_of::<ISCSI_SESSION_INFO<C>>();
        session::<C>(&mut image, at, of, connections);
    }
    image
}

fn session<C: Unit>(image: &mut Image, at: usize, of: &SessionInfo, connections: usize) {
    type Info<C> = ISCSI_SESSION_INFO<C>;
    type Connection<C> = ISCSI_CONNECTION_INFO<C>;
    put!(image, at, Info<C> {
        SessionId: of.id.into(),
        ISID: of.isid,
        TSID: of.tsid,
        ConnectionCount: count(of.connections.len()),
    });
    point!(image, at, Info<C> {
        InitiatorName: image.text::<C>(&of.initiator_name),
        TargetName: image.text::<C>(&of.target_name),
    });
    if !of.connections.is_empty() {
        point!(image, at, Info<C> { Connections: connections });
    }
    for (index, connection) in of.connections.iter().enumerate() {
        let at = connections + index * size_of::<Connection<C>>();
        put!(image, at, Connection<C> {
            ConnectionId: connection.id.into(),
            InitiatorSocket: connection.initiator_socket,
            TargetSocket: connection.target_socket,
            CID: connection.cid,
        });
        point!(image, at, Connection<C> {
            InitiatorAddress: image.text::<C>(&connection.initiator_address),
            TargetAddress: image.text::<C>(&connection.target_address),
        });
    }
}

/// `ISCSI_SESSION_INFO_EX`, then connections (`GetIScsiSessionListEx`).
pub(crate) fn sessions_ex(list: &[SessionInfoEx]) -> Image {
    array_of::<ISCSI_SESSION_INFO_EX, _>(list, |image, at, of| {
        put!(
            image,
            at,
            ISCSI_SESSION_INFO_EX {
                SessionId: of.id.into(),
                InitialR2t: BOOLEAN::from(of.initial_r2t),
                ImmediateData: BOOLEAN::from(of.immediate_data),
                Type: of.session_type,
                DataSequenceInOrder: BOOLEAN::from(of.data_sequence_in_order),
                DataPduInOrder: BOOLEAN::from(of.data_pdu_in_order),
                ErrorRecoveryLevel: of.error_recovery_level,
                MaxOutstandingR2t: of.max_outstanding_r2t,
                FirstBurstLength: of.first_burst_length,
                MaxBurstLength: of.max_burst_length,
                MaximumConnections: of.maximum_connections,
                ConnectionCount: count(of.connections.len()),
            }
        );
        connections_ex(image, at, of);
    })
}

fn connections_ex(image: &mut Image, session: usize, of: &SessionInfoEx) {
    if of.connections.is_empty() {
        return;
    }
    let start = image.array::<ISCSI_CONNECTION_INFO_EX>(of.connections.len());
    point!(image, session, ISCSI_SESSION_INFO_EX { Connections: start });
    for (index, of) in of.connections.iter().enumerate() {
        let at = start + index * size_of::<ISCSI_CONNECTION_INFO_EX>();
        put!(
            image,
            at,
            ISCSI_CONNECTION_INFO_EX {
                ConnectionId: of.id.into(),
                State: of.state,
                Protocol: of.protocol,
                HeaderDigest: of.header_digest,
                DataDigest: of.data_digest,
                MaxRecvDataSegmentLength: of.max_recv_data_segment_length,
                AuthType: i32::try_from(of.auth_type).unwrap_or_default(),
                EstimatedThroughput: of.estimated_throughput,
                MaxDatagramSize: of.max_datagram_size,
            }
        );
    }
}

/// `ISCSI_DEVICE_ON_SESSION` (`GetDevicesForIScsiSession`).
pub(crate) fn devices<C: Unit>(list: &[Device]) -> Image {
    type Info<C> = ISCSI_DEVICE_ON_SESSION<C>;
    array_of::<Info<C>, _>(list, |image, at, of| {
        put!(image, at, Info<C> {
            InitiatorName: array_of_text(&of.initiator_name),
            TargetName: array_of_text(&of.target_name),
            DeviceInterfaceType: device_interface(of.interface_type as u32),
            DeviceInterfaceName: array_of_text(&of.interface_name),
            LegacyName: array_of_text(&of.legacy_name),
        });
        let address = at + std::mem::offset_of!(Info<C>, ScsiAddress);
        put!(
            image,
            address,
            SCSI_ADDRESS {
                Length: count(size_of::<SCSI_ADDRESS>()),
                PortNumber: of.scsi_address.port_number,
                PathId: of.scsi_address.path_id,
                TargetId: of.scsi_address.target_id,
                Lun: of.scsi_address.lun,
            }
        );
        let number = at + std::mem::offset_of!(Info<C>, StorageDeviceNumber);
        put!(
            image,
            number,
            STORAGE_DEVICE_NUMBER {
                DeviceType: of.storage_device_number.device_type,
                DeviceNumber: of.storage_device_number.device_number,
                PartitionNumber: of.storage_device_number.partition_number,
            }
        );
    })
}

/// `PERSISTENT_ISCSI_LOGIN_INFO`, then mappings with their LUNs, then user names (`ReportIScsiPersistentLogins`).
pub(crate) fn persistent_logins<C: Unit>(list: &[PersistentLogin]) -> Image {
    type Info<C> = PERSISTENT_ISCSI_LOGIN_INFO<C>;
    let mut image = array_of::<Info<C>, _>(list, |image, at, of| {
        put!(image, at, Info<C> {
            TargetName: array_of_text(&of.target_name),
            IsInformationalSession: BOOLEAN::from(of.informational),
            InitiatorInstance: array_of_text(&of.initiator.instance),
            InitiatorPortNumber: of.initiator.port_number,
            SecurityFlags: of.security_flags,
        });
        portal::<C>(
            image,
            at + std::mem::offset_of!(Info<C>, TargetPortal),
            &of.portal,
        );
        if let Some(of) = &of.mapping {
            let to = image.array::<ISCSI_TARGET_MAPPING<C>>(1);
            mapping::<C>(image, to, of);
            point!(image, at, Info<C> { Mappings: to });
        }
    });
    for (index, of) in list.iter().enumerate() {
        let at = index * size_of::<Info<C>>() + std::mem::offset_of!(Info<C>, LoginOptions);
        login_options(&mut image, at, &of.login_options);
    }
    image
}

/// What `GetIScsiTargetInformation` gives for a class (§2.2); `None` if the target has no value of it.
pub(crate) fn information<C: Unit>(of: &TargetInformation) -> Option<Image> {
    let mut image = Image::default();
    match of {
        TargetInformation::ProtocolType(value) | TargetInformation::TargetFlags(value) => {
            image.value(value);
        }
        TargetInformation::TargetAlias(alias) => {
            image.text::<C>(alias);
        }
        TargetInformation::InitiatorName(name) => {
            image.text::<C>(name.as_deref()?);
        }
        TargetInformation::DiscoveryMechanisms(list) if list.is_empty() => return None,
        TargetInformation::DiscoveryMechanisms(list) => image.multi_sz::<C>(list),
        TargetInformation::PortalGroups(groups) if groups.is_empty() => return None,
        TargetInformation::PortalGroups(groups) => portal_groups::<C>(&mut image, groups),
        TargetInformation::PersistentTargetMappings(of) => {
            let at = image.array::<ISCSI_TARGET_MAPPING<C>>(1);
            mapping::<C>(&mut image, at, of.as_ref()?);
        }
        TargetInformation::LoginOptions(of) => {
            let at = image.array::<ISCSI_LOGIN_OPTIONS>(1);
            login_options(&mut image, at, of.as_ref()?);
        }
    }
    Some(image)
}

/// The number of groups, then the groups. A group has the size by which Microsoft's client steps to the next (§2.2: "PortalGroups
/// stride"), which is more than its portals take.
fn portal_groups<C: Unit>(image: &mut Image, groups: &[PortalGroup]) {
    type Group<C> = ISCSI_TARGET_PORTAL_GROUP<C>;
    let portal_size = size_of::<ISCSI_TARGET_PORTAL<C>>();
    image.value(&count(groups.len()));
    for group in groups {
        let stride = match group.portals.len() {
            0 => size_of::<u32>(),
            more => (size_of::<Group<C>>() + (more - 1) * portal_size).next_multiple_of(4),
        };
        let at = image.gap(stride);
        image.put_field(at, |count: &u32| count, count(group.portals.len()));
        let first = at + std::mem::offset_of!(Group<C>, Portals);
        for (index, of) in group.portals.iter().enumerate() {
            portal::<C>(image, first + index * portal_size, of);
        }
    }
}

/// Writes what `GetIScsiIKEInfo` gives into the caller's struct: the flags, and that there is no key (§2.7). The rest
/// of it is the caller's question and stays.
///
/// # Safety
/// The struct can be written. It need not be aligned.
pub(crate) unsafe fn answer_ike(info: *mut IKE_AUTHENTICATION_INFORMATION, security_flags: u64) {
    // SAFETY: the caller vouches for the struct.
    unsafe {
        let key = &raw mut (*info).PsKey;
        (&raw mut (*key).SecurityFlags).write_unaligned(security_flags);
        (&raw mut (*key).KeyLengthInBytes).write_unaligned(0);
        (&raw mut (*key).Key).write_unaligned(std::ptr::null_mut());
    }
}
