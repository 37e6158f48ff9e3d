"""§2.5, §5: the list of bound devices and volumes, over everything that may happen to them."""

import os
import subprocess

import peers
from case import both_widths
from discovery_library import *
from logged_in import Discovered
from service import Service, until

ALL = ISCSI_ALL_INITIATOR_PORTS
#: Blanks, and letters of one, two and more bytes, of one and of two units.
HARD_NAME = "B\u00e4nde mit  R\u00e4umen \u2602 \U0001f4be"
#: Paths that are none here, as programs for Windows give them too.
NOWHERE = ("/no/such path", "E:", "E:\\", "\\\\.\\PhysicalDrive1", "/dev/null/below", "/" + "x" * 5000)
#: What is there and on no disk of ours.
NOT_OURS = ("/", "/proc", "/dev/null", "/etc/passwd")


class Binding(Discovered):
    """What all of them need: nothing is bound after a test."""

    def setUp(self):
        super().setUp()
        self.addCleanup(lambda: check(self.library.ClearPersistentIScsiDevices()))

    def persistent_disks(self, api, target, count):
        """A session whose login is persistent, with its devices in the order of their LUNs."""
        self.store(api, target)
        session = self.log_in(api, target).session
        devices = self.ready_devices(api, session, count)
        return session, sorted(devices, key=lambda device: device.ScsiAddress.Lun)

    def bound(self, *paths):
        """Exactly these are reported, in both widths."""
        for api in self.library.widths:
            self.assertEqual(api.persistent_devices(), list(paths))

    def bind(self, api, path, status=ERROR_SUCCESS):
        self.assertStatus(api.AddPersistentIScsiDevice(path), status)

    def unbind(self, api, path, status=ERROR_SUCCESS):
        self.assertStatus(api.RemovePersistentIScsiDevice(path), status)


class Devices(Binding):
    """Disks, by their links and nodes."""

    export = "fuse"

    @both_widths
    def test_a_device_is_bound_once_by_whatever_name(self, api):
        _, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
        names = (device.DeviceInterfaceName, device.LegacyName)
        for name in names:
            self.bind(api, name)
            self.bound(name)
            for other in names:
                self.bind(api, other, ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND)
            self.bound(name)
            # By another name of the same.
            self.unbind(api, names[1 - names.index(name)])
            self.bound()
            self.unbind(api, name, ISDSC_DEVICE_NOT_FOUND)

    @both_widths
    def test_several_are_reported_in_the_order_of_their_binding(self, api):
        _, devices = self.persistent_disks(api, peers.DISKS, 3)
        names = [device.DeviceInterfaceName for device in devices][::-1]
        for name in names:
            self.bind(api, name)
        self.bound(*names)
        self.unbind(api, names[1])
        self.bound(names[0], names[2])
        self.assertStatus(self.library.ClearPersistentIScsiDevices(), ERROR_SUCCESS)
        self.bound()

    @both_widths
    def test_a_link_is_reported_as_typed(self, api):
        _, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
        link = self.service.path(HARD_NAME)
        os.symlink(device.DeviceInterfaceName, link)
        self.addCleanup(os.remove, link)
        self.bind(api, link)
        self.bound(link)
        self.bind(api, device.DeviceInterfaceName, ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND)
        self.assertStatus(self.library.SetupPersistentIScsiDevices(), ERROR_SUCCESS)
        self.assertIn(link, api.persistent_devices())
        self.unbind(api, link)

    @both_widths
    def test_only_what_a_persistent_login_brings_back_can_be_bound(self, api):
        session = self.log_in(api, peers.DISKS).session
        (device, *_) = self.ready_devices(api, session, 3)
        not_persistent = ISDSC_DEVICE_NOT_ISCSI_OR_PERSISTENT
        self.bind(api, device.DeviceInterfaceName, not_persistent)
        # One that shows no devices does not bring it back, nor does one of another target.
        self.store(api, peers.OTHER)
        self.store(api, peers.DISKS, informational=True)
        self.bind(api, device.DeviceInterfaceName, not_persistent)
        self.bound()
        self.store(api, peers.DISKS)
        self.bind(api, device.DeviceInterfaceName)
        self.forget(peers.OTHER)

    @both_widths
    def test_what_is_none_of_ours_and_what_is_nowhere_are_told_apart(self, api):
        for path in NOT_OURS:
            self.bind(api, path, ISDSC_DEVICE_NOT_ISCSI_OR_PERSISTENT)
        for path in NOWHERE:
            self.bind(api, path, ISDSC_DEVICE_NOT_FOUND)
        for path in (*NOT_OURS, *NOWHERE):
            self.unbind(api, path, ISDSC_DEVICE_NOT_FOUND)
        for path in (None, "", api.bad_text()):
            self.bind(api, path, ERROR_INVALID_PARAMETER)
            self.unbind(api, path, ERROR_INVALID_PARAMETER)
        self.bound()

    @both_widths
    def test_what_is_refused_leaves_the_list_as_it_is(self, api):
        _, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
        name = device.DeviceInterfaceName
        self.bind(api, name)
        for path in (*NOT_OURS, *NOWHERE, None, "", api.bad_text()):
            self.assertNotEqual(api.AddPersistentIScsiDevice(path), ERROR_SUCCESS)
            self.assertNotEqual(api.RemovePersistentIScsiDevice(path), ERROR_SUCCESS)
        self.bound(name)

    @both_widths
    def test_the_size_is_in_characters_and_an_empty_list_is_size_zero(self, api):
        size = ULONG(WILD)
        self.assertStatus(api.ReportPersistentIScsiDevices(size, None), ERROR_SUCCESS)
        self.assertEqual(size.value, 0)
        self.assertStatus(api.ReportPersistentIScsiDevices(None, None), ERROR_INVALID_PARAMETER)
        _, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
        link = self.service.path(HARD_NAME)
        os.symlink(device.LegacyName, link)
        self.addCleanup(os.remove, link)
        self.bind(api, link)
        width = ctypes.sizeof(api.unit)
        needed = ctypes.sizeof(api.text(link)) // width + 1
        for room, status in ((0, 122), (needed - 1, 122), (needed, 0), (needed + 5, 0)):
            buffer, size = Buffer(room * width), ULONG(room)
            self.assertStatus(api.ReportPersistentIScsiDevices(size, buffer.at(api.unit)), status)
            self.assertEqual(size.value, needed)
            buffer.check_guard()
            if status:
                buffer.check_untouched()

    @both_widths
    def test_the_list_does_not_follow_sessions_and_logins(self, api):
        session, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
        name = device.DeviceInterfaceName
        self.bind(api, name)
        check(api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None))
        self.bound(name)
        self.log_out(session)
        self.assertFalse(os.path.exists(name))
        self.bound(name)
        # It is away, and is bound all the same.
        self.bind(api, name, ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND)
        self.unbind(api, name)
        self.unbind(api, name, ISDSC_DEVICE_NOT_FOUND)
        self.bound()

    @both_widths
    def test_a_device_that_is_away_is_unbound_by_where_it_was_too(self, api):
        session, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
        link = self.service.path("link")
        os.symlink(device.DeviceInterfaceName, link)
        self.addCleanup(os.remove, link)
        where = os.path.realpath(link)
        self.bind(api, link)
        self.log_out(session)
        self.unbind(api, where)
        self.bound()

    def test_the_list_cannot_be_told_or_changed_without_a_service(self):
        self.service.stop()
        try:
            for api in self.library.widths:
                size = ULONG(77)
                self.assertStatus(api.ReportPersistentIScsiDevices(size, None), ISDSC_SERVICE_NOT_RUNNING)
                self.assertEqual(size.value, 77)
                self.bind(api, "/", ISDSC_SERVICE_NOT_RUNNING)
                self.unbind(api, "/", ISDSC_SERVICE_NOT_RUNNING)
            for export in ("SetupPersistentIScsiDevices", "SetupPersistentIScsiVolumes", "ClearPersistentIScsiDevices"):
                self.assertStatus(getattr(self.library, export)(), ISDSC_SERVICE_NOT_RUNNING)
        finally:
            self.service.start()


class Setup(Binding):
    """SetupPersistentIScsiDevices, which SetupPersistentIScsiVolumes is too, and ClearPersistentIScsiDevices."""

    export = "fuse"

    def each(self):
        """Both names of the one routine."""
        return self.library.SetupPersistentIScsiDevices, self.library.SetupPersistentIScsiVolumes

    def test_all_disks_that_come_back_are_bound_and_no_others(self):
        api = self.library.W
        _, devices = self.persistent_disks(api, peers.DISKS, 3)
        self.ready_devices(api, self.log_in(api, peers.OTHER).session, 2)
        names = [device.DeviceInterfaceName for device in devices]
        for setup in self.each():
            self.assertStatus(setup(), ERROR_SUCCESS)
            self.assertEqual(sorted(api.persistent_devices()), sorted(names))
            # Again it is the same list.
            again = api.persistent_devices()
            self.assertStatus(setup(), ERROR_SUCCESS)
            self.bound(*again)
            self.assertStatus(self.library.ClearPersistentIScsiDevices(), ERROR_SUCCESS)
            self.bound()
        self.assertEqual([login.TargetName for login in api.persistent_logins()], [peers.DISKS], "logins stay")

    def test_informational_sessions_give_nothing(self):
        api = self.library.W
        self.store(api, peers.DISKS)
        self.log_in(api, peers.DISKS, informational=True)
        for setup in self.each():
            self.assertStatus(setup(), ERROR_SUCCESS)
            self.bound()

    def test_the_list_is_replaced(self):
        api = self.library.W
        session, devices = self.persistent_disks(api, peers.DISKS, 3)
        _, others = self.persistent_disks(api, peers.OTHER, 2)
        for setup in self.each():
            self.assertStatus(setup(), ERROR_SUCCESS)
            self.assertEqual(len(api.persistent_devices()), 5)
            # A login that is no longer stored takes its disks off, at the next time.
            self.forget(peers.OTHER)
            self.assertEqual(len(api.persistent_devices()), 5)
            self.assertStatus(setup(), ERROR_SUCCESS)
            names = [device.DeviceInterfaceName for device in devices]
            self.assertEqual(sorted(api.persistent_devices()), sorted(names))
            self.store(api, peers.OTHER)
        # So does a session that has ended.
        self.log_out(session)
        self.assertEqual(len(api.persistent_devices()), 3)
        self.assertStatus(setup(), ERROR_SUCCESS)
        names = [device.DeviceInterfaceName for device in others]
        self.assertEqual(sorted(api.persistent_devices()), sorted(names))
        self.forget(peers.OTHER)

    def test_with_nothing_there_the_list_is_empty(self):
        api = self.library.W
        for setup in (*self.each(), self.library.ClearPersistentIScsiDevices):
            self.assertStatus(setup(), ERROR_SUCCESS)
            self.bound()
        for setup in self.each():
            session, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
            self.bind(api, device.DeviceInterfaceName)
            self.log_out(session)
            self.bound(device.DeviceInterfaceName)
            self.assertStatus(setup(), ERROR_SUCCESS)
            self.bound()

    def test_clearing_takes_what_is_away_too(self):
        api = self.library.W
        session, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
        self.bind(api, device.DeviceInterfaceName)
        self.log_out(session)
        for _ in range(2):
            self.assertStatus(self.library.ClearPersistentIScsiDevices(), ERROR_SUCCESS)
            self.bound()


class Restarts(Binding):
    """The list outlives the service, and what is on it comes back."""

    portals = ()

    @both_widths
    def test_a_bound_device_is_back_after_a_stop_and_a_kill(self, api):
        with Service("fuse") as service:
            self.discover(peers.OPEN)
            _, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
            link, content = service.path(HARD_NAME), f"{api} was here".encode().ljust(512)
            os.symlink(device.DeviceInterfaceName, link)
            with open(link, "r+b", buffering=0) as disk:
                disk.write(content)
                os.fsync(disk.fileno())
            self.bind(api, link)
            for end in (service.stop, service.kill):
                end()
                service.start()
                self.bound(link)

                def back():
                    with open(link, "rb", buffering=0) as disk:
                        return disk.read(512) == content

                until("the device", back)
                self.bind(api, link, ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND)
            for session in api.sessions():
                self.log_out(session.SessionId)
            self.doCleanups()

    @both_widths
    def test_what_does_not_come_back_stays_on_the_list_until_it_is_taken_off(self, api):
        with Service("fuse") as service:
            with peers.Relay(peers.OPEN) as relay:
                self.add_static(api, peers.DISKS, relay.portal)
                self.store(api, peers.DISKS, api.portal(*relay.portal))
                session = self.log_in(api, peers.DISKS).session
                first, second, _ = (d.DeviceInterfaceName for d in self.ready_devices(api, session, 3))
                for name in (first, second):
                    self.bind(api, name)
                service.stop()
                relay.refuse()
                service.start()
                self.bound(first, second)
                self.assertFalse(os.path.exists(first))
                self.bind(api, first, ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND)
                self.unbind(api, first)
                self.bound(second)
                relay.accept()
                until("the device", lambda: os.path.exists(second))
                self.bound(second)
                service.restart()
                self.bound(second)
                check(self.library.ClearPersistentIScsiDevices())
                service.restart()
                self.bound()
                self.forget(peers.DISKS)


class Volumes(Binding):
    """Filesystems, by their mount points."""

    portals = ()

    def run_tool(self, *command):
        """Runs a program of the system, which must succeed."""
        done = subprocess.run(command, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)

    def mounted(self, service, device, name):
        """A new filesystem on a disk, mounted below the service's directory; gives the mount point."""
        self.run_tool("mkfs.ext4", "-q", "-F", device.LegacyName)
        place = os.path.realpath(service.path(name))
        os.mkdir(place)
        self.run_tool("mount", device.LegacyName, place)
        self.addCleanup(subprocess.run, ["umount", "-l", place], capture_output=True)
        return place

    @both_widths
    def test_a_mount_point_is_bound_by_its_path_and_by_a_link(self, api):
        with Service("loop") as service:
            self.discover(peers.OPEN)
            session, devices = self.persistent_disks(api, peers.DISKS, 3)
            place = self.mounted(service, devices[0], HARD_NAME)
            link = service.path("a link")
            os.symlink(place, link)
            for path, other in ((place, link), (link, place)):
                self.bind(api, path)
                self.bound(path)
                self.bind(api, other, ISDSC_DEVICE_ALREADY_PERSISTENTLY_BOUND)
                self.unbind(api, other)
                self.bound()
            # What is inside of it is none, and a disk beside it is another.
            inside = os.path.join(place, "inside")
            os.mkdir(inside)
            self.bind(api, inside, ISDSC_DEVICE_NOT_ISCSI_OR_PERSISTENT)
            self.bind(api, place)
            self.bind(api, devices[1].LegacyName)
            self.bound(place, devices[1].LegacyName)
            self.assertStatus(self.library.LogoutIScsiTarget(session), ISDSC_DEVICE_BUSY_ON_SESSION)
            check(self.library.ClearPersistentIScsiDevices())
            self.assertTrue(os.path.ismount(place), "unbinding takes nothing down")
            self.doCleanups()

    @both_widths
    def test_setting_up_finds_volumes_and_the_other_disks(self, api):
        with Service("loop") as service:
            self.discover(peers.OPEN)
            _, devices = self.persistent_disks(api, peers.DISKS, 3)
            place = self.mounted(service, devices[1], HARD_NAME)
            others = [devices[0].DeviceInterfaceName, devices[2].DeviceInterfaceName]
            for setup in (self.library.SetupPersistentIScsiVolumes, self.library.SetupPersistentIScsiDevices):
                self.assertStatus(setup(), ERROR_SUCCESS)
                self.assertEqual(sorted(api.persistent_devices()), sorted([place, *others]))
            self.doCleanups()

    @both_widths
    def test_a_bound_volume_is_mounted_again_at_the_next_start(self, api):
        with Service("loop") as service:
            self.discover(peers.OPEN)
            _, (device, *_) = self.persistent_disks(api, peers.DISKS, 3)
            place = self.mounted(service, device, HARD_NAME)
            marker = os.path.join(place, "marker")
            with open(marker, "w", encoding="utf-8") as file:
                file.write(HARD_NAME)
            self.bind(api, place)
            service.stop()
            self.assertFalse(os.path.ismount(place), "it is unmounted before its disk goes")
            service.start()
            self.bound(place)
            until("the volume", lambda: os.path.exists(marker))
            with open(marker, encoding="utf-8") as file:
                self.assertEqual(file.read(), HARD_NAME)
            (session,) = api.sessions()
            self.assertStatus(self.library.LogoutIScsiTarget(session.SessionId), ISDSC_DEVICE_BUSY_ON_SESSION)
            self.unbind(api, place)
            self.bound()
            self.run_tool("umount", place)
            self.log_out(session.SessionId)
            self.doCleanups()
