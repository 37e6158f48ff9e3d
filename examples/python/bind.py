#!/usr/bin/env python3
"""Binds paths on iSCSI disks, and reports all that are bound, through the W calls of the iSCSI Discovery Library.

    LD_LIBRARY_PATH=target/release examples/python/bind.py /srv/data /run/hawser/disk/by-id/…

Needs a running hawserd and the right to change what it does; without paths it only reports.
"""

import ctypes
import sys

ERROR_INSUFFICIENT_BUFFER = 122
DEVICE_ALREADY_PERSISTENTLY_BOUND = 0xEFFF005C

library = ctypes.CDLL("libiscsidsc.so.1")
library.IScsiStatusText.restype = ctypes.c_char_p


def check(status, *allowed):
    """Every call gives a status; 0 is success."""
    status &= 0xFFFFFFFF
    if status != 0 and status not in allowed:
        text = library.IScsiStatusText(ctypes.c_uint32(status)).decode()
        raise SystemExit(f"{text} (0x{status:08x})")
    return status


def wide(text):
    """A NUL-terminated text of 16-bit characters: ctypes' own wchar_t has 32."""
    return text.encode("utf-16-le") + b"\0\0"


def bound_paths():
    """The bound paths: the call is asked for the size, in characters, until the list fits."""
    size = ctypes.c_uint32(0)
    buffer = None
    while check(
        library.ReportPersistentIScsiDevicesW(ctypes.byref(size), buffer),
        ERROR_INSUFFICIENT_BUFFER,
    ):
        buffer = ctypes.create_string_buffer(2 * size.value)
    if buffer is None:
        return []
    texts = buffer.raw[: 2 * size.value].decode("utf-16-le")
    return [text for text in texts.split("\0") if text]


def main():
    for path in sys.argv[1:]:
        check(library.AddPersistentIScsiDeviceW(wide(path)), DEVICE_ALREADY_PERSISTENTLY_BOUND)
    for path in bound_paths():
        print(path)


main()
