"""§2.1, §2.3: GetDevicesForIScsiSession, ReportActiveIScsiTargetMappings, and logouts of devices in use."""

import os
import subprocess

import peers
from case import both_widths
from discovery_library import *
from logged_in import Discovered, is_ready, nobody
from service import until

#: FILE_DEVICE_DISK, and the partition number of a whole disk (§3.3).
DISK_DEVICE, WHOLE_DISK = 7, 0
ANY = 0xFFFFFFFF
SIZE_OF_ADDRESS = 8
ADAPTER = "\\\\.\\Scsi0:"


def numbers(device):
    """Bus, target and LUN of a device."""
    address = device.ScsiAddress
    return address.PathId, address.TargetId, address.Lun


class Devices(Discovered):
    """The disks of sessions, as files."""

    export = "fuse"

    @both_widths
    def test_they_are_the_disks_of_the_target(self, api):
        session = self.log_in(api, peers.DISKS).session
        devices = self.ready_devices(api, session, 3)
        (instance,) = api.initiators()
        for lun, device in enumerate(sorted(devices, key=numbers), 1):
            self.assertEqual((device.InitiatorName, device.TargetName), (instance, peers.DISKS))
            self.assertEqual(device.ScsiAddress.Length, SIZE_OF_ADDRESS)
            self.assertEqual(device.ScsiAddress.PortNumber, 0, "there is one adapter")
            self.assertEqual(device.ScsiAddress.Lun, lun, "the number that people give it")
            kind = device.DeviceInterfaceType
            self.assertEqual(kind.Data1, GUID_DEVINTERFACE_DISK)
            self.assertEqual((kind.Data2, kind.Data3, kind.Data4), DEVINTERFACE_REST)
            number = device.StorageDeviceNumber
            self.assertEqual((number.DeviceType, number.PartitionNumber), (DISK_DEVICE, WHOLE_DISK))
            self.assertEqual(device.DeviceInstance, 0)
        for name in ("LegacyName", "DeviceInterfaceName"):
            self.assertEqual(len({getattr(device, name) for device in devices}), 3)
        self.assertEqual(len({device.StorageDeviceNumber.DeviceNumber for device in devices}), 3)
        self.assertEqual(len(api.devices(session)), 3, "the controller at LUN 0 is no device")

    @both_widths
    def test_both_names_lead_to_the_disk(self, api):
        session = self.log_in(api, peers.DISKS).session
        for device in self.ready_devices(api, session, 3):
            self.assertTrue(os.path.islink(device.DeviceInterfaceName), "a name that stays")
            self.assertTrue(os.path.samefile(device.DeviceInterfaceName, device.LegacyName))
            self.assertEqual(os.stat(device.LegacyName).st_size, peers.DISK_SIZE)
            content = f"{api} {device.ScsiAddress.Lun}".encode().ljust(512)
            with open(device.LegacyName, "r+b", buffering=0) as disk:
                disk.write(content)
                os.fsync(disk.fileno())
            with open(device.DeviceInterfaceName, "rb", buffering=0) as disk:
                self.assertEqual(disk.read(512), content)

    @both_widths
    def test_what_one_session_wrote_another_reads(self, api):
        session = self.log_in(api, peers.OTHER).session
        for number in (1, 2):
            (device,) = [d for d in self.ready_devices(api, session, 2) if d.ScsiAddress.Lun == number]
            with open(device.LegacyName, "r+b", buffering=0) as disk:
                disk.seek(4096)
                disk.write(f"{api} {number}".encode().ljust(512))
                os.fsync(disk.fileno())
        self.log_out(session)
        session = self.log_in(api, peers.OTHER).session
        for device in self.ready_devices(api, session, 2):
            with open(device.LegacyName, "rb", buffering=0) as disk:
                disk.seek(4096)
                self.assertEqual(disk.read(512).strip(), f"{api} {device.ScsiAddress.Lun}".encode())

    @both_widths
    def test_a_disk_with_two_ways_is_shown_once_for_both(self, api):
        multipath = login_options(LoginFlags=ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED)
        first = self.log_in(api, peers.DISKS).session
        shown = self.ready_devices(api, first, 3)
        second = self.log_in(api, peers.DISKS, api.portal(*peers.OPEN_SECOND), options=multipath).session
        also = self.ready_devices(api, second, 3)
        for name in ("LegacyName", "DeviceInterfaceName", "StorageDeviceNumber"):
            self.assertEqual([getattr(d, name) for d in also], [getattr(d, name) for d in shown])
        self.assertEqual(len({numbers(device) for device in shown + also}), 6, "each way has its address")
        # One that is open is in use by the way that shows it. When that goes the other one takes its place.
        self.log_out(first)

        def there():
            devices = api.devices(second)
            return len([device for device in devices if is_ready(device) and os.path.exists(device.LegacyName)]) == 3

        until("the disks by the other way", there)

    @both_widths
    def test_they_come_after_the_login_and_go_with_the_session(self, api):
        session = self.log_in(api, peers.DISKS).session
        # Until then there are fewer, or such without a number; never more, and never a failure.
        def polled():
            devices = api.devices(session)
            self.assertLessEqual(len(devices), 3)
            return len([device for device in devices if is_ready(device)]) == 3

        until("the devices", polled)
        names = [device.LegacyName for device in api.devices(session)]
        self.log_out(session)
        self.assertEqual([name for name in names if os.path.exists(name)], [])
        with self.assertRaises(Refused) as refused:
            api.devices(session)
        self.assertStatus(refused.exception.status, ISDSC_INVALID_SESSION_ID)

    @both_widths
    def test_the_count_is_of_elements(self, api):
        session = self.log_in(api, peers.DISKS).session
        self.ready_devices(api, session, 3)
        struct = api.ISCSI_DEVICE_ON_SESSION
        for room, status in ((0, 122), (1, 122), (2, 122), (3, 0), (9, 0)):
            buffer, count = Buffer(room * ctypes.sizeof(struct)), ULONG(room)
            self.assertStatus(api.GetDevicesForIScsiSession(session, count, buffer.at(struct)), status)
            self.assertEqual(count.value, 3)
            if status:
                buffer.check_untouched()
            buffer.check_guard()

    @both_widths
    def test_sessions_and_places_that_are_not_are_refused(self, api):
        session = self.log_in(api, peers.DISKS, informational=True).session
        buffer, count = Buffer(8192), ULONG(2)
        pointer = buffer.at(api.ISCSI_DEVICE_ON_SESSION)
        for wrong in (nobody(), ISCSI_UNIQUE_SESSION_ID(0, 0)):
            self.assertStatus(api.GetDevicesForIScsiSession(wrong, count, pointer), ISDSC_INVALID_SESSION_ID)
        self.assertStatus(api.GetDevicesForIScsiSession(None, count, pointer), ERROR_INVALID_PARAMETER)
        self.assertStatus(api.GetDevicesForIScsiSession(session, None, pointer), ERROR_INVALID_PARAMETER)
        self.assertEqual(count.value, 2)
        self.assertStatus(api.GetDevicesForIScsiSession(session, count, pointer), ERROR_SUCCESS)
        self.assertEqual(count.value, 0, "an informational session has none")
        buffer.check_untouched()

    @both_widths
    def test_without_a_service_nothing_is_told(self, api):
        self.service.stop()
        self.addCleanup(self.service.start)
        size, count = ULONG(77), ULONG(77)
        self.assertStatus(api.GetDevicesForIScsiSession(nobody(), count, None), ISDSC_SERVICE_NOT_RUNNING)
        self.assertStatus(api.ReportActiveIScsiTargetMappings(size, count, None), ISDSC_SERVICE_NOT_RUNNING)
        self.assertEqual((size.value, count.value), (77, 77))

    def test_numbers_stay_while_the_connection_is_lost_and_found(self):
        api = self.library.W
        check(api.RemoveIScsiSendTargetPortal(None, ISCSI_ANY_INITIATOR_PORT, api.portal(*peers.OPEN)))
        with peers.Relay(peers.OPEN) as relay:
            self.add_static(api, peers.DISKS, relay.portal)
            session = self.log_in(api, peers.DISKS).session
            before = self.ready_devices(api, session, 3), api.mappings()
            relay.refuse()
            until("the loss to be seen", lambda: api.devices(session) == [])
            relay.accept()
            self.assertEqual((self.ready_devices(api, session, 3), api.mappings()), before)
            self.log_out(session)


class Mappings(Discovered):
    """ReportActiveIScsiTargetMappings, and Mappings of LoginIScsiTarget."""

    def refused(self, api, status, mapping):
        """A login with a mapping fails so, and makes no session."""
        sessions = api.sessions()
        self.assertStatus(api.login(peers.OTHER, mapping=mapping).status, status)
        self.assertEqual(api.sessions(), sessions)

    @both_widths
    def test_each_session_with_devices_is_one_element(self, api):
        self.assertEqual(api.mappings(), [])
        disks, other = (self.log_in(api, target).session for target in (peers.DISKS, peers.OTHER))
        devices = {id_text(disks): self.ready_devices(api, disks, 3), id_text(other): self.ready_devices(api, other, 2)}
        mappings = api.mappings()
        self.assertEqual([mapping.SessionId for mapping in mappings], [disks, other])
        self.assertEqual([mapping.TargetName for mapping in mappings], [peers.DISKS, peers.OTHER])
        (instance,) = api.initiators()
        for mapping in mappings:
            self.assertEqual((mapping.InitiatorName, mapping.OSDeviceName), (instance, ADAPTER))
            place = mapping.OSBusNumber, mapping.OSTargetNumber
            known = [(*place, lun.OSLUN) for lun in mapping.LUNList]
            self.assertEqual(sorted(known), sorted(map(numbers, devices[id_text(mapping.SessionId)])))
            self.assertEqual([lun.TargetLUN for lun in mapping.LUNList], [lun_value(l.OSLUN) for l in mapping.LUNList])
        self.assertEqual(len({(m.OSBusNumber, m.OSTargetNumber) for m in mappings}), 2)
        self.log_out(disks)
        self.assertEqual([mapping.SessionId for mapping in api.mappings()], [other])

    @both_widths
    def test_no_mapping_is_no_mapping(self, api):
        self.log_in(api, peers.DISKS, informational=True)
        size, count = ULONG(77), ULONG(77)
        self.assertStatus(api.ReportActiveIScsiTargetMappings(size, count, None), ERROR_SUCCESS)
        self.assertEqual((size.value, count.value), (0, 0))
        for places in ((None, count), (size, None)):
            self.assertStatus(api.ReportActiveIScsiTargetMappings(*places, None), ERROR_INVALID_PARAMETER)

    @both_widths
    def test_the_numbers_of_a_login_are_used(self, api):
        # LUN 3 is not named: it keeps its own number.
        wanted = api.mapping(2, 5, [(70, lun_value(1)), (0, lun_value(2))])
        # What is for output only is not looked at.
        for text in (wanted.InitiatorName, wanted.TargetName, wanted.OSDeviceName):
            put(text, "\u00ff" * 100)
        wanted.SessionId = nobody()
        session = self.log_in(api, peers.DISKS, mapping=wanted).session
        devices = self.ready_devices(api, session, 3)
        self.assertEqual(sorted(map(numbers, devices)), [(2, 5, 0), (2, 5, 3), (2, 5, 70)])
        (mapping,) = api.mappings()
        self.assertEqual((mapping.OSBusNumber, mapping.OSTargetNumber), (2, 5))
        luns = [(lun.OSLUN, lun.TargetLUN) for lun in mapping.LUNList]
        self.assertEqual(sorted(luns), [(0, lun_value(2)), (3, lun_value(3)), (70, lun_value(1))])

    @both_widths
    def test_any_number_may_be_left_open(self, api):
        first = self.log_in(api, peers.DISKS, mapping=api.mapping(ANY, 9, [])).session
        self.ready_devices(api, first, 3)
        second = self.log_in(api, peers.OTHER, mapping=api.mapping(4, ANY, [])).session
        self.ready_devices(api, second, 2)
        places = [(mapping.OSBusNumber, mapping.OSTargetNumber) for mapping in api.mappings()]
        self.assertEqual(places, [(0, 9), (4, 0)])

    @both_widths
    def test_a_place_that_is_taken_or_out_of_range_is_refused(self, api):
        self.log_in(api, peers.DISKS, mapping=api.mapping(1, 1, []))
        self.refused(api, ISDSC_TARGET_MAPPING_UNAVAILABLE, api.mapping(1, 1, []))
        for place in ((256, 0), (0, 256), (0xFFFFFFFE, ANY)):
            self.refused(api, ISDSC_TARGET_MAPPING_OUT_OF_RANGE, api.mapping(*place, []))
        session = self.log_in(api, peers.OTHER, mapping=api.mapping(255, 255, [])).session
        devices = self.ready_devices(api, session, 2)
        self.assertEqual({numbers(device)[:2] for device in devices}, {(255, 255)})


class InUse(Discovered):
    """Logouts while somebody has a disk open."""

    export = "fuse"

    @both_widths
    def test_a_device_that_is_open_keeps_its_session(self, api):
        session = self.log_in(api, peers.DISKS).session
        devices = self.ready_devices(api, session, 3)
        with open(devices[1].LegacyName, "rb", buffering=0) as disk:
            for _ in range(2):
                self.assertStatus(self.library.LogoutIScsiTarget(session), ISDSC_DEVICE_BUSY_ON_SESSION)
            (listed,) = api.sessions()
            self.assertEqual((listed.SessionId, listed.ConnectionCount), (session, 1))
            self.assertEqual(api.devices(session), devices)
            self.assertEqual(len(disk.read(4096)), 4096)
            # Another session is nobody's hindrance.
            other = self.log_in(api, peers.OTHER).session
            self.assertStatus(self.library.LogoutIScsiTarget(other), ERROR_SUCCESS)
        self.log_out(session)
        self.assertEqual(api.sessions(), [])


class Mounted(Discovered):
    """Logouts while a filesystem of the session is mounted."""

    export = "loop"

    def test_a_mount_keeps_its_session(self):
        api = self.library.W
        session = self.log_in(api, peers.DISKS).session
        (device,) = [d for d in self.ready_devices(api, session, 3) if d.ScsiAddress.Lun == 1]
        self.assertRegex(device.LegacyName, "^/dev/loop[0-9]+$")
        subprocess.run(["mkfs.ext4", "-q", "-F", device.LegacyName], check=True)
        place = self.service.path("mounted")
        os.mkdir(place)
        subprocess.run(["mount", device.LegacyName, place], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", place], capture_output=True)
        self.assertStatus(self.library.LogoutIScsiTarget(session), ISDSC_DEVICE_BUSY_ON_SESSION)
        with open(os.path.join(place, "a file"), "wb") as file:
            file.write(b"still there")
            os.fsync(file.fileno())
        self.assertEqual([listed.SessionId for listed in api.sessions()], [session])
        subprocess.run(["umount", place], check=True)
        self.log_out(session)
        self.assertEqual(api.sessions(), [])
