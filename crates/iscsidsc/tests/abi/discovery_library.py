"""The shared library as a C program sees it: all 79 exports, and what makes them pleasant to call from a test.

    library = Library(os.environ["LIBRARY"])
    library.LogoutIScsiTarget(session)                      # an export by its name: gives the status, checks nothing
    library.W.AddISNSServer("isns.example")                 # an export of a pair by its width
    library.A.targets(force=True)                           # a report by the size protocol, as Python values
    for api in library.widths: ...                          # both widths

**Arguments** of an export: a struct or a number object (`ULONG(5)`) where C takes a pointer to one; `None` for NULL;
a `str`, which is handed over in the width of the parameter with its NUL; `bytes`, which are handed over as they are
(with a NUL behind them) where C takes 8-bit characters; `units(…)` for 16-bit characters that are no valid text.
Nothing else is converted: a wrong type is a `ctypes.ArgumentError`.

**Reports** (`targets`, `sessions`, …) ask with NULL and a wild size first, then with exactly the room that was asked
for, and again if the report grew meanwhile. On the way they hold the library to §1.3 and §1.5: the buffer stays as it
was unless the call succeeds, nothing is written behind it, sizes and counts agree, and every pointer leads into it.
They give `Value`s with the names of the header, where pointers and counts have become texts, bytes and lists, and
raise `Refused` for any other status.

Every call is recorded (`CALLS`); `run.py` compares them with the table of docs/discovery-library.md.
"""

import contextlib
import ctypes
from collections import defaultdict
from types import SimpleNamespace

# Tests have the names of the header by importing this module.
from declarations import *
from declarations import (
    ISCSI_SESSION_INFO_EX,
    ISCSI_UNIQUE_SESSION_ID,
    ISDSC_STATUS,
    PROTOTYPES,
    STRUCTS,
    UCHAR,
    ULONG,
    USHORT,
    WCHAR,
)
from statuses import *
from statuses import ERROR_INSUFFICIENT_BUFFER, ERROR_SUCCESS, name_of

#: What the running test has called: {export: [statuses]}.
CALLS = defaultdict(list)

#: Stands in memory that the library has no business with.
FILLER = 0xA5
#: Bytes behind each buffer that must stay as they are.
GUARD = 64
#: A size that says nothing: the library must not look at it when the buffer is NULL (§1.3).
WILD = 0xA5A5A5A5
#: How often a report may grow between two calls.
ROUNDS = 8


@contextlib.contextmanager
def unrecorded():
    """What is called meanwhile is not the test's own."""
    before = {export: list(told) for export, told in CALLS.items()}
    try:
        yield
    finally:
        CALLS.clear()
        CALLS.update(before)


class Refused(RuntimeError):
    """A status that is not success, where the test went on success."""

    def __init__(self, export, status):
        super().__init__(f"{export}: {name_of(status)}")
        self.status = status


def check(status, *allowed):
    """Demands success, or one of `allowed`; gives the status."""
    if status != ERROR_SUCCESS and status not in allowed:
        raise Refused("the call", status)
    return status


# Text.


def ansi(text):
    """UTF-8 with a NUL; `bytes` as they are."""
    encoded = text if isinstance(text, bytes) else text.encode()
    return (UCHAR * (len(encoded) + 1))(*encoded, 0)


def wide(text):
    """UTF-16 with a NUL."""
    encoded = text.encode("utf-16-le")
    return units(*(encoded[i] | encoded[i + 1] << 8 for i in range(0, len(encoded), 2)))


def units(*numbers):
    """These 16-bit characters, valid or not, and a NUL."""
    return (WCHAR * (len(numbers) + 1))(*numbers, 0)


def decode(characters, unit):
    """The text that numbers of this width are, strictly."""
    if unit is UCHAR:
        return bytes(characters).decode()
    return b"".join(number.to_bytes(2, "little") for number in characters).decode("utf-16-le")


def text_of(array):
    """The text in an array, which must have a NUL."""
    characters = list(array)
    if 0 not in characters:
        raise AssertionError("a text without its NUL")
    return decode(characters[: characters.index(0)], array._type_)


def text_at(pointer):
    """The text that a pointer leads to; `None` for NULL."""
    if not pointer:
        return None
    characters = []
    while pointer[len(characters)]:
        characters.append(pointer[len(characters)])
    return decode(characters, pointer._type_)


def put(array, text):
    """Writes a text into an array of a struct, the rest becomes NULs. One that fills the array has no NUL then."""
    encoded = ansi(text) if array._type_ is UCHAR else wide(text)
    length = min(len(encoded), len(array))
    array[:] = list(encoded[:length]) + [0] * (len(array) - length)


def multi_sz(characters, unit):
    """The texts of a list as §1.4 has it, which must end with its last NUL."""
    text = decode(characters, unit)
    if text == "\0\0":
        return []
    assert text.endswith("\0\0") and not text.startswith("\0"), f"no list of texts: {text!r}"
    texts = text[:-2].split("\0")
    assert all(texts), f"an empty text in a list: {text!r}"
    return texts


# Ids.


def id_text(identifier):
    """The text form of a session or connection id (§1.6)."""
    return f"{identifier.AdapterUnique:x}-{identifier.AdapterSpecific:x}"


def parse_id(text):
    """The id of a text form; `0x` may stand before each half."""
    unique, specific = (int(half, 16) for half in text.split("-"))
    return ISCSI_UNIQUE_SESSION_ID(unique, specific)


def lun_value(number):
    """A LUN below 256 as SendScsi… and `TargetLUN` have it: its eight bytes read as a little-endian number (§3.3)."""
    return number << 8


# Structs as Python values.


class Value(SimpleNamespace):
    """A struct that was reported, with the names of the header; ids stay structs."""


_BYTES = {"ISID", "TSID", "CID", "Data4"}
_COUNTS = {
    "Connections": "ConnectionCount",
    "LUNList": "LUNCount",
    "Username": "UsernameLength",
    "Password": "PasswordLength",
    "Id": "IdLengthInBytes",
    "Key": "KeyLengthInBytes",
}
_TEXTS = {"InitiatorName", "TargetNodeName", "TargetName", "InitiatorAddress", "TargetAddress"}
_BLOBS = {"Username", "Password", "Id", "Key"}


class _Reader:
    """Turns structs in a buffer into values; every pointer must lead into `start..end`."""

    def __init__(self, start, end):
        self.start = start
        self.end = end

    def inside(self, address, length, what):
        assert self.start <= address and address + length <= self.end, f"{what} leads out of the buffer"

    def value(self, struct):
        if isinstance(struct, ISCSI_UNIQUE_SESSION_ID):
            return type(struct).from_buffer_copy(struct)
        return Value(**{name: self.field(struct, name) for name, *_ in struct._fields_})

    def field(self, struct, name):
        content = getattr(struct, name)
        if isinstance(content, ctypes.Array):
            return bytes(content) if name in _BYTES else text_of(content)
        if isinstance(content, ctypes.Structure):
            return self.value(content)
        if isinstance(content, ctypes._Pointer):
            return self.pointed(content, name, getattr(struct, _COUNTS.get(name, ""), 1))
        return content

    def pointed(self, pointer, name, count):
        if not pointer:
            assert name not in _COUNTS or count == 0, f"{name} is NULL with a count of {count}"
            return [] if name in ("Connections", "LUNList") else b"" if name in _BLOBS else None
        address = ctypes.addressof(pointer.contents)
        self.inside(address, ctypes.sizeof(pointer._type_) * count, name)
        if name in _TEXTS:
            text = text_at(pointer)
            self.inside(address, ctypes.sizeof(pointer._type_) * (len(text) + 1), name)
            return text
        if name in _BLOBS:
            return bytes(pointer[:count])
        align = ctypes.alignment(pointer._type_)
        assert address % align == 0, f"{name} is not aligned"
        values = [self.value(pointer[index]) for index in range(count)]
        return values if name in _COUNTS else values[0]


def value_of(struct):
    """The value of a struct of the test's own."""
    return _Reader(0, 1 << 64).value(struct)


# Buffers.


class Buffer:
    """Memory of the caller's with guards behind it, aligned to 8."""

    def __init__(self, size):
        self.size = size
        self._memory = (ctypes.c_uint64 * ((size + GUARD) // 8 + 1))()
        self.start = ctypes.addressof(self._memory)
        self._whole = (UCHAR * ctypes.sizeof(self._memory)).from_buffer(self._memory)
        ctypes.memset(self.start, FILLER, len(self._whole))

    def at(self, kind):
        """A pointer to its start, of the type that the export takes."""
        return ctypes.cast(self.start, ctypes.POINTER(kind) if kind else ctypes.c_void_p)

    def read(self, used=None):
        """Its bytes."""
        return bytes(self._whole[: self.size if used is None else used])

    def array(self, kind, count):
        """Its elements, in place."""
        return (kind * count).from_buffer(self._memory)

    def check_guard(self):
        """Nothing was written behind it."""
        assert all(byte == FILLER for byte in self._whole[self.size :]), "written behind the buffer"

    def check_untouched(self):
        """Nothing was written into it."""
        assert all(byte == FILLER for byte in self._whole), "a call that failed wrote to the buffer"

    def reader(self):
        """What reads structs in it."""
        return _Reader(self.start, self.start + self.size)


def measured(export, call, kind, unit):
    """A report by the size protocol (§1.3).

    `call(size, pointer)` makes the call, `kind` is the type of its buffer, `unit` the bytes that the size counts as
    one. Gives the buffer and the size; the buffer is `None` if success was the answer to NULL.
    """
    size, buffer = ULONG(WILD), None
    for _ in range(ROUNDS):
        status = call(size, None if buffer is None else buffer.at(kind))
        if buffer is not None:
            buffer.check_guard()
        if status == ERROR_SUCCESS:
            assert buffer is None or size.value * unit <= buffer.size, "the size is more than there was room"
            return buffer, size.value
        if buffer is not None:
            buffer.check_untouched()
        if status != ERROR_INSUFFICIENT_BUFFER:
            raise Refused(export, status)
        assert buffer is None or size.value * unit > buffer.size, "refused for no more than there was room"
        assert 0 < size.value < 1 << 24, f"a needed size of {size.value}"
        buffer = Buffer(size.value * unit)
    raise AssertionError(f"{export} asked for more room {ROUNDS} times")


# Exports.


class Export:
    """One function of the library: converts arguments as the module says, records the call, gives the status."""

    def __init__(self, library, name):
        self.name = name
        self.parameters = [parameter for parameter, _ in PROTOTYPES[name]]
        self._function = getattr(library, name)
        self._function.argtypes = [kind for _, kind in PROTOTYPES[name]]
        self._function.restype = ISDSC_STATUS

    def __call__(self, *arguments):
        kinds = self._function.argtypes
        if len(arguments) != len(kinds):
            raise TypeError(f"{self.name} takes {', '.join(self.parameters) or 'nothing'}")
        status = self._function(*map(_argument, arguments, kinds))
        CALLS[self.name].append(status)
        return status

    def __repr__(self):
        return f"<{self.name}>"


_ANSI = ctypes.POINTER(UCHAR)
_WIDE = ctypes.POINTER(WCHAR)


def _argument(argument, kind):
    if isinstance(argument, str):
        if kind is _WIDE:
            return wide(argument)
        if kind is _ANSI:
            return ansi(argument)
    if isinstance(argument, bytes) and kind is _ANSI:
        return ansi(argument)
    return argument


class Library:
    """The library at a path. It finds the daemon by `HAWSER_SOCKET` at each call; `service.Service` sets it."""

    def __init__(self, path):
        loaded = ctypes.CDLL(path)
        for name in PROTOTYPES:
            setattr(self, name, Export(loaded, name))
        self.IScsiStatusText = loaded.IScsiStatusText
        self.IScsiStatusText.argtypes = [ISDSC_STATUS]
        self.IScsiStatusText.restype = ctypes.c_char_p
        self.A = Api(self, "A", UCHAR)
        self.W = Api(self, "W", WCHAR)
        self.widths = (self.A, self.W)

    def sessions_ex(self):
        """`GetIScsiSessionListEx`."""
        return _counted(self.GetIScsiSessionListEx, ISCSI_SESSION_INFO_EX)

    def inquiry(self, session, lun=0, flags=0, page=0, room=255, sense_room=18):
        """`SendScsiInquiry` at a LUN as `lun_value` gives it."""
        return _scsi(self.SendScsiInquiry, (session, lun, flags, page), room, sense_room)

    def read_capacity(self, session, lun=0, room=8, sense_room=18):
        """`SendScsiReadCapacity`."""
        return _scsi(self.SendScsiReadCapacity, (session, lun), room, sense_room)

    def report_luns(self, session, room=4096, sense_room=18):
        """`SendScsiReportLuns`."""
        return _scsi(self.SendScsiReportLuns, (session,), room, sense_room)


def _scsi(export, arguments, room, sense_room):
    """A SCSI call with so much room, NULL for none. A `Value` of all it gives; raises nothing.

    `data` and `sense` are what stands in the buffers up to the sizes that were told; `data_size`, `sense_size` are
    these. After anything but success `data` is empty and the response buffer must be untouched.
    """
    scsi_status = UCHAR(FILLER)
    data, sense = Buffer(room), Buffer(sense_room)
    sizes = ULONG(room), ULONG(sense_room)
    pointers = [buffer.at(UCHAR) if buffer.size else None for buffer in (data, sense)]
    status = export(*arguments, scsi_status, sizes[0], pointers[0], sizes[1], pointers[1])
    data.check_guard()
    sense.check_guard()
    if status != ERROR_SUCCESS:
        data.check_untouched()
    return Value(
        status=status,
        scsi_status=scsi_status.value,
        data=data.read(sizes[0].value) if status == ERROR_SUCCESS else b"",
        data_size=sizes[0].value,
        sense=sense.read(min(sizes[1].value, sense_room)),
        sense_size=sizes[1].value,
    )


def _counted(export, struct, order="size count buffer"):
    """A list whose size is in bytes and whose count is told beside it."""
    count = ULONG(WILD)

    def call(size, pointer):
        given = {"size": size, "count": count, "buffer": pointer}
        status = export(*(given[word] for word in order.split()))
        if status == ERROR_INSUFFICIENT_BUFFER:
            assert count.value * ctypes.sizeof(struct) <= size.value, "the count is told with the needed size"
            assert count.value > 0, "the count of a list that needs room"
        return status

    buffer, size = measured(export.name, call, struct, 1)
    assert (size == 0) == (count.value == 0), f"{count.value} elements in {size} bytes"
    if buffer is None:
        assert size == 0, "success for NULL with a size"
        return []
    reader = buffer.reader()
    return [reader.value(element) for element in buffer.array(struct, count.value)]


def _elements(export, struct, arguments=()):
    """A list whose size is its count."""
    buffer, count = measured(
        export.name,
        lambda size, pointer: export(*arguments, size, pointer),
        struct,
        ctypes.sizeof(struct),
    )
    if buffer is None:
        assert count == 0, "success for NULL with a count"
        return []
    reader = buffer.reader()
    return [reader.value(element) for element in buffer.array(struct, count)]


class Api:
    """The exports of one width, without their A or W: `api.AddISNSServer`, `api.ISCSI_TARGET_PORTAL` (the struct).

    Exports without a pair are found as well, so that a test may be written once for both widths.
    """

    def __init__(self, library, suffix, unit):
        self.library = library
        self.suffix = suffix
        self.unit = unit

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        for known in (name + self.suffix, name):
            if known in PROTOTYPES:
                return getattr(self.library, known)
            if known in STRUCTS:
                return STRUCTS[known]
        raise AttributeError(f"neither an export nor a struct: {name}")

    def __repr__(self):
        return self.suffix

    def text(self, text):
        """A text with its NUL in this width."""
        return ansi(text) if self.unit is UCHAR else wide(text)

    def bad_text(self):
        """Characters that are no text: a byte that UTF-8 does not have, half of a surrogate pair."""
        return ansi(b"iqn.bad-\xff") if self.unit is UCHAR else units(*b"iqn.bad-", 0xD83D)

    # What is handed over.

    def portal(self, address, port=3260, symbolic=""):
        """`ISCSI_TARGET_PORTAL`."""
        portal = self.ISCSI_TARGET_PORTAL(Socket=port)
        put(portal.Address, address)
        put(portal.SymbolicName, symbolic)
        return portal

    def portal_group(self, *portals):
        """`ISCSI_TARGET_PORTAL_GROUP` with portals back to back, as a pointer to it."""
        kind = self.ISCSI_TARGET_PORTAL
        fields = [("Count", ULONG), ("Portals", kind * len(portals))]
        group = type("Group", (ctypes.Structure,), {"_fields_": fields})(len(portals))
        group.Portals[:] = portals
        pointer = ctypes.cast(ctypes.pointer(group), ctypes.POINTER(self.ISCSI_TARGET_PORTAL_GROUP))
        pointer.kept = group
        return pointer

    def mapping(self, bus, target, luns):
        """`ISCSI_TARGET_MAPPING` as a login takes it: `luns` are pairs of OS LUN and target LUN."""
        mapping = self.ISCSI_TARGET_MAPPING(OSBusNumber=bus, OSTargetNumber=target, LUNCount=len(luns))
        mapping.LUNList = (STRUCTS["SCSI_LUN_LIST"] * len(luns))(*luns)
        return mapping

    def login(self, target, portal=None, **more):
        """`LoginIScsiTarget`: a `Value` of `status`, `session` and `connection`; raises nothing.

        More: informational, instance, port, security, mapping, options, key (bytes), persistent.
        """
        session, connection = ISCSI_UNIQUE_SESSION_ID(), ISCSI_UNIQUE_SESSION_ID()
        key = more.pop("key", b"")
        given = (
            target,
            more.pop("informational", False),
            more.pop("instance", None),
            more.pop("port", 0xFFFFFFFF),
            portal,
            more.pop("security", 0),
            more.pop("mapping", None),
            more.pop("options", None),
            len(key),
            key or None,
            more.pop("persistent", False),
        )
        if more:
            raise TypeError(f"not of a login: {more}")
        status = self.LoginIScsiTarget(*given, session, connection)
        return Value(status=status, session=session, connection=connection)

    # What is reported.

    def _list(self, export, *before):
        """A list of texts; the size is in characters."""
        buffer, size = measured(
            export.name,
            lambda size, pointer: export(*before, size, pointer),
            self.unit,
            ctypes.sizeof(self.unit),
        )
        if size == 0:
            return []
        assert buffer is not None, "success for NULL with a size"
        return multi_sz(list(buffer.array(self.unit, size)), self.unit)

    def node_name(self):
        """`GetIScsiInitiatorNodeName`, into the 224 characters that it may fill."""
        buffer = Buffer(224 * ctypes.sizeof(self.unit))
        status = self.GetIScsiInitiatorNodeName(buffer.at(self.unit))
        buffer.check_guard()
        if status != ERROR_SUCCESS:
            buffer.check_untouched()
            raise Refused("GetIScsiInitiatorNodeName" + self.suffix, status)
        return text_of(buffer.array(self.unit, 224))

    def initiators(self):
        """`ReportIScsiInitiatorList`."""
        return self._list(self.ReportIScsiInitiatorList)

    def targets(self, force=False):
        """`ReportIScsiTargets`."""
        return self._list(self.ReportIScsiTargets, force)

    def isns_servers(self):
        """`ReportISNSServerList`."""
        return self._list(self.ReportISNSServerList)

    def radius_servers(self):
        """`ReportRadiusServerList`."""
        return self._list(self.ReportRadiusServerList)

    def persistent_devices(self):
        """`ReportPersistentIScsiDevices`."""
        return self._list(self.ReportPersistentIScsiDevices)

    def mappings(self):
        """`ReportActiveIScsiTargetMappings`."""
        return _counted(self.ReportActiveIScsiTargetMappings, self.ISCSI_TARGET_MAPPING)

    def sessions(self):
        """`GetIScsiSessionList`."""
        return _counted(self.GetIScsiSessionList, self.ISCSI_SESSION_INFO)

    def persistent_logins(self):
        """`ReportIScsiPersistentLogins`, whose parameters have an order of their own."""
        struct = self.PERSISTENT_ISCSI_LOGIN_INFO
        return _counted(self.ReportIScsiPersistentLogins, struct, "count buffer size")

    def send_target_portals(self):
        """`ReportIScsiSendTargetPortals`."""
        return _elements(self.ReportIScsiSendTargetPortals, self.ISCSI_TARGET_PORTAL_INFO)

    def send_target_portals_ex(self):
        """`ReportIScsiSendTargetPortalsEx`."""
        struct = self.ISCSI_TARGET_PORTAL_INFO_EX
        return _counted(self.ReportIScsiSendTargetPortalsEx, struct, "count size buffer")

    def target_portals(self, target, initiator=None, tag=None):
        """`ReportIScsiTargetPortals`."""
        tag = None if tag is None else USHORT(tag)
        given = (initiator, target, tag)
        return _elements(self.ReportIScsiTargetPortals, self.ISCSI_TARGET_PORTAL, given)

    def devices(self, session):
        """`GetDevicesForIScsiSession`."""
        return _elements(self.GetDevicesForIScsiSession, self.ISCSI_DEVICE_ON_SESSION, (session,))

    def information(self, target, mechanism, info_class):
        """`GetIScsiTargetInformation`: the buffer, of which `size` is used, or `None` where there is no such value."""
        export = self.GetIScsiTargetInformation
        buffer, size = measured(
            export.name, lambda size, at: export(target, mechanism, info_class, size, at), None, 1
        )
        assert buffer is not None, "success for NULL (§1.3 has 122 here, always)"
        if size == 0:
            return None
        buffer.used = size
        return buffer

    def information_text(self, target, mechanism, info_class):
        """The same for a class of one text; `None` if there is none."""
        buffer = self.information(target, mechanism, info_class)
        return buffer and text_of(buffer.array(self.unit, buffer.used // ctypes.sizeof(self.unit)))

    def mechanisms(self, target):
        """The discovery mechanisms of a target."""
        buffer = self.information(target, None, 2)
        characters = buffer.used // ctypes.sizeof(self.unit)
        return multi_sz(list(buffer.array(self.unit, characters)), self.unit)

    def information_struct(self, target, mechanism, info_class, struct):
        """The same for a class of one struct; `None` if there is none."""
        buffer = self.information(target, mechanism, info_class)
        return buffer and buffer.reader().value(buffer.array(struct, 1)[0])

    def portal_groups(self, target, mechanism):
        """Class PortalGroups, stepped through as Microsoft's client does (§2.2): a list of lists of portals."""
        buffer = self.information(target, mechanism, 3)
        if buffer is None:
            return []
        group, portal = (ctypes.sizeof(kind) for kind in (self.ISCSI_TARGET_PORTAL_GROUP, self.ISCSI_TARGET_PORTAL))
        (count,) = buffer.array(ULONG, 1)
        offset, groups = 4, []
        for _ in range(count):
            (portals,) = (ULONG * 1).from_buffer(buffer._memory, offset)
            found = (self.ISCSI_TARGET_PORTAL * portals).from_buffer(buffer._memory, offset + 4)
            groups.append([value_of(element) for element in found])
            offset += (group + (portals - 1) * portal + 3) & ~3 if portals else 4
        assert offset == buffer.used, f"the groups step to {offset} of {buffer.used} bytes"
        return groups


_OPTION_BITS = {
    "HeaderDigest": 0x01,
    "DataDigest": 0x02,
    "MaximumConnections": 0x04,
    "DefaultTime2Wait": 0x08,
    "DefaultTime2Retain": 0x10,
    "Username": 0x20,
    "Password": 0x40,
    "AuthType": 0x80,
}


def login_options(**fields):
    """`ISCSI_LOGIN_OPTIONS` with these fields and the bits that make them count; user name and password as bytes."""
    options = STRUCTS["ISCSI_LOGIN_OPTIONS"]()
    for name, content in fields.items():
        options.InformationSpecified |= _OPTION_BITS.get(name, 0)
        if isinstance(content, bytes):
            setattr(options, name + "Length", len(content))
            content = ansi(content)
        setattr(options, name, content)
    return options


def ike_information(id_type, identity, key=b"", flags=0, method=1):
    """`IKE_AUTHENTICATION_INFORMATION` with this identity and key (bytes)."""
    info = STRUCTS["IKE_AUTHENTICATION_INFORMATION"](AuthMethod=method)
    info.PsKey.SecurityFlags = flags
    info.PsKey.IdType = id_type
    info.PsKey.IdLengthInBytes = len(identity)
    info.PsKey.Id = ansi(identity)
    info.PsKey.KeyLengthInBytes = len(key)
    info.PsKey.Key = ansi(key) if key else None
    return info
