"""A portal that answers every Login request with what a test wants to see answered, typed from RFC 7143.

    with LoginPeer(status=(0x02, 0x03)) as peer:        # Initiator error: target not found
        api.login(target, api.portal(*peer.portal))
    assert peer.logins == 1

tgt gives only a few of the statuses that there are.
"""

import contextlib
import socket
import threading

from peers import Portal

_LOGIN_REQUEST, _LOGIN_RESPONSE = 0x03, 0x23
_HEADER = 48


def _receive(connection, length):
    """So many bytes; `OSError` if the other end closes before."""
    received = b""
    while len(received) < length:
        more = connection.recv(length - len(received))
        if not more:
            raise OSError("closed")
        received += more
    return received


class LoginPeer:
    """Answers with a status (class, detail), with text keys, or by closing the connection (`status` `None`).

    `text` is the data segment of the answer, such as `b"TargetAddress=127.0.0.1:3260,1\\0"`; `flags` the byte of
    transit and stages. `logins` counts the requests that were answered.
    """

    def __init__(self, status=(0, 0), text=b"", flags=0, portal=("127.0.0.1", 0)):
        self._answer = status
        self._text = text
        self._flags = flags
        self.logins = 0
        self._listener = socket.create_server(portal)
        self.portal = Portal(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def tell(self, status=(0, 0), text=b""):
        """Changes the answer."""
        self._answer, self._text = status, text

    def _accept(self):
        # Ends when the listener is shut down.
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while True:
                header = _receive(connection, _HEADER)
                length = int.from_bytes(header[5:8], "big")
                _receive(connection, (length + 3) & ~3)
                assert header[0] & 0x3F == _LOGIN_REQUEST, header
                self.logins += 1
                if self._answer is None:
                    return
                connection.sendall(self._response(header))

    def _response(self, request):
        response = bytearray(_HEADER)
        response[0] = _LOGIN_RESPONSE
        response[1] = self._flags
        response[5:8] = len(self._text).to_bytes(3, "big")
        # ISID and initiator task tag are those of the request; ExpCmdSN is its CmdSN, MaxCmdSN one more.
        response[8:14] = request[8:14]
        response[16:20] = request[16:20]
        response[28:32] = request[24:28]
        response[32:36] = (int.from_bytes(request[24:28], "big") + 1).to_bytes(4, "big")
        response[36:38] = bytes(self._answer)
        return bytes(response) + self._text + bytes(-len(self._text) % 4)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
