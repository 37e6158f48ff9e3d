"""§1.2, §1.10, §6 row 33: what callers may do who are neither root nor the daemon's own user."""

import json
import os

import peers
from discovery_library import *
from logged_in import Discovered, daemon_status

ALL = ISCSI_ALL_INITIATOR_PORTS
#: The user `nobody`.
STRANGER = 65534


def as_stranger(calls):
    """Makes the calls, `{name: call}`, in a process of another user; gives what each returned.

    A child of this process, which has the library loaded and has used it already.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Whatever happens, this must not go on as the tests.
        try:
            os.setgroups([])
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
            told = json.dumps({name: call() for name, call in calls.items()})
        except BaseException as error:  # pylint: disable=broad-except
            told = json.dumps({"failed": repr(error)})
        os.write(writer, told.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        told = json.loads(pipe.read())
    os.waitpid(child, 0)
    assert "failed" not in told, told["failed"]
    return told


class Stranger(Discovered):
    """Another user looks, and changes nothing."""

    def setUp(self):
        super().setUp()
        # Ours is nobody else's to enter.
        os.chmod(self.service.directory, 0o755)
        self.done = self.log_in(self.library.W, peers.DISKS, informational=True)
        self.store(self.library.W, peers.DISKS)

    def changes_of_width(self, api):
        """All exports with text that change something or talk to a target."""
        session, connection = self.done.session, self.done.connection
        info = ike_information(ID_FQDN, b"a.example", b"key", 1)
        added = (session, None, ALL, None, 0, None, 0, None, connection)
        calls = {
            "LoginIScsiTarget": lambda: api.login(peers.OTHER).status,
            "LoginIScsiTarget, persistent": lambda: api.login(peers.OTHER, persistent=True).status,
            "AddIScsiConnection": lambda: api.AddIScsiConnection(*added),
            "RemoveIScsiPersistentTarget": lambda: api.RemoveIScsiPersistentTarget(None, ALL, peers.DISKS, None),
            "AddPersistentIScsiDevice": lambda: api.AddPersistentIScsiDevice("/"),
            "RemovePersistentIScsiDevice": lambda: api.RemovePersistentIScsiDevice("/"),
            "SetIScsiIKEInfo": lambda: api.SetIScsiIKEInfo(None, ALL, info, True),
            "SetIScsiTunnelModeOuterAddress": lambda: api.SetIScsiTunnelModeOuterAddress(
                None, ALL, None, "192.0.2.1", True
            ),
        }
        return {f"{name}{api}": call for name, call in calls.items()}

    def changes(self):
        """The same of those without."""
        session, connection = self.done.session, self.done.connection
        library = self.library
        return {
            "LogoutIScsiTarget": lambda: library.LogoutIScsiTarget(session),
            "RemoveIScsiConnection": lambda: library.RemoveIScsiConnection(session, connection),
            "SetupPersistentIScsiDevices": library.SetupPersistentIScsiDevices,
            "SetupPersistentIScsiVolumes": library.SetupPersistentIScsiVolumes,
            "ClearPersistentIScsiDevices": library.ClearPersistentIScsiDevices,
            "SendScsiInquiry": lambda: library.inquiry(session).status,
            "SendScsiReadCapacity": lambda: library.read_capacity(session).status,
            "SendScsiReportLuns": lambda: library.report_luns(session).status,
            "SetIScsiInitiatorCHAPSharedSecret": lambda: library.SetIScsiInitiatorCHAPSharedSecret(12, b"x" * 12),
            "SetIScsiInitiatorCHAPSharedSecret, none": lambda: library.SetIScsiInitiatorCHAPSharedSecret(0, None),
            "SetIScsiGroupPresharedKey": lambda: library.SetIScsiGroupPresharedKey(3, b"key", True),
        }

    def state(self):
        """All that the calls could have changed."""
        api = self.library.W
        reports = (api.sessions(), api.persistent_logins(), api.persistent_devices(), api.mappings())
        told = daemon_status()
        kept = (told["settings"], told["chap_secret_set"], told["group_preshared_key_set"])
        return repr(reports), repr(kept)

    def test_changes_are_refused_and_change_nothing(self):
        before = self.state()
        calls = {**self.changes(), **self.changes_of_width(self.library.A), **self.changes_of_width(self.library.W)}
        told = {name: name_of(status) for name, status in as_stranger(calls).items()}
        self.assertEqual(told, dict.fromkeys(calls, name_of(ERROR_ACCESS_DENIED)))
        self.assertEqual(self.state(), before)

    def test_reports_are_told_to_everybody(self):
        asked = ike_information(ID_FQDN, b"a.example")
        for api in self.library.widths:
            calls = {
                "GetIScsiSessionList": lambda api=api: repr(api.sessions()),
                "GetDevicesForIScsiSession": lambda api=api: repr(api.devices(self.done.session)),
                "ReportActiveIScsiTargetMappings": lambda api=api: repr(api.mappings()),
                "ReportIScsiPersistentLogins": lambda api=api: repr(api.persistent_logins()),
                "ReportPersistentIScsiDevices": lambda api=api: repr(api.persistent_devices()),
                "GetIScsiSessionListEx": lambda: repr(self.library.sessions_ex()),
                "GetIScsiIKEInfo": lambda api=api: name_of(api.GetIScsiIKEInfo(None, ALL, None, asked)),
            }
            own = {name: call() for name, call in calls.items()}
            self.assertIn(peers.DISKS, own["GetIScsiSessionList"])
            self.assertEqual(as_stranger(calls), own)
