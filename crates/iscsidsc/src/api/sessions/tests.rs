use super::*;

#[test]
fn a_session_is_shown_in_the_bytes_of_c() {
    let shown = session(v1::Session {
        id: Some(v1::SessionId {
            adapter_unique: 7,
            adapter_specific: 8,
        }),
        target_name: "iqn.t".into(),
        initiator_node_name: "iqn.i".into(),
        isid: vec![0x40, 0, 1, 0x37, 0, 1],
        tsih: 0x0102,
        connections: vec![v1::Connection {
            cid: 1,
            local: Some(v1::Portal {
                address: "192.0.2.1".into(),
                port: 40_000,
                ..v1::Portal::default()
            }),
            remote: Some(v1::Portal {
                address: "192.0.2.2".into(),
                port: 3260,
                ..v1::Portal::default()
            }),
            ..v1::Connection::default()
        }],
        ..v1::Session::default()
    });
    assert_eq!((shown.id.adapter_unique, shown.id.adapter_specific), (7, 8));
    assert_eq!(shown.isid, [0x40, 0, 1, 0x37, 0, 1]);
    assert_eq!(shown.tsid, [2, 1], "little-endian");
    let connection = &shown.connections[0];
    assert_eq!(connection.cid, [1, 0]);
    assert_eq!(connection.initiator_address, "192.0.2.1");
    assert_eq!(
        (connection.initiator_socket, connection.target_socket),
        (40_000, 3260)
    );
}

#[test]
fn states_and_types_have_the_numbers_of_the_driver() {
    for (state, number) in [
        (v1::ConnectionState::Login, 0),
        (v1::ConnectionState::FullFeature, 1),
        (v1::ConnectionState::Logout, 2),
    ] {
        let wire = v1::Connection {
            state: state.into(),
            header_digest: v1::Digest::Crc32c.into(),
            ..v1::Connection::default()
        };
        let shown = connection_ex(&wire, 2);
        assert_eq!((shown.state, shown.protocol), (number, 6));
        assert_eq!((shown.header_digest, shown.data_digest), (1, 0));
        assert_eq!(shown.auth_type, 2);
    }
    for (kind, number) in [
        (v1::SessionType::Informational, 1),
        (v1::SessionType::Data, 2),
    ] {
        let wire = v1::Session {
            r#type: kind.into(),
            ..v1::Session::default()
        };
        assert_eq!(session_ex(wire).session_type, number);
    }
}

#[test]
fn a_device_that_is_not_ready_has_no_number() {
    let shown = device(v1::Device {
        device_type: 5,
        ..v1::Device::default()
    });
    assert_eq!(shown.interface_type, InterfaceType::Cdrom);
    let number = shown.storage_device_number;
    assert_eq!((number.device_type, number.device_number), (2, NO_NUMBER));
    for (kind, interface, device_type) in [
        (0, InterfaceType::Disk, 7),
        (1, InterfaceType::Tape, 31),
        (4, InterfaceType::WriteOnceDisk, 7),
        (7, InterfaceType::Disk, 7),
        (8, InterfaceType::MediumChanger, 48),
    ] {
        let shown = device(v1::Device {
            device_type: kind,
            ..v1::Device::default()
        });
        assert_eq!(shown.interface_type, interface);
        assert_eq!(shown.storage_device_number.device_type, device_type);
    }
}

#[test]
fn mappings_have_luns_as_c_reads_them() {
    let shown = active_mapping(v1::ActiveMapping {
        os_bus_number: 3,
        luns: vec![v1::LunMapping {
            os_lun: 1,
            lun: 0x0001_0000_0000_0000,
        }],
        ..v1::ActiveMapping::default()
    });
    assert_eq!(shown.os_bus_number, 3);
    let lun = LunMapping {
        os_lun: 1,
        target_lun: 0x100,
    };
    assert_eq!(shown.luns, [lun]);
}
