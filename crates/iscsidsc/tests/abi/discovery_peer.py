"""A portal that tells of targets what a test wants told, typed from RFC 7143 (§11 and Appendix C).

    with DiscoveryPeer({"iqn.2026-11.test:one": [("192.0.2.1", 3260, 1), ("192.0.2.2", 3260, 2)]}) as peer:
        check(api.AddIScsiSendTargetPortal(None, ISCSI_ANY_INITIATOR_PORT, None, 0, api.portal(*peer.portal)))
        peer.targets = {}
        …
    assert peer.asked == 2

tgt tells one portal group only, cannot be asked for CHAP before it tells, and does not say how often it was asked.
Only discovery sessions are served: a login to a target is refused (session type not supported).
"""

import contextlib
import hashlib
import hmac
import os
import socket
import threading

from peers import Portal

_HEADER = 48
_LOGIN, _TEXT, _LOGOUT = 0x03, 0x04, 0x06
_ANSWER_TO = {_LOGIN: 0x23, _TEXT: 0x24, _LOGOUT: 0x26}
#: Of a Login PDU: ready to leave the stage; stages.
_TRANSIT, _SECURITY, _OPERATIONAL, _FULL = 0x80, 0, 1, 3
_FINAL = 0x80
_NO_TAG = b"\xff\xff\xff\xff"
#: Statuses of a login: class and detail.
_NOT_AUTHENTICATED, _NO_SUCH_TYPE = (2, 1), (2, 9)
#: Keys that tell, and are not negotiated.
_TELLING = {
    b"InitiatorName",
    b"InitiatorAlias",
    b"SessionType",
    b"TargetName",
    b"MaxRecvDataSegmentLength",
}
#: MD5, as `CHAP_A` has it.
_MD5 = b"5"


def _receive(connection, length):
    """So many bytes; `OSError` if the other end closes before."""
    received = b""
    while len(received) < length:
        more = connection.recv(length - len(received))
        if not more:
            raise OSError("closed")
        received += more
    return received


def _pairs(data):
    """The keys and values of a data segment, as bytes: a value need not be UTF-8."""
    return dict(pair.split(b"=", 1) for pair in data.split(b"\0") if pair)


def _text(pairs):
    return b"".join(key + b"=" + value + b"\0" for key, value in pairs)


class Refused(Exception):
    """The login ends with this status."""

    def __init__(self, *status):
        super().__init__(status)
        self.status = status


class DiscoveryPeer:
    """A context manager; what it answers may be changed at any time.

    `targets` are names with portals `(address, port, tag)`; `raw` is the text of the answer instead of them. `chap` is
    the user name and secret (bytes) that are asked for. `status` is the class and detail with which every login ends,
    `login_text` what is told with it. If it `closes`, it does so where it should tell of targets. It waits for
    `may_tell`, which is set unless the test clears it.

    `asked` counts the sessions that were told of targets, `users` are the CHAP names that were given, `sources` the
    addresses from which it was connected to, `told` the keys of the last first Login request.
    """

    def __init__(self, targets=None, chap=None):
        self.targets = targets or {}
        self.chap = chap
        self.raw, self.closes = None, False
        self._counting = threading.Lock()
        self.may_tell = threading.Event()
        self.may_tell.set()
        self.status, self.login_text = None, b""
        self.asked, self.users, self.sources, self.told = 0, [], [], {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.portal = Portal(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        # Ends when the listener is shut down.
        with contextlib.suppress(OSError):
            while True:
                connection, (source, _) = self._listener.accept()
                self.sources.append(source)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            session = _Session(self, connection)
            while session.answer():
                pass

    def is_asked(self):
        """Counts, and waits until the test lets it answer."""
        with self._counting:
            self.asked += 1
        self.may_tell.wait()

    def answer_to_send_targets(self):
        """The text that tells of the targets."""
        if self.raw is not None:
            return self.raw
        pairs = []
        for name, portals in self.targets.items():
            pairs.append((b"TargetName", name.encode()))
            for address, port, tag in portals:
                shown = f"[{address}]" if ":" in address else address
                pairs.append((b"TargetAddress", f"{shown}:{port},{tag}".encode()))
        return _text(pairs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.may_tell.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class _Session:
    """One connection."""

    def __init__(self, peer, connection):
        self._peer = peer
        self._connection = connection
        self._first = True
        self._status_number = 0
        self._challenge = None

    def answer(self):
        """Answers one request; whether another may follow."""
        header = _receive(self._connection, _HEADER)
        length = int.from_bytes(header[5:8], "big")
        data = _receive(self._connection, (length + 3) & ~3)[:length]
        operation = header[0] & 0x3F
        if operation == _LOGIN:
            return self._login(header, data)
        if operation == _TEXT and self._peer.closes:
            return False
        if operation == _TEXT:
            self._peer.is_asked()
            self._send(header, _FINAL, self._peer.answer_to_send_targets(), tag=_NO_TAG)
            return True
        self._send(header, _FINAL, b"")
        return False

    def _login(self, header, data):
        pairs = _pairs(data)
        try:
            flags, answers = self._step(header[1], pairs)
        except Refused as refused:
            self._send(header, 0, self._peer.login_text, status=refused.status)
            return False
        self._send(header, flags, _text(answers), status=(0, 0))
        return True

    def _step(self, flags, pairs):
        """The flags and answers to one Login request."""
        peer, first = self._peer, self._first
        self._first = False
        if first:
            peer.told = pairs
            if peer.status:
                raise Refused(*peer.status)
            if pairs.get(b"SessionType") != b"Discovery":
                raise Refused(*_NO_SUCH_TYPE)
        if flags >> 2 & 3 == _OPERATIONAL:
            return flags & 0x8F, self._negotiated(pairs)
        return self._security(flags, pairs, first)

    def _security(self, flags, pairs, first):
        leave = _TRANSIT | _SECURITY << 2 | _OPERATIONAL
        if self._peer.chap is None:
            return leave, [(b"AuthMethod", b"None")] if first else []
        if first:
            if b"CHAP" not in pairs.get(b"AuthMethod", b"").split(b","):
                raise Refused(*_NOT_AUTHENTICATED)
            return _SECURITY << 2, [(b"AuthMethod", b"CHAP")]
        if b"CHAP_A" in pairs:
            assert _MD5 in pairs[b"CHAP_A"].split(b","), pairs
            self._challenge = os.urandom(16)
            challenge = b"0x" + self._challenge.hex().encode()
            return _SECURITY << 2, [(b"CHAP_A", _MD5), (b"CHAP_I", b"7"), (b"CHAP_C", challenge)]
        self._check(pairs)
        return leave, []

    def _check(self, pairs):
        """The user must know the secret (RFC 1994 §4.1)."""
        user, secret = self._peer.chap
        self._peer.users.append(pairs[b"CHAP_N"])
        wanted = hashlib.md5(b"\x07" + secret + self._challenge).digest()
        given = bytes.fromhex(pairs[b"CHAP_R"].decode().removeprefix("0x"))
        if pairs[b"CHAP_N"] != user or not hmac.compare_digest(given, wanted):
            raise Refused(*_NOT_AUTHENTICATED)

    def _negotiated(self, pairs):
        """What is offered is taken, of a list its first item."""
        answers = [(key, value.split(b",")[0]) for key, value in pairs.items() if key not in _TELLING]
        return answers

    def _send(self, request, flags, text, status=None, tag=bytes(4)):
        """Answers with the tags of the request and with sequence numbers that fit it."""
        answer = bytearray(_HEADER)
        operation = request[0] & 0x3F
        answer[0], answer[1] = _ANSWER_TO[operation], flags
        answer[5:8] = len(text).to_bytes(3, "big")
        if operation == _LOGIN:
            answer[8:14] = request[8:14]
            # A session that is made has a handle of the target's.
            answer[15] = flags & _TRANSIT and flags & 3 == _FULL
            answer[36:38] = bytes(status)
        answer[16:20] = request[16:20]
        answer[20:24] = tag
        answer[24:28] = self._status_number.to_bytes(4, "big")
        self._status_number += 1
        expected = int.from_bytes(request[24:28], "big") + (not request[0] & 0x40)
        answer[28:32] = (expected & 0xFFFFFFFF).to_bytes(4, "big")
        answer[32:36] = ((expected + 8) & 0xFFFFFFFF).to_bytes(4, "big")
        self._connection.sendall(bytes(answer) + text + bytes(-len(text) % 4))
