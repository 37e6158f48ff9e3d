"""§2.2, second half: static targets, the list of targets, what is told of one, and where it is reached."""

import os
import struct

import peers
from case import both_widths
from discovery_library import *
from discovery_peer import DiscoveryPeer
from known import ANY, LONGEST_NAME, OVER_LONG_NAME, Known, about, everything, instance, number, without_privilege

NAME, MORE = "iqn.2026-11.test.abi:static-one", "iqn.2026-11.test.abi:static-two"
NOBODY = "iqn.2026-11.test.abi:of-nobody"
TOLD = "iqn.2026-11.test.abi:told"
STATIC = "Static:"
SECRET = b"secret-of-peer-4"
#: Three portal groups with 1, 2 and 3 portals.
GROUPS = [
    ("192.0.2.11", 3260, 1),
    ("192.0.2.12", 3261, 2),
    ("2001:db8::12", 3260, 2),
    ("192.0.2.13", 3262, 9),
    ("198.51.100.13", 1, 9),
    ("san.example", 65535, 9),
]
HIDE, MERGE = ISCSI_TARGET_FLAG_HIDE_STATIC_TARGET, ISCSI_TARGET_FLAG_MERGE_TARGET_INFORMATION
RAW_NAME = b"m\xfcller \xff\xfe"


def places(portals):
    """Addresses and sockets."""
    return [(portal.Address, portal.Socket) for portal in portals]


def static(api, name=NAME, **more):
    """The status of adding one: alias, flags, persist, mapping, options, portals (`None` for NULL)."""
    portals = more.pop("portals", None)
    group = None if portals is None else api.portal_group(*portals)
    given = [more.pop(word, default) for word, default in (("alias", None), ("flags", 0), ("persist", False))]
    status = api.AddIScsiStaticTarget(name, *given, more.pop("mapping", None), more.pop("options", None), group)
    if more:
        raise TypeError(f"not of a static target: {more}")
    return status


class Static(Known):
    """AddIScsiStaticTarget: what it stores."""

    def tearDown(self):
        # Hidden ones are in no list.
        for name in (NAME, MORE):
            check(self.library.RemoveIScsiStaticTargetW(name), ISDSC_TARGET_NOT_FOUND)

    def add(self, api, name=NAME, **more):
        """Adds one."""
        self.assertStatus(static(api, name, **more), ERROR_SUCCESS)

    def everything_given(self, api, **more):
        """All that can be said of a target."""
        given = {
            "alias": "Alias \u00fc",
            "persist": True,
            "mapping": api.mapping(1, 2, [(0, lun_value(1)), (7, lun_value(3))]),
            "options": login_options(
                LoginFlags=ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED,
                AuthType=ISCSI_CHAP_AUTH_TYPE,
                MaximumConnections=4,
                Username=RAW_NAME,
                Password=SECRET,
            ),
            "portals": [api.portal("192.0.2.1", 3260, "first"), api.portal("san.example", 0)],
        }
        return {**given, **more}

    @both_widths
    def test_with_a_name_alone_it_is_listed_and_reached_at_a_given_portal(self, api):
        self.add(api, peers.DISKS)
        self.assertEqual(api.targets(), [peers.DISKS])
        self.assertEqual(api.mechanisms(peers.DISKS), [STATIC])
        told = instance(api, peers.DISKS, STATIC)
        self.assertEqual((told.protocol, told.alias, told.flags), (ISCSI_TCP_PROTOCOL_TYPE, "", 0))
        self.assertEqual((told.groups, told.mapping, told.options), ([], None, None))
        self.assertEqual([told.initiator], api.initiators())
        self.assertStatus(api.login(peers.DISKS, informational=True).status, ISDSC_NO_PORTAL_SPECIFIED)
        portal = api.portal(*peers.OPEN)
        self.assertStatus(api.login(peers.DISKS, portal, informational=True).status, ERROR_SUCCESS)

    @both_widths
    def test_all_that_is_said_is_told(self, api):
        self.add(api, **self.everything_given(api))
        for reader in self.library.widths:
            told = instance(reader, NAME, STATIC)
            self.assertEqual(told.alias, "Alias \u00fc")
            ((first, second),) = told.groups
            self.assertEqual(places([first, second]), [("192.0.2.1", 3260), ("san.example", 3260)])
            self.assertEqual((first.SymbolicName, second.SymbolicName), ("first", "san.example"))
            self.assertEqual([told.mapping.InitiatorName], reader.initiators())
            self.assertEqual((told.mapping.TargetName, told.mapping.OSDeviceName), (NAME, ""))
            self.assertEqual((told.mapping.OSBusNumber, told.mapping.OSTargetNumber), (1, 2))
            luns = [(lun.OSLUN, lun.TargetLUN) for lun in told.mapping.LUNList]
            self.assertEqual(luns, [(0, lun_value(1)), (7, lun_value(3))])
            self.assertEqual(told.mapping.SessionId, ISCSI_UNIQUE_SESSION_ID())
            self.assertEqual(told.options.Username, RAW_NAME)
            self.assertEqual((told.options.Password, told.options.PasswordLength), (b"", 0))
            self.assertEqual((told.options.MaximumConnections, told.options.AuthType), (4, ISCSI_CHAP_AUTH_TYPE))
            self.assertEqual(told.options.LoginFlags, ISCSI_LOGIN_FLAG_MULTIPATH_ENABLED)
            bits = ISCSI_LOGIN_OPTIONS_USERNAME | ISCSI_LOGIN_OPTIONS_PASSWORD | ISCSI_LOGIN_OPTIONS_AUTH_TYPE
            bits |= ISCSI_LOGIN_OPTIONS_MAXIMUM_CONNECTIONS
            self.assertEqual(told.options.InformationSpecified, bits)
            self.assertEqual(places(reader.target_portals(NAME)), places([first, second]))

    @both_widths
    def test_any_bus_and_target_and_no_luns_may_be_mapped(self, api):
        self.add(api, mapping=api.mapping(0xFFFFFFFF, 0xFFFFFFFF, []))
        told = instance(api, NAME, STATIC).mapping
        self.assertEqual((told.OSBusNumber, told.OSTargetNumber), (0xFFFFFFFF, 0xFFFFFFFF))
        self.assertEqual((told.LUNCount, told.LUNList), (0, []))

    @both_widths
    def test_texts_and_session_of_a_mapping_are_not_read(self, api):
        mapping = api.mapping(3, 4, [(0, 0)])
        for field in (mapping.InitiatorName, mapping.TargetName, mapping.OSDeviceName):
            field[:] = [0xFF if api is self.library.A else 0xD800] * len(field)
        mapping.SessionId = ISCSI_UNIQUE_SESSION_ID(WILD, WILD)
        self.add(api, mapping=mapping)
        told = instance(api, NAME, STATIC).mapping
        self.assertEqual((told.TargetName, told.OSBusNumber), (NAME, 3))
        self.assertEqual(told.SessionId, ISCSI_UNIQUE_SESSION_ID())

    @both_widths
    def test_it_causes_no_traffic(self, api):
        with DiscoveryPeer() as peer:
            self.add(api, portals=[api.portal(*peer.portal)])
            self.assertEqual(api.targets(), [NAME])
            self.assertEqual(places(api.target_portals(NAME)), [peer.portal])
            self.assertEqual(peer.sources, [])

    @both_widths
    def test_a_group_without_portals_is_none(self, api):
        self.add(api, portals=[api.portal("192.0.2.1")])
        self.add(api, flags=MERGE, portals=[])
        self.assertEqual(places(api.target_portals(NAME)), [("192.0.2.1", 3260)])
        self.add(api, portals=[])
        self.assertEqual(api.target_portals(NAME), [])
        self.assertEqual(api.portal_groups(NAME, STATIC), [])

    @both_widths
    def test_its_options_are_those_of_logins_without_their_own(self, api):
        right = login_options(
            AuthType=ISCSI_CHAP_AUTH_TYPE, Username=peers.CHAP_USER, Password=peers.CHAP_SECRET
        )
        wrong = login_options(
            AuthType=ISCSI_CHAP_AUTH_TYPE, Username=peers.CHAP_USER, Password=peers.CHAP_SECRET[::-1]
        )
        portals = [api.portal(*peers.GUARDED)]
        for options, status in (
            (None, ISDSC_AUTHENTICATION_FAILURE),
            (wrong, ISDSC_AUTHENTICATION_FAILURE),
            (right, ERROR_SUCCESS),
        ):
            self.add(api, peers.CHAP, options=options, portals=portals, persist=True)
            self.assertStatus(api.login(peers.CHAP, informational=True).status, status)
        for _ in self.ends():
            done = api.login(peers.CHAP, informational=True)
            self.assertStatus(done.status, ERROR_SUCCESS)
            # Those of the login count in their place.
            done = api.login(peers.CHAP, informational=True, options=wrong)
            self.assertIn(done.status, (ISDSC_AUTHENTICATION_FAILURE, ISDSC_TARGET_ALREADY_LOGGED_IN))

    @both_widths
    def test_what_is_specified_but_empty_is_told_as_such(self, api):
        name = login_options(AuthType=ISCSI_CHAP_AUTH_TYPE, MaximumConnections=2, Username=b"")
        null = login_options(Username=b"", Password=b"")
        null.Username = null.Password = None
        self.add(api, options=name, persist=True)
        self.add(api, MORE, options=null, persist=True)
        for _ in self.ends():
            for target, bits in ((NAME, 0xA4), (MORE, 0x60)):
                told = instance(api, target, STATIC).options
                self.assertEqual(told.InformationSpecified, bits)
                self.assertEqual((told.UsernameLength, told.PasswordLength), (0, 0))

    @both_widths
    def test_again_it_is_overwritten_completely(self, api):
        self.add(api, **self.everything_given(api))
        self.add(api)
        self.assertEqual(api.targets(), [NAME])
        told = instance(api, NAME, STATIC)
        self.assertEqual((told.alias, told.flags), ("", 0))
        self.assertEqual((told.groups, told.mapping, told.options), ([], None, None))

    @both_widths
    def test_merged_it_keeps_what_is_not_given(self, api):
        self.add(api, **self.everything_given(api))
        before = about(api, NAME)
        # An empty alias is none.
        for alias in (None, ""):
            self.add(api, flags=MERGE, persist=True, alias=alias)
            after = about(api, NAME)
            self.assertEqual(after[STATIC].flags, MERGE)
            after[STATIC].flags = 0
            self.assertEqual(after, before)

    @both_widths
    def test_merged_what_is_given_replaces_and_portals_are_united(self, api):
        self.add(api, **self.everything_given(api))
        # The same place by another name is not another portal.
        portals = [api.portal("SAN.example", 3260), api.portal("192.0.2.1", 3261)]
        self.add(api, flags=MERGE, portals=portals)
        told = instance(api, NAME, STATIC)
        self.assertEqual(places(told.groups[0]), [("192.0.2.1", 3260), ("san.example", 3260), ("192.0.2.1", 3261)])
        self.assertEqual(told.alias, "Alias \u00fc")
        self.add(api, flags=MERGE, alias="other")
        self.add(api, flags=MERGE, mapping=api.mapping(9, 9, []))
        self.add(api, flags=MERGE, options=login_options(DefaultTime2Wait=5))
        now = instance(api, NAME, STATIC)
        self.assertEqual(now.alias, "other")
        self.assertEqual((now.mapping.OSBusNumber, now.mapping.LUNList), (9, []))
        self.assertEqual(now.options.InformationSpecified, ISCSI_LOGIN_OPTIONS_DEFAULT_TIME_2_WAIT)
        self.assertEqual(now.groups, told.groups)

    @both_widths
    def test_merged_with_nothing_it_is_new(self, api):
        self.add(api, **self.everything_given(api, flags=MERGE))
        self.assertEqual(instance(api, NAME, STATIC).alias, "Alias \u00fc")
        self.assertEqual(len(api.target_portals(NAME)), 2)

    @both_widths
    def test_merged_a_target_has_256_portals_at_most(self, api):
        self.add(api, portals=[api.portal("192.0.2.1", 1 + port) for port in range(200)])
        more = [api.portal("192.0.2.2", 1 + port) for port in range(57)]
        with self.unchanged():
            self.assertStatus(static(api, flags=MERGE, portals=more), ERROR_INVALID_PARAMETER)
        self.add(api, flags=MERGE, portals=more[:56])
        self.assertEqual(len(api.target_portals(NAME)), 256)

    @both_widths
    def test_a_hidden_one_is_not_listed_but_told_of(self, api):
        self.add(api, flags=HIDE, alias="hidden")
        self.add(api, MORE)
        self.assertEqual(api.targets(), [MORE])
        self.assertEqual(number(api, NAME, STATIC, TargetFlags), HIDE)
        self.assertEqual(instance(api, NAME, None).alias, "hidden")
        self.add(api, flags=0)
        self.assertEqual(api.targets(), [NAME, MORE])
        self.add(api, flags=HIDE)
        self.assertEqual(api.targets(), [MORE])
        self.assertStatus(api.RemoveIScsiStaticTarget(NAME), ERROR_SUCCESS)
        self.assertStatus(api.RemoveIScsiStaticTarget(NAME), ISDSC_TARGET_NOT_FOUND)

    @both_widths
    def test_a_hidden_one_presets_the_login_to_one_that_is_found(self, api):
        options = login_options(
            AuthType=ISCSI_CHAP_AUTH_TYPE, Username=peers.CHAP_USER, Password=peers.CHAP_SECRET
        )
        self.add(api, peers.CHAP, flags=HIDE, options=options)
        portal = api.portal(*peers.GUARDED)
        self.assertEqual(api.targets(), [])
        for given in (None, portal):
            self.assertStatus(api.login(peers.CHAP, given, informational=True).status, ISDSC_TARGET_NOT_FOUND)
        self.discover(api, peers.GUARDED)
        self.assertIn(peers.CHAP, api.targets())
        self.assertEqual(len(api.mechanisms(peers.CHAP)), 2)
        self.assertStatus(api.login(peers.CHAP, informational=True).status, ERROR_SUCCESS)
        check(api.RemoveIScsiSendTargetPortal(*ANY, portal))
        self.assertEqual(api.targets(), [])
        check(api.RemoveIScsiStaticTarget(peers.CHAP))

    @both_widths
    def test_persist_says_whether_it_outlives_the_service(self, api):
        for end in (self.service.stop, self.service.kill):
            # Any value but 0 is TRUE.
            self.add(api, **self.everything_given(api, persist=0x80))
            self.add(api, MORE, **self.everything_given(api, persist=False))
            before = about(api, NAME)
            end()
            self.service.start()
            self.assertEqual(api.targets(), [NAME])
            self.assertEqual(about(api, NAME), before)
            self.assertStatus(api.RemoveIScsiStaticTarget(MORE), ISDSC_TARGET_NOT_FOUND)

    @both_widths
    def test_the_last_persist_counts(self, api):
        for flags in (0, MERGE):
            self.add(api, NAME, persist=True)
            self.add(api, NAME, flags=flags, persist=False)
            self.add(api, MORE, persist=False)
            self.add(api, MORE, flags=flags, persist=True)
            self.assertEqual(api.targets(), [NAME, MORE])
            self.service.restart()
            self.assertEqual(api.targets(), [MORE])

    def test_there_is_memory_for_1024_that_end_with_the_service(self):
        api = self.library.W
        for number in range(1024):
            self.add(api, f"{NAME}-{number}")
        self.assertStatus(static(api), ERROR_NOT_ENOUGH_MEMORY)
        self.add(api, f"{NAME}-0", alias="changed")
        self.add(api, persist=True)
        self.assertStatus(static(api, persist=False), ERROR_NOT_ENOUGH_MEMORY)
        self.service.restart()
        self.assertEqual(api.targets(), [NAME], "it is stored as before")

    @both_widths
    def test_a_hidden_one_outlives_the_service(self, api):
        self.add(api, flags=HIDE, persist=True, alias="hidden")
        for _ in self.ends():
            self.assertEqual(api.targets(), [])
            self.assertEqual(instance(api, NAME, STATIC).alias, "hidden")

    @both_widths
    def test_the_longest_texts_are_taken(self, api):
        alias = "a" * MAX_ISCSI_ALIAS_LEN
        portal = api.portal("p" * 255, 65535, "s" * 255)
        self.add(api, LONGEST_NAME, alias=alias, portals=[portal], persist=True)
        for _ in self.ends():
            self.assertEqual(api.targets(), [LONGEST_NAME])
            told = instance(api, LONGEST_NAME, STATIC)
            self.assertEqual((told.alias, places(told.groups[0])), (alias, [("p" * 255, 65535)]))
            self.assertEqual(told.groups[0][0].SymbolicName, "s" * 255)

    @both_widths
    def test_names_are_compared_without_regard_to_case(self, api):
        self.add(api, alias="first")
        self.add(api, NAME.upper(), flags=MERGE)
        self.assertEqual(api.targets(), [NAME])
        self.assertEqual(api.information_text(NAME.swapcase(), STATIC, TargetAlias), "first")
        self.assertEqual(api.target_portals(NAME.upper()), [])
        self.assertStatus(api.RemoveIScsiStaticTarget(NAME.upper()), ERROR_SUCCESS)

    @both_widths
    def test_names_of_all_forms_are_taken(self, api):
        names = ["eui.02004567a425678d", "iqn.2026-11.test.abi", "naa.52004567ba64678d"]
        for name in names:
            self.add(api, name)
        self.assertEqual(api.targets(), names)


class Refusals(Known):
    """What the calls about targets refuse, and leave nothing behind."""

    def setUp(self):
        super().setUp()
        api = self.library.W
        with unrecorded():
            check(static(api, NAME, alias="alias", persist=True, portals=[api.portal("192.0.2.1")]))

    def add(self, api, status, name=NAME, **more):
        """Adding is refused."""
        self.assertEqual(name_of(static(api, name, **more)), name_of(status), (name, more))

    @both_widths
    def test_names(self, api):
        calls = [
            lambda name: static(api, name),
            api.RemoveIScsiStaticTarget,
            lambda name: api.GetIScsiTargetInformation(name, None, TargetAlias, ULONG(), None),
            lambda name: api.ReportIScsiTargetPortals(None, name, None, ULONG(), None),
        ]
        illegal = [NAME + end for end in (" ", "\n", "/", "\\", ",", ";", "\u2003", "\x7f", "!", "*")]
        # 223 characters of UTF-16, but more bytes on the wire.
        illegal.append(LONGEST_NAME[:-9] + "\u00fc" * 9)
        with self.unchanged():
            for call in calls:
                for name in (None, "", api.bad_text()):
                    self.assertStatus(call(name), ERROR_INVALID_PARAMETER)
                for name in (OVER_LONG_NAME, "iqn." + "x" * 5000, *illegal):
                    self.assertStatus(call(name), ISDSC_INVALID_ISCSI_NAME)
            for name in ("disk", "iqn.", "iqn.2026-13.a", "eui.1", "naa.xyz"):
                self.assertStatus(static(api, name), ISDSC_INVALID_ISCSI_NAME)
                # What merely has the wrong form is the name of nobody.
                for call in calls[1:]:
                    self.assertStatus(call(name), ISDSC_TARGET_NOT_FOUND)

    @both_widths
    def test_aliases(self, api):
        with self.unchanged():
            for alias in ("a" * 256, "a" * 5000, "\u00fc" * 128, api.bad_text()):
                self.add(api, ERROR_INVALID_PARAMETER, alias=alias)
                self.add(api, ERROR_INVALID_PARAMETER, alias=alias, flags=MERGE)

    @both_widths
    def test_flags_that_are_not_defined(self, api):
        with self.unchanged():
            for flags in (1, 8, 0x80000002, 0xFFFFFFFF):
                self.add(api, ERROR_INVALID_PARAMETER, flags=flags)

    @both_widths
    def test_mappings(self, api):
        twice, same = [(0, 0x100), (0, 0x200)], [(0, 0x100), (1, 0x100)]
        wild = api.mapping(0, 0, [(0, 0)])
        wild.LUNCount = 0xFFFFFFFF
        missing = api.mapping(0, 0, [])
        missing.LUNCount = 1
        missing.LUNList = None
        with self.unchanged():
            for mapping in (api.mapping(0, 0, twice), api.mapping(0, 0, same), wild, missing):
                self.add(api, ISDSC_INVALID_TARGET_MAPPING, mapping=mapping)
            for mapping in (api.mapping(256, 0, []), api.mapping(0, 256, []), api.mapping(0xFFFFFFFE, 0, [])):
                self.add(api, ISDSC_TARGET_MAPPING_OUT_OF_RANGE, mapping=mapping)

    @both_widths
    def test_options(self, api):
        wrong = [
            (ERROR_INVALID_PARAMETER, login_options(Version=1)),
            (ISDSC_INVALID_LOGON_AUTH_TYPE, login_options(AuthType=3)),
            (ISDSC_LOGIN_USER_INFO_BAD, login_options(HeaderDigest=2)),
            (ISDSC_INVALID_CHAP_USER_NAME, login_options(Username=b"x" * 256)),
            (ISDSC_INVALID_TARGET_CHAP_SECRET, login_options(Password=b"x" * 17)),
        ]
        with self.unchanged():
            for status, options in wrong:
                self.add(api, status, options=options)

    @both_widths
    def test_portals(self, api):
        good = api.portal("192.0.2.2")
        unended = api.portal("192.0.2.3")
        unended.Address[:] = [ord("x")] * len(unended.Address)
        unnamed = api.portal("192.0.2.3")
        unnamed.SymbolicName[:] = [ord("x")] * len(unnamed.SymbolicName)
        spoilt = api.portal("192.0.2.3")
        bad = list(api.bad_text())
        spoilt.SymbolicName[: len(bad)] = bad
        with self.unchanged():
            for portal in (api.portal(""), api.portal("a b"), unended, unnamed, spoilt):
                self.add(api, ERROR_INVALID_PARAMETER, portals=[good, portal])
            many = [api.portal("192.0.2.4", 1 + port) for port in range(257)]
            self.add(api, ERROR_INVALID_PARAMETER, portals=many)
            wild = api.portal_group(good)
            wild.contents.Count = 0xFFFFFFFF
            status = api.AddIScsiStaticTarget(NAME, None, 0, False, None, None, wild)
            self.assertStatus(status, ERROR_INVALID_PARAMETER)

    @both_widths
    def test_targets_that_are_not_known(self, api):
        with self.unchanged():
            self.refused(ISDSC_TARGET_NOT_FOUND, api.RemoveIScsiStaticTarget, NOBODY)
            for info_class in range(8):
                for mechanism in (None, STATIC):
                    given = (NOBODY, mechanism, info_class, ULONG(), None)
                    self.refused(ISDSC_TARGET_NOT_FOUND, api.GetIScsiTargetInformation, *given)
            self.refused(ISDSC_TARGET_NOT_FOUND, api.ReportIScsiTargetPortals, None, NOBODY, None, ULONG(), None)

    @both_widths
    def test_those_who_may_change_nothing_may_look(self, api):
        def call():
            return [
                static(api, MORE),
                api.RemoveIScsiStaticTarget(NAME),
                # It would make us connect to places.
                api.ReportIScsiTargets(True, ULONG(), None),
                api.targets(),
                api.mechanisms(NAME),
                places(api.target_portals(NAME)),
            ]

        os.chmod(self.service.directory, 0o755)
        with self.unchanged():
            told = without_privilege(call)
        self.assertEqual(told, [ERROR_ACCESS_DENIED] * 3 + [[NAME], [STATIC], [["192.0.2.1", 3260]]])

    @both_widths
    def test_without_a_service(self, api):
        size = ULONG(77)
        self.service.stop()
        try:
            for status in (
                static(api, MORE),
                api.RemoveIScsiStaticTarget(NAME),
                api.ReportIScsiTargets(False, size, None),
                api.ReportIScsiTargets(True, size, None),
                api.GetIScsiTargetInformation(NAME, None, TargetAlias, size, None),
                api.ReportIScsiTargetPortals(None, NAME, None, size, None),
            ):
                self.assertStatus(status, ISDSC_SERVICE_NOT_RUNNING)
        finally:
            self.service.start()
        self.assertEqual(size.value, 77)
        self.assertEqual(api.targets(), [NAME])


class Removed(Known):
    """RemoveIScsiStaticTarget."""

    @both_widths
    def test_it_is_gone_persisted_or_not(self, api):
        for persist in (False, True):
            check(static(api, persist=persist))
            self.assertStatus(api.RemoveIScsiStaticTarget(NAME), ERROR_SUCCESS)
            self.assertEqual(api.targets(), [])
            self.assertStatus(api.RemoveIScsiStaticTarget(NAME), ISDSC_TARGET_NOT_FOUND)
            for _ in self.ends():
                self.assertEqual(api.targets(), [])

    @both_widths
    def test_what_is_found_stays_and_so_do_sessions_and_logins(self, api):
        self.discover(api, peers.OPEN)
        check(static(api, peers.DISKS, alias="by hand"))
        check(static(api, peers.NAMED, portals=[api.portal(*peers.OPEN)]))
        check(api.login(peers.DISKS, informational=True).status)
        check(api.login(peers.DISKS, persistent=True).status)
        check(api.login(peers.NAMED, persistent=True).status)
        before = api.sessions(), api.persistent_logins()
        for target in (peers.DISKS, peers.NAMED):
            self.assertStatus(api.RemoveIScsiStaticTarget(target), ERROR_SUCCESS)
        self.assertEqual(api.targets(), [peers.DISKS, peers.OTHER])
        self.assertEqual((api.sessions(), api.persistent_logins()), before)
        (mechanism,) = api.mechanisms(peers.DISKS)
        self.assertNotEqual(mechanism, STATIC)
        # What is only found is not there to be removed.
        self.assertStatus(api.RemoveIScsiStaticTarget(peers.DISKS), ISDSC_TARGET_NOT_FOUND)


class Listed(Known):
    """ReportIScsiTargets."""

    @both_widths
    def test_an_update_is_made_when_it_is_asked_for(self, api):
        with DiscoveryPeer({TOLD: []}) as peer, DiscoveryPeer() as other:
            self.discover(api, peer.portal)
            self.discover(api, other.portal)
            peer.targets, other.targets = {}, {NAME: []}
            self.assertEqual(api.targets(), [TOLD])
            self.assertEqual((peer.asked, other.asked), (1, 1))
            self.assertEqual(api.targets(force=True), [NAME])
            asked = peer.asked, other.asked
            self.assertGreater(asked, (1, 1))
            other.targets = {MORE: []}
            # Any value but 0 is TRUE.
            self.assertEqual(api.targets(force=0x80), [MORE])
            self.assertEqual(api.targets(force=0), [MORE])
            self.assertGreater((peer.asked, other.asked), asked)

    @both_widths
    def test_a_mechanism_that_fails_does_not_fail_an_update(self, api):
        with DiscoveryPeer({TOLD: []}) as gone, DiscoveryPeer({NAME: []}) as peer:
            self.discover(api, gone.portal)
            self.discover(api, peer.portal)
            gone.status = (3, 1)
            peer.targets = {MORE: []}
            self.assertEqual(api.targets(force=True), [MORE, TOLD])
        self.assertEqual(api.targets(force=True), [MORE, TOLD])

    @both_widths
    def test_each_is_listed_once(self, api):
        self.discover(api, peers.OPEN)
        self.discover(api, peers.OPEN_SECOND)
        check(static(api, peers.OTHER))
        self.assertEqual(api.targets(), [peers.DISKS, peers.OTHER])
        self.assertEqual(len(api.mechanisms(peers.OTHER)), 3)

    @both_widths
    def test_an_empty_list_has_two_nuls(self, api):
        size = ULONG(WILD)
        self.assertStatus(api.ReportIScsiTargets(False, size, None), ERROR_INSUFFICIENT_BUFFER)
        self.assertEqual(size.value, 2)
        for room, status in ((0, 122), (1, 122), (2, 0), (9, 0)):
            size, buffer = ULONG(room), Buffer(room * ctypes.sizeof(api.unit))
            self.assertStatus(api.ReportIScsiTargets(False, size, buffer.at(api.unit)), status)
            self.assertEqual(size.value, 2)
            buffer.check_guard()
            if status:
                buffer.check_untouched()
            else:
                self.assertEqual(list(buffer.array(api.unit, 2)), [0, 0])

    @both_widths
    def test_the_size_is_in_characters(self, api):
        check(static(api, NAME))
        check(static(api, MORE))
        needed, width = len(NAME) + len(MORE) + 3, ctypes.sizeof(api.unit)
        for room, status in ((needed - 1, 122), (needed, 0), (needed + 7, 0)):
            size, buffer = ULONG(room), Buffer(room * width)
            self.assertStatus(api.ReportIScsiTargets(False, size, buffer.at(api.unit)), status)
            self.assertEqual(size.value, needed)
            buffer.check_guard()
            if status:
                buffer.check_untouched()
            else:
                self.assertEqual(buffer.read(needed * width), bytes(api.text(f"{NAME}\0{MORE}\0")))
        buffer = Buffer(64)
        self.refused(ERROR_INVALID_PARAMETER, api.ReportIScsiTargets, False, None, buffer.at(api.unit))
        buffer.check_untouched()

    @both_widths
    def test_every_end_of_the_service_keeps_what_was_found(self, api):
        with DiscoveryPeer({TOLD: GROUPS}) as peer:
            self.discover(api, peer.portal)
            check(static(api, TOLD, alias="by hand", persist=True))
            before = everything()
        # Nobody can be asked now.
        for _ in self.ends():
            self.assertUnchanged(before)


class Information(Known):
    """GetIScsiTargetInformation."""

    def setUp(self):
        super().setUp()
        api = self.library.W
        peer = self.enterContext(DiscoveryPeer({TOLD: GROUPS}))
        self.discover(api, peer.portal)
        self.found = f"SendTargets:*{peer.portal.address} {peer.portal.port:07} {api.initiators()[0]}"

    def add_static(self, api):
        options = login_options(Username=b"user", Password=SECRET, LoginFlags=ISCSI_LOGIN_FLAG_RESERVED1)
        mapping = api.mapping(1, 2, [(0, lun_value(1)), (1, lun_value(2))])
        portals = [api.portal("192.0.2.1", 3260, "one"), api.portal("192.0.2.2", 3261, "two")]
        check(static(api, TOLD, alias="by hand", flags=MERGE, mapping=mapping, options=options, portals=portals))

    @both_widths
    def test_the_mechanisms_are_all_that_know_it(self, api):
        for given in (None, "", self.found):
            self.assertEqual(self.mechanisms(api, given), [self.found])
        self.add_static(api)
        for given in (None, ""):
            self.assertEqual(self.mechanisms(api, given), [self.found, STATIC])
        for given in (self.found, STATIC):
            self.assertIn(given, self.mechanisms(api, given))

    def mechanisms(self, api, mechanism):
        buffer = api.information(TOLD, mechanism, DiscoveryMechanisms)
        return multi_sz(list(buffer.array(api.unit, buffer.used // ctypes.sizeof(api.unit))), api.unit)

    @both_widths
    def test_a_portal_that_is_stored_with_and_without_its_initiator_is_one_mechanism(self, api):
        (portal,) = api.send_target_portals()
        given = api.portal(portal.Address, portal.Socket)
        check(api.AddIScsiSendTargetPortal(*api.initiators(), ISCSI_ANY_INITIATOR_PORT, None, 0, given))
        self.assertEqual(len(api.send_target_portals()), 2)
        self.assertEqual(self.mechanisms(api, None), [self.found])

    @both_widths
    def test_a_mechanism_is_found_without_regard_to_case_and_trailing_blanks(self, api):
        self.add_static(api)
        for mechanism, alias in ((self.found, ""), (STATIC, "by hand")):
            for given in (mechanism, mechanism.upper(), mechanism.swapcase(), mechanism + " ", mechanism + "  \t "):
                groups = api.portal_groups(TOLD, given)
                self.assertEqual(len(groups), 3 if mechanism == self.found else 1, given)
                flags = number(api, TOLD, given, TargetFlags)
                self.assertEqual(flags, 0 if mechanism == self.found else MERGE, given)
                self.assertEqual(api.information_text(TOLD, given, TargetAlias), alias, given)

    @both_widths
    def test_without_a_mechanism_it_is_the_first(self, api):
        self.add_static(api)
        self.assertEqual(instance(api, TOLD, None), instance(api, TOLD, self.found))
        self.assertEqual(instance(api, TOLD, ""), instance(api, TOLD, self.found))

    @both_widths
    def test_mechanisms_that_do_not_know_it(self, api):
        strangers = [STATIC, " " + self.found, self.found[:-1], self.found + "x", "iSNS:192.0.2.1", "x" * 5000]
        for info_class in range(8):
            for mechanism in strangers:
                given = (TOLD, mechanism, info_class, ULONG(), None)
                self.refused(ISDSC_DISCOVERY_MECHANISM_NOT_FOUND, api.GetIScsiTargetInformation, *given)
            given = (TOLD, api.bad_text(), info_class, ULONG(), None)
            self.refused(ERROR_INVALID_PARAMETER, api.GetIScsiTargetInformation, *given)

    @both_widths
    def test_classes_that_are_not_defined(self, api):
        for info_class in (8, 9, 255, 256, -1, 0x7FFFFFFF, -0x80000000):
            size, buffer = ULONG(512), Buffer(512)
            for mechanism in (None, self.found):
                given = (TOLD, mechanism, info_class, size, buffer.at(None))
                self.refused(ERROR_INVALID_PARAMETER, api.GetIScsiTargetInformation, *given)
            self.assertEqual(size.value, 512)
            buffer.check_untouched()

    @both_widths
    def test_every_class_by_the_size_protocol(self, api):
        self.add_static(api)
        width = ctypes.sizeof(api.unit)
        sizes = {
            ProtocolType: 4,
            TargetAlias: width * len("by hand\0"),
            DiscoveryMechanisms: width * len(STATIC + "\0\0"),
            PortalGroups: 4 + (1036 if width == 1 else 2060),
            PersistentTargetMappings: ctypes.sizeof(api.ISCSI_TARGET_MAPPING) + 2 * ctypes.sizeof(SCSI_LUN_LIST),
            InitiatorName: width * len(api.initiators()[0] + "\0"),
            TargetFlags: 4,
            LoginOptions: ctypes.sizeof(ISCSI_LOGIN_OPTIONS) + len(b"user"),
        }
        for info_class, needed in sizes.items():
            with self.subTest(info_class=info_class):
                self.hold_to_the_protocol(api, info_class, needed)

    def hold_to_the_protocol(self, api, info_class, needed):
        size = ULONG(WILD)
        status = api.GetIScsiTargetInformation(TOLD, STATIC, info_class, size, None)
        self.assertStatus(status, ERROR_INSUFFICIENT_BUFFER)
        self.assertEqual(size.value, needed)
        for room, status in ((0, 122), (needed - 1, 122), (needed, 0), (needed + 9, 0)):
            size, buffer = ULONG(room), Buffer(room)
            told = api.GetIScsiTargetInformation(TOLD, STATIC, info_class, size, buffer.at(None))
            self.assertStatus(told, status)
            self.assertEqual(size.value, needed)
            buffer.check_guard()
            if status:
                buffer.check_untouched()
            else:
                self.assertEqual(set(buffer.read()[needed:]) - {FILLER}, set(), "the rest is left alone")
        buffer = Buffer(64)
        given = (TOLD, STATIC, info_class, None, buffer.at(None))
        self.refused(ERROR_INVALID_PARAMETER, api.GetIScsiTargetInformation, *given)
        buffer.check_untouched()

    @both_widths
    def test_a_class_without_a_value_has_size_0_but_asks_for_room_first(self, api):
        check(static(api, NAME))
        nothing = [(TOLD, self.found, PersistentTargetMappings), (TOLD, self.found, LoginOptions)]
        nothing += [(NAME, STATIC, info_class) for info_class in (PortalGroups, PersistentTargetMappings, LoginOptions)]
        for given in nothing:
            size = ULONG(WILD)
            self.assertStatus(api.GetIScsiTargetInformation(*given, size, None), ERROR_INSUFFICIENT_BUFFER)
            self.assertGreater(size.value, 0)
            for room in (0, size.value, 512):
                size, buffer = ULONG(room), Buffer(room)
                self.assertStatus(api.GetIScsiTargetInformation(*given, size, buffer.at(None)), ERROR_SUCCESS)
                self.assertEqual(size.value, 0)
                buffer.check_untouched()
        # An alias that there is none of is an empty text.
        for target, mechanism in ((TOLD, self.found), (NAME, STATIC)):
            size, buffer = ULONG(64), Buffer(64)
            given = (target, mechanism, TargetAlias, size, buffer.at(None))
            self.assertStatus(api.GetIScsiTargetInformation(*given), ERROR_SUCCESS)
            self.assertEqual(size.value, ctypes.sizeof(api.unit))
            self.assertEqual(buffer.read(size.value), bytes(size.value))

    def portal_bytes(self, api, address, socket, symbolic):
        """A portal as it stands in memory, with NULs behind its texts."""
        if ctypes.sizeof(api.unit) == 1:
            return struct.pack("<256s256sH", symbolic.encode(), address.encode(), socket)
        return struct.pack("<512s512sH", symbolic.encode("utf-16-le"), address.encode("utf-16-le"), socket)

    @both_widths
    def test_portal_groups_byte_by_byte(self, api):
        portal = 514 if ctypes.sizeof(api.unit) == 1 else 1026
        strides = {1: (520, 1032), 2: (1036, 2060), 3: (1548, 3084)}
        expected = struct.pack("<I", 3)
        for tag in (1, 2, 9):
            portals = [where for where in GROUPS if where[2] == tag]
            of = struct.pack("<I", len(portals))
            for address, socket, _ in portals:
                of += self.portal_bytes(api, address, socket, address)
            stride = strides[len(portals)][portal != 514]
            self.assertEqual(stride, (6 + portal + (len(portals) - 1) * portal + 3) & ~3)
            expected += of + bytes(stride - len(of))
        buffer = api.information(TOLD, self.found, PortalGroups)
        self.assertEqual(buffer.used, len(expected))
        self.assertEqual(buffer.read(buffer.used), expected)
        # As Microsoft's client steps through it.
        groups = [places(group) for group in api.portal_groups(TOLD, self.found)]
        self.assertEqual(groups, [[where[:2] for where in GROUPS if where[2] == tag] for tag in (1, 2, 9)])

    @both_widths
    def test_the_portals_of_a_static_target_are_one_group(self, api):
        self.add_static(api)
        of = struct.pack("<II", 1, 2)
        of += self.portal_bytes(api, "192.0.2.1", 3260, "one") + self.portal_bytes(api, "192.0.2.2", 3261, "two")
        buffer = api.information(TOLD, STATIC, PortalGroups)
        self.assertEqual(buffer.read(buffer.used), of + bytes(buffer.used - len(of)))
        self.assertEqual(buffer.used, 4 + (1036 if ctypes.sizeof(api.unit) == 1 else 2060))

    @both_widths
    def test_the_target_of_tgt(self, api):
        self.discover(api, peers.OPEN)
        (mechanism,) = api.mechanisms(peers.DISKS)
        (own,) = api.initiators()
        self.assertEqual(mechanism, f"SendTargets:*{peers.OPEN.address} {peers.OPEN.port:07} {own}")
        told = instance(api, peers.DISKS, mechanism)
        self.assertEqual((told.protocol, told.alias, told.flags, told.initiator), (0, "", 0, own))
        self.assertEqual([places(group) for group in told.groups], [[peers.OPEN]])
        self.assertEqual((told.mapping, told.options), (None, None))

    @both_widths
    def test_the_secret_is_never_told(self, api):
        self.add_static(api)
        for info_class in range(8):
            size, buffer = ULONG(8192), Buffer(8192)
            check(api.GetIScsiTargetInformation(TOLD, STATIC, info_class, size, buffer.at(None)))
            self.assertNotIn(SECRET, buffer.read())
        options = api.information_struct(TOLD, STATIC, LoginOptions, ISCSI_LOGIN_OPTIONS)
        self.assertEqual((options.Username, options.Password, options.PasswordLength), (b"user", b"", 0))
        self.assertEqual(options.LoginFlags, ISCSI_LOGIN_FLAG_RESERVED1)

    def test_both_widths_say_the_same(self):
        self.add_static(self.library.A)
        of_a, of_w = (about(api, TOLD) for api in self.library.widths)
        self.assertEqual(of_a, of_w)


class Portals(Known):
    """ReportIScsiTargetPortals."""

    @both_widths
    def test_those_of_all_mechanisms_are_told_once(self, api):
        with DiscoveryPeer({TOLD: GROUPS}) as peer, DiscoveryPeer({TOLD: GROUPS[3:]}) as other:
            self.discover(api, peer.portal)
            self.discover(api, other.portal)
            portals = [api.portal("SAN.Example", 65535), api.portal("192.0.2.11", 3261, "by hand")]
            check(static(api, TOLD, portals=portals))
            told = api.target_portals(TOLD)
            self.assertEqual(places(told), [where[:2] for where in GROUPS] + [("192.0.2.11", 3261)])
            self.assertEqual(told[0].SymbolicName, "192.0.2.11")
            self.assertEqual(told[-1].SymbolicName, "by hand")

    @both_widths
    def test_a_tag_chooses_a_portal_group(self, api):
        with DiscoveryPeer({TOLD: GROUPS}) as peer:
            self.discover(api, peer.portal)
            for tag in (1, 2, 9):
                wanted = [where[:2] for where in GROUPS if where[2] == tag]
                self.assertEqual(places(api.target_portals(TOLD, tag=tag)), wanted)
            for tag in (0, 3, 0xFFFF):
                self.assertEqual(api.target_portals(TOLD, tag=tag), [])

    @both_widths
    def test_an_initiator_is_named_by_instance_or_node_name(self, api):
        check(static(api, portals=[api.portal("192.0.2.1")]))
        (own,) = api.initiators()
        for initiator in (None, "", own, own.swapcase(), api.node_name()):
            self.assertEqual(places(api.target_portals(NAME, initiator)), [("192.0.2.1", 3260)])
        count, buffer = ULONG(1), Buffer(4096)
        at = buffer.at(api.ISCSI_TARGET_PORTAL)
        for initiator, status in (
            (own + "x", ISDSC_INITIATOR_NOT_FOUND),
            ("x" * 255, ISDSC_INITIATOR_NOT_FOUND),
            ("x" * 256, ERROR_INVALID_PARAMETER),
            (api.bad_text(), ERROR_INVALID_PARAMETER),
        ):
            self.refused(status, api.ReportIScsiTargetPortals, initiator, NAME, None, count, at)
        self.assertEqual(count.value, 1)
        buffer.check_untouched()

    @both_widths
    def test_the_size_is_in_elements(self, api):
        check(static(api, portals=[api.portal("192.0.2.1"), api.portal("192.0.2.2")]))
        kind = api.ISCSI_TARGET_PORTAL
        size = ctypes.sizeof(kind)
        count = ULONG(WILD)
        status = api.ReportIScsiTargetPortals(None, NAME, None, count, None)
        self.assertStatus(status, ERROR_INSUFFICIENT_BUFFER)
        self.assertEqual(count.value, 2)
        for room, status in ((0, 122), (1, 122), (2, 0), (4, 0)):
            count, buffer = ULONG(room), Buffer(room * size)
            told = api.ReportIScsiTargetPortals(None, NAME, None, count, buffer.at(kind))
            self.assertStatus(told, status)
            self.assertEqual(count.value, 2)
            buffer.check_guard()
            if status:
                buffer.check_untouched()
            else:
                self.assertEqual(set(buffer.read()[2 * size :]) - {FILLER}, set(), "the rest is left alone")
        buffer = Buffer(4096)
        self.refused(ERROR_INVALID_PARAMETER, api.ReportIScsiTargetPortals, None, NAME, None, None, buffer.at(kind))
        buffer.check_untouched()

    @both_widths
    def test_a_target_without_portals_has_an_empty_list(self, api):
        check(static(api))
        for buffer in (None, Buffer(4096)):
            count = ULONG(3)
            at = buffer and buffer.at(api.ISCSI_TARGET_PORTAL)
            self.assertStatus(api.ReportIScsiTargetPortals(None, NAME, None, count, at), ERROR_SUCCESS)
            self.assertEqual(count.value, 0)
            if buffer:
                buffer.check_untouched()

    @both_widths
    def test_a_hidden_target_is_told_of(self, api):
        self.addCleanup(api.RemoveIScsiStaticTarget, NAME)
        check(static(api, flags=HIDE, portals=[api.portal("192.0.2.1")]))
        self.assertEqual(places(api.target_portals(NAME)), [("192.0.2.1", 3260)])

    @both_widths
    def test_the_portals_of_tgt(self, api):
        self.discover(api, peers.OPEN)
        self.discover(api, peers.OPEN_SECOND)
        self.assertCountEqual(places(api.target_portals(peers.DISKS)), [peers.OPEN, peers.OPEN_SECOND])
        for portal in api.target_portals(peers.OTHER):
            given = api.portal(portal.Address, portal.Socket)
            done = api.login(peers.OTHER, given, informational=True)
            self.assertStatus(done.status, ERROR_SUCCESS)
            check(self.library.LogoutIScsiTarget(done.session))
