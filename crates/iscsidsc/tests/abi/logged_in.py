"""What the modules of sessions share: `Discovered`, whose daemon knows the targets of some portals.

    class Sessions(Discovered):
        portals = (peers.OPEN, peers.GUARDED)            # peers.OPEN unless told

        @both_widths
        def test_a_session_ends(self, api):
            session = self.log_in(api, peers.DISKS).session
            self.assertStatus(self.library.LogoutIScsiTarget(session), ERROR_SUCCESS)
"""

import json
import os
import subprocess

import peers
from case import Case
from discovery_library import *
from service import until

#: An id that no session and no connection has.
NOBODY = (0x1234, 0x5678)
#: What stands in an id before a call that must not touch it.
OLD_ID = (0xA5A5A5A5A5A5A5A5, 0x5A5A5A5A5A5A5A5A)
#: What no text is as long as: a name, an instance, an address.
TOO_LONG = "iqn.2026-11.test.abi:" + "x" * 4096


def nobody():
    """The id of nobody, in memory of its own."""
    return ISCSI_UNIQUE_SESSION_ID(*NOBODY)


def daemon_status():
    """What `hawser status` says of the daemon: it tells of settings for which the library has no report."""
    command = [os.environ["HAWSER"], "status", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)


def is_ready(device):
    """Whether clients take a device for usable (§2.3)."""
    return device.StorageDeviceNumber.DeviceNumber != 0xFFFFFFFF


class Discovered(Case):
    """Each test finds the targets of `portals` known, and leaves no session, login, binding or secret behind."""

    portals = (peers.OPEN,)

    def setUp(self):
        for where in self.portals:
            self.discover(where)

    def discover(self, where):
        """Adds a send-targets portal for the test."""
        api = self.library.W
        given = (None, ISCSI_ANY_INITIATOR_PORT)
        check(api.AddIScsiSendTargetPortal(*given, None, 0, api.portal(*where)))
        self.addCleanup(api.RemoveIScsiSendTargetPortal, *given, api.portal(*where))

    def log_in(self, api, target, portal=None, **more):
        """A login that must succeed, ended after the test; `more` is that of `Api.login`."""
        done = api.login(target, portal, **more)
        self.assertStatus(done.status, ERROR_SUCCESS)
        self.addCleanup(self.log_out, done.session)
        return done

    def log_out(self, session):
        """Ends a session that the test may have ended itself, once nobody uses its devices any more."""
        ended = (ERROR_SUCCESS, ISDSC_INVALID_SESSION_ID)
        until("the session to end", lambda: self.library.LogoutIScsiTarget(session) in ended)

    def store(self, api, target, portal=None, **more):
        """A persistent login that must be stored, removed after the test."""
        done = api.login(target, portal, persistent=True, **more)
        self.assertStatus(done.status, ERROR_SUCCESS)
        self.addCleanup(self.forget, target)
        return done

    def forget(self, target):
        """Removes the persistent logins of a target, if there are any."""
        removed = self.library.W.RemoveIScsiPersistentTarget(None, ISCSI_ALL_INITIATOR_PORTS, target, None)
        check(removed, ISDSC_TARGET_NOT_FOUND)

    def add_static(self, api, target, *portals):
        """A static target with these portals, known for the test."""
        group = api.portal_group(*(api.portal(*where) for where in portals)) if portals else None
        check(api.AddIScsiStaticTarget(target, None, 0, False, None, None, group))
        self.addCleanup(api.RemoveIScsiStaticTarget, target)

    def session(self, api, session):
        """The session as it is listed."""
        (found,) = [listed for listed in api.sessions() if listed.SessionId == session]
        return found

    def ready_devices(self, api, session, count):
        """Polls, as clients do, until so many devices of a session are ready; gives them."""

        def ready():
            found = [device for device in api.devices(session) if is_ready(device)]
            return found if len(found) == count else None

        return until(f"{count} devices", ready)
