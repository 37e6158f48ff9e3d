"""What the modules of §2.2, §2.8 and §2.9 share: how they ask for all that is known, and leave nothing of it behind.

`everything` is what all reports of discovery say, for tests whose call must change nothing.
"""

import contextlib
import json
import os

from case import LIBRARY, Case
from discovery_library import *

#: Any initiator, any port: as most callers give them.
ANY = (None, ISCSI_ANY_INITIATOR_PORT)
#: The longest name of a target, and one character more.
LONGEST_NAME = "iqn.2026-11.test.abi:" + "x" * (MAX_ISCSI_NAME_LEN - 21)
OVER_LONG_NAME = LONGEST_NAME + "x"


def about(api, target):
    """All that `GetIScsiTargetInformation` and `ReportIScsiTargetPortals` tell of a target."""
    mechanisms = api.mechanisms(target)
    return {
        "portals": api.target_portals(target),
        **{mechanism: instance(api, target, mechanism) for mechanism in mechanisms},
    }


def instance(api, target, mechanism):
    """What one discovery mechanism tells of it."""
    return Value(
        protocol=number(api, target, mechanism, ProtocolType),
        alias=api.information_text(target, mechanism, TargetAlias),
        groups=api.portal_groups(target, mechanism),
        mapping=api.information_struct(target, mechanism, PersistentTargetMappings, api.ISCSI_TARGET_MAPPING),
        initiator=api.information_text(target, mechanism, InitiatorName),
        flags=number(api, target, mechanism, TargetFlags),
        options=api.information_struct(target, mechanism, LoginOptions, ISCSI_LOGIN_OPTIONS),
    )


def number(api, target, mechanism, info_class):
    """A class of one number, which takes four bytes."""
    buffer = api.information(target, mechanism, info_class)
    assert buffer.used == 4, buffer.used
    return buffer.array(ULONG, 1)[0]


def everything(*hidden):
    """What all reports of discovery say in both widths; of `hidden` targets, which no list has, too."""
    return [_everything(api, hidden) for api in LIBRARY.widths]


def _everything(api, hidden):
    targets = api.targets()
    return {
        "portals": api.send_target_portals(),
        "portals with options": api.send_target_portals_ex(),
        "targets": {name: about(api, name) for name in [*targets, *hidden]},
        "iSNS": api.isns_servers(),
        "RADIUS": api.radius_servers(),
        "logins": api.persistent_logins(),
    }


def forget_everything():
    """Ends all sessions, and removes all logins, portals, targets and servers."""
    api = LIBRARY.W
    for session in api.sessions():
        check(LIBRARY.LogoutIScsiTarget(session.SessionId))
    for login in api.persistent_logins():
        portal = api.portal(login.TargetPortal.Address, login.TargetPortal.Socket)
        given = (login.InitiatorInstance, login.InitiatorPortNumber, login.TargetName, portal)
        check(api.RemoveIScsiPersistentTarget(*given))
    for stored in api.send_target_portals():
        portal = api.portal(stored.Address, stored.Socket)
        check(api.RemoveIScsiSendTargetPortal(stored.InitiatorName, stored.InitiatorPortNumber, portal))
    for target in api.targets():
        check(api.RemoveIScsiStaticTarget(target))
    for server in api.isns_servers():
        check(api.RemoveISNSServer(server))
    for server in api.radius_servers():
        check(api.RemoveRadiusServer(server))
    check(LIBRARY.SetIScsiInitiatorRADIUSSharedSecret(0, None))


def without_privilege(call):
    """What `call()`, whose answer JSON has, gives to a user who may change nothing: asked in a child, as root."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.write(writer, json.dumps(call()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answer:
        told = answer.read()
    _, status = os.waitpid(child, 0)
    assert status == 0 and told, f"the child ended with {status}"
    return json.loads(told)


class Known(Case):
    """Each test begins and ends with a daemon that knows nothing."""

    def setUp(self):
        self.addCleanup(forget_everything)

    def assertUnchanged(self, before, *hidden):
        """All reports say what they said."""
        for width, was, now in zip("AW", before, everything(*hidden)):
            for report, content in was.items():
                self.assertEqual(now[report], content, f"{report}, {width}")

    @contextlib.contextmanager
    def unchanged(self, *hidden):
        """What happens meanwhile changes nothing that a report tells. It is not the call of the reports that counts."""
        with unrecorded():
            before = everything(*hidden)
        yield
        with unrecorded():
            self.assertUnchanged(before, *hidden)

    def refused(self, status, export, *given):
        """A call is refused with this status."""
        told = export(*given)
        self.assertEqual(name_of(told), name_of(status), (export, given))

    def discover(self, api, where, options=None, flags=0):
        """Adds a portal, which must answer."""
        self.assertStatus(
            api.AddIScsiSendTargetPortal(*ANY, options, flags, api.portal(*where)), ERROR_SUCCESS
        )

    def ends(self):
        """The ends of the daemon, each followed by a new start on what it left."""
        for end in (self.service.stop, self.service.kill):
            end()
            self.service.start()
            yield end.__name__
