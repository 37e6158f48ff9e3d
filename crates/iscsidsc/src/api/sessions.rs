//! §2.3 and §2.1: logins, sessions, their connections, devices and mappings.

use hawser_api::{lun_as_discovery_library, v1};

use super::convert::{self, low8, low16};
use super::{
    ANY_PORT, ConnectionId, ConnectionInfo, ConnectionInfoEx, Device, InitiatorPort, InterfaceType,
    Library, LoggedIn, Login, LoginOptions, LunMapping, NewConnection, Outcome, ScsiAddress,
    Secret, SessionId, SessionInfo, SessionInfoEx, Status, StorageDeviceNumber, TargetMapping, ask,
    calls,
};

/// Protocol of a connection: TCP.
const TCP: u8 = 6;
/// `DeviceNumber` of what is not ready.
const NO_NUMBER: u32 = 0xffff_ffff;

impl Library {
    /// `LoginIScsiTarget`: logs in now, or with `persistent` only stores a login for every start of the daemon;
    /// both ids are zero then. Devices appear some time after a login.
    ///
    /// # Errors
    /// `ISDSC_TARGET_NOT_FOUND`, `ISDSC_TARGET_ALREADY_LOGGED_IN`, `ISDSC_NO_PORTAL_SPECIFIED`,
    /// `ISDSC_INITIATOR_NOT_FOUND`, `ISDSC_INVALID_PORT_NUMBER`, `ISDSC_IPSEC_NOT_SUPPORTED_ON_OS`,
    /// `ISDSC_COULD_NOT_SAVE_PERSISTENT_LOGIN_DATA`; for what the arguments say `ERROR_INVALID_PARAMETER`,
    /// `ISDSC_INVALID_ISCSI_NAME`, `ISDSC_INVALID_TARGET_MAPPING` and those of [`LoginOptions`]; and the status for
    /// how the portal or target refused (§2.3).
    pub fn login(&self, login: Login) -> Result<Outcome<LoggedIn>, Status> {
        let persistent = login.persistent;
        let (mode, call) = if persistent {
            (v1::LoginMode::Store, calls::LOGIN_STORE)
        } else {
            (v1::LoginMode::Now, calls::LOGIN)
        };
        let request = v1::LoginRequest {
            target_name: login.target_name,
            informational: login.informational,
            initiator: Some((&login.initiator).into()),
            portal: convert::given(login.portal.as_ref()),
            security_flags: login.security_flags,
            mapping: login.mapping.as_ref().map(convert::mapping_in),
            login_options: login.login_options.map(LoginOptions::into_wire),
            preshared_key: login.key.map(Secret::into_wire),
            mode: mode.into(),
        };
        let done = ask!(self, call, sessions.login, request).map_err(|status| match status {
            // The one name that §2.3 has for it, whatever was in the way.
            Status::ERROR_DISK_FULL if persistent => Status::COULD_NOT_SAVE_PERSISTENT_LOGIN_DATA,
            other => other,
        })?;
        let ids = LoggedIn {
            session_id: done.session_id.unwrap_or_default().into(),
            connection_id: done.connection_id.unwrap_or_default().into(),
        };
        Ok(Outcome::new(ids, done.warning))
    }

    /// `LogoutIScsiTarget`: refused while a device of the session is in use. Persistent logins stay.
    ///
    /// # Errors
    /// `ISDSC_DEVICE_BUSY_ON_SESSION`, `ISDSC_INVALID_SESSION_ID`.
    pub fn logout(&self, session: SessionId) -> Result<(), Status> {
        let request = v1::LogoutRequest {
            which: Some(v1::logout_request::Which::SessionId(session.into())),
            force: false,
        };
        ask!(self, calls::LOGOUT, sessions.logout, request).map(drop)
    }

    /// `AddIScsiConnection`.
    ///
    /// # Errors
    /// `ISDSC_INVALID_SESSION_ID`, `ISDSC_TOO_MANY_CONNECTIONS` above the number that the session agreed on,
    /// `ISDSC_SESSION_BUSY`, and as [`Library::login`].
    pub fn add_connection(&self, new: NewConnection) -> Result<ConnectionId, Status> {
        let port = InitiatorPort::new(None, new.port_number);
        let request = v1::AddConnectionRequest {
            session_id: Some(new.session_id.into()),
            initiator: Some((&port).into()).filter(|_| new.port_number != ANY_PORT),
            portal: convert::given(new.portal.as_ref()),
            security_flags: new.security_flags,
            login_options: new.login_options.map(LoginOptions::into_wire),
            preshared_key: new.key.map(Secret::into_wire),
        };
        let added = ask!(
            self,
            calls::ADD_CONNECTION,
            sessions.add_connection,
            request
        )?;
        Ok(added.connection_id.unwrap_or_default().into())
    }

    /// `RemoveIScsiConnection`: checked in the order session, connection, in progress, last, leading.
    ///
    /// # Errors
    /// `ISDSC_INVALID_SESSION_ID`, `ISDSC_INVALID_CONNECTION_ID`, `ISDSC_REMOVE_CONNECTION_IN_PROGRESS`,
    /// `ISDSC_CANT_REMOVE_LAST_CONNECTION`, `ISDSC_CANNOT_REMOVE_LEADING_CONNECTION`.
    pub fn remove_connection(
        &self,
        session: SessionId,
        connection: ConnectionId,
    ) -> Result<(), Status> {
        let request = v1::RemoveConnectionRequest {
            session_id: Some(session.into()),
            connection_id: Some(connection.into()),
        };
        ask!(
            self,
            calls::REMOVE_CONNECTION,
            sessions.remove_connection,
            request
        )
        .map(drop)
    }

    /// `GetIScsiSessionList`: all sessions in the order of their login, informational ones too. One that
    /// reconnects has no connections.
    ///
    /// # Errors
    /// Those of every call.
    pub fn sessions(&self) -> Result<Vec<SessionInfo>, Status> {
        let listed = self.list_sessions(v1::SessionView::Connections)?;
        Ok(listed.into_iter().map(session).collect())
    }

    /// `GetIScsiSessionListEx`: the same with what their logins agreed on.
    ///
    /// # Errors
    /// Those of every call.
    pub fn sessions_ex(&self) -> Result<Vec<SessionInfoEx>, Status> {
        let listed = self.list_sessions(v1::SessionView::Negotiated)?;
        Ok(listed.into_iter().map(session_ex).collect())
    }

    fn list_sessions(&self, view: v1::SessionView) -> Result<Vec<v1::Session>, Status> {
        let request = v1::ListSessionsRequest { view: view.into() };
        let listed = ask!(self, calls::LIST_SESSIONS, sessions.list_sessions, request)?;
        Ok(listed.sessions)
    }

    /// `GetDevicesForIScsiSession`: none for an informational session, none while a session reconnects.
    ///
    /// # Errors
    /// `ISDSC_INVALID_SESSION_ID`.
    pub fn devices(&self, session: SessionId) -> Result<Vec<Device>, Status> {
        let request = v1::ListDevicesRequest {
            session_id: Some(session.into()),
        };
        let listed = ask!(self, calls::LIST_DEVICES, volumes.list_devices, request)?;
        Ok(listed.devices.into_iter().map(device).collect())
    }

    /// `ReportActiveIScsiTargetMappings`: the operating system's numbers for the LUNs of each data session.
    ///
    /// # Errors
    /// Those of every call.
    pub fn target_mappings(&self) -> Result<Vec<TargetMapping>, Status> {
        let request = v1::ListMappingsRequest {};
        let listed = ask!(self, calls::LIST_MAPPINGS, sessions.list_mappings, request)?;
        Ok(listed.mappings.into_iter().map(active_mapping).collect())
    }
}

fn session(session: v1::Session) -> SessionInfo {
    let connections = session.connections.into_iter();
    SessionInfo {
        id: session.id.unwrap_or_default().into(),
        initiator_name: session.initiator_node_name,
        target_name: session.target_name,
        isid: session.isid.try_into().unwrap_or_default(),
        tsid: low16(session.tsih).to_le_bytes(),
        connections: connections.map(connection).collect(),
    }
}

fn connection(connection: v1::Connection) -> ConnectionInfo {
    let local = connection.local.unwrap_or_default();
    let remote = connection.remote.unwrap_or_default();
    ConnectionInfo {
        id: connection.id.unwrap_or_default().into(),
        initiator_address: local.address,
        target_address: remote.address,
        initiator_socket: low16(local.port),
        target_socket: low16(remote.port),
        cid: low16(connection.cid).to_le_bytes(),
    }
}

fn session_ex(session: v1::Session) -> SessionInfoEx {
    let agreed = session.negotiated.unwrap_or_default();
    let session_type = match session.r#type() {
        v1::SessionType::Discovery => 0,
        v1::SessionType::Informational => 1,
        v1::SessionType::Data | v1::SessionType::Unspecified => 2,
    };
    let proved = session.authentication.unwrap_or_default();
    let auth_type = u32::try_from(proved.r#type).unwrap_or_default();
    let connections = session.connections.iter();
    SessionInfoEx {
        id: session.id.unwrap_or_default().into(),
        initial_r2t: agreed.initial_r2t,
        immediate_data: agreed.immediate_data,
        session_type,
        data_sequence_in_order: agreed.data_sequence_in_order,
        data_pdu_in_order: agreed.data_pdu_in_order,
        error_recovery_level: low8(agreed.error_recovery_level),
        max_outstanding_r2t: agreed.max_outstanding_r2t,
        first_burst_length: agreed.first_burst_length,
        max_burst_length: agreed.max_burst_length,
        maximum_connections: agreed.max_connections,
        connections: connections
            .map(|connection| connection_ex(connection, auth_type))
            .collect(),
    }
}

fn connection_ex(connection: &v1::Connection, auth_type: u32) -> ConnectionInfoEx {
    let digest = |digest| u8::from(digest != v1::Digest::None);
    let state = match connection.state() {
        v1::ConnectionState::FullFeature => 1,
        v1::ConnectionState::Logout => 2,
        v1::ConnectionState::Login | v1::ConnectionState::Unspecified => 0,
    };
    ConnectionInfoEx {
        state,
        protocol: TCP,
        header_digest: digest(connection.header_digest()),
        data_digest: digest(connection.data_digest()),
        id: connection.id.unwrap_or_default().into(),
        max_recv_data_segment_length: connection.max_recv_data_segment_length,
        auth_type,
        estimated_throughput: 0,
        max_datagram_size: 0,
    }
}

fn device(device: v1::Device) -> Device {
    let address = device.scsi_address.unwrap_or_default();
    // SCSI peripheral device types (SPC-4 table 138).
    let (interface_type, device_type) = match device.device_type {
        1 => (InterfaceType::Tape, 31),
        4 => (InterfaceType::WriteOnceDisk, 7),
        5 => (InterfaceType::Cdrom, 2),
        8 => (InterfaceType::MediumChanger, 48),
        _ => (InterfaceType::Disk, 7),
    };
    let number = device.storage_device_number;
    let number = number.map(|number| StorageDeviceNumber {
        device_type: number.device_type,
        device_number: number.device_number,
        partition_number: number.partition_number,
    });
    Device {
        initiator_name: device.initiator_instance,
        target_name: device.target_name,
        scsi_address: ScsiAddress {
            port_number: low8(address.port_number),
            path_id: low8(address.path_id),
            target_id: low8(address.target_id),
            lun: low8(address.lun),
        },
        interface_type,
        interface_name: device.interface_name,
        legacy_name: device.legacy_name,
        storage_device_number: number.unwrap_or(StorageDeviceNumber {
            device_type,
            device_number: NO_NUMBER,
            partition_number: NO_NUMBER,
        }),
    }
}

fn active_mapping(mapping: v1::ActiveMapping) -> TargetMapping {
    let luns = mapping.luns.into_iter();
    TargetMapping {
        initiator_name: mapping.initiator_instance,
        target_name: mapping.target_name,
        os_device_name: mapping.os_device_name,
        session_id: mapping.session_id.unwrap_or_default().into(),
        os_bus_number: mapping.os_bus_number,
        os_target_number: mapping.os_target_number,
        luns: luns
            .map(|lun| LunMapping {
                os_lun: lun.os_lun,
                target_lun: lun_as_discovery_library(lun.lun),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
