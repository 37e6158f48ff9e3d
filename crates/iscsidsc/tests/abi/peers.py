"""The targets of tgt that stand behind the daemon, as the environment of the test program tells them.

`OPEN` is a server without CHAP at two portals, `GUARDED` one whose targets demand it:

| | |
|---|---|
| `DISKS` | at `OPEN`, three disks of 64 MiB with 512-byte blocks at LUN 1, 2 and 3 (LUN 0 of tgt is a controller) |
| `OTHER` | at `OPEN`, two such disks; takes digests and up to 4 connections, and answers other keys than tgt by default |
| `NAMED` | at `OPEN`, one such disk, shown only to the initiator `NAMED_INITIATOR` |
| `CHAP` | at `GUARDED`, one disk, for `CHAP_USER` with `CHAP_SECRET` |
| `NODE_CHAP` | the same for the account `NODE_CHAP_INITIATOR`, the default of an initiator of that name |
| `MUTUAL` | the same, and it proves itself as `MUTUAL_USER` with `MUTUAL_SECRET` |

tgt tells in SendTargets only the portal at which it is asked: a target has both portals of `OPEN` once both are added.

`Relay` stands between the daemon and a portal, to cut connections that tgt itself would keep.
"""

import contextlib
import os
import socket
import threading
from typing import NamedTuple


class Portal(NamedTuple):
    """Where a server listens."""

    address: str
    port: int


def _portal(name):
    address, _, port = os.environ[name].rpartition(":")
    return Portal(address.strip("[]"), int(port))


#: Both portals of the open server; targets are reachable at both.
OPEN, OPEN_SECOND = _portal("OPEN_PORTAL"), _portal("OPEN_SECOND_PORTAL")
GUARDED = _portal("GUARDED_PORTAL")
DISKS, OTHER, NAMED = (os.environ[name] for name in ("DISKS", "OTHER", "NAMED"))
CHAP, MUTUAL, NODE_CHAP = (os.environ[name] for name in ("CHAP", "MUTUAL", "NODE_CHAP"))
NODE_CHAP_INITIATOR = os.environ["NODE_CHAP_INITIATOR"]
NAMED_INITIATOR = os.environ["NAMED_INITIATOR"]
CHAP_USER, CHAP_SECRET, MUTUAL_USER, MUTUAL_SECRET = (
    os.environ[name].encode() for name in ("CHAP_USER", "CHAP_SECRET", "MUTUAL_USER", "MUTUAL_SECRET")
)
#: Bytes of each disk, and of its blocks.
DISK_SIZE, BLOCK_SIZE = 64 << 20, 512


def nowhere():
    """A portal at which nobody listens: its port is bound, and kept, by a socket that does not listen."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return Portal(*held.getsockname())


_HELD = []


class Relay:
    """Passes bytes between whoever connects to `portal` and a server; a context manager.

    `cut()` breaks what is connected, `refuse()` also refuses what comes then, until `accept()`; `hold()` passes nothing on
    until `release()`, or the cut. `sent` is what came from the initiator's side so far.
    """

    def __init__(self, server):
        self._server = server
        self._lock = threading.Lock()
        self._pairs = []
        self.sent = bytearray()
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.portal = Portal(*self._listener.getsockname())
        self._serve()

    def _serve(self):
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener):
        # Ends when the listener is shut down.
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    pair = (near, socket.create_connection(self._server))
                except OSError:
                    near.close()
                    continue
                with self._lock:
                    self._pairs.append(pair)
                for ends in ((*pair, self.sent), (*pair[::-1], None)):
                    threading.Thread(target=_pass, args=(self._open, *ends), daemon=True).start()

    def cut(self):
        """Breaks all connections."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

        self.release()

    def hold(self):
        """Keeps what comes, from either side."""
        self._open.clear()

    def release(self):
        """Passes on what was kept, and all that comes."""
        self._open.set()

    def refuse(self):
        """Breaks all connections and refuses further ones."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def accept(self):
        """Takes connections again, at the same portal."""
        self._listener = socket.create_server(self.portal)
        self._serve()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.refuse()


def _pass(gate, source, sink, record):
    """Bytes one way while the gate is open, until one of the ends is closed."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if record is not None:
                record += data
            gate.wait()
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
