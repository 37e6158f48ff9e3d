"""A daemon of the test's own: `hawserd` with private directories, over its restarts.

    with Service() as service:
        …
        service.restart()

The program is `HAWSERD` of the environment. While it is entered, `HAWSER_SOCKET` leads to it, which is where the
library looks at each call.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

#: How long anything may take.
LIMIT = 60
#: How often a condition is looked at.
INTERVAL = 0.02
#: prctl(2).
_PR_SET_PDEATHSIG = 1
#: What of the log a failure shows, in bytes.
_LOG_TAIL = 8000


def until(what, condition, limit=LIMIT):
    """Waits until `condition()` gives something true, and gives that.

    A `Refused`, `AssertionError` or `OSError` of it is no end yet; at the deadline the last one is told.
    """
    deadline = time.monotonic() + limit
    while True:
        try:
            found = condition()
            last = repr(found)
        except (AssertionError, OSError, RuntimeError) as error:
            found, last = None, str(error)
        if found:
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not come about in {limit} s; last: {last}")
        time.sleep(INTERVAL)


def _die_with_parent():
    """The child ends in good order when this process does, however that goes."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Ended(Exception):
    """The daemon ended while it should start: there is no sense in waiting on."""


class Service:
    """The daemon of a test; enter it, or `start` and `close` it.

    `export` is how it shows disks (none, fuse, …), `config` the text of its hawser.toml, `arguments` are further ones.
    """

    #: What those said that have been closed, for who shows failures.
    ended = []

    def __init__(self, export="none", config="", arguments=()):
        self.directory = tempfile.mkdtemp(prefix="hawser-abi-")
        self.socket = self.path("hawser.sock")
        self._arguments = ["--export", export, *arguments]
        self._process = None
        self._before = None
        with open(self.path("hawser.toml"), "w", encoding="utf-8") as file:
            file.write(config)

    def path(self, name):
        """A file or directory of its own."""
        return os.path.join(self.directory, name)

    def start(self):
        """Starts it on what an earlier one left; returns when it answers."""
        assert self._process is None, "it runs"
        places = {"socket": self.socket, "config": self.path("hawser.toml")}
        places.update({"state-dir": self.path("state"), "runtime-dir": self.path("run")})
        command = [os.environ["HAWSERD"]]
        for name, place in places.items():
            command += [f"--{name}", place]
        with open(self.path("log"), "ab") as log:
            self._process = subprocess.Popen(
                command + self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        until("the daemon to answer", self._answers)
        return self

    def _answers(self):
        code = self._process.poll()
        if code is not None:
            raise Ended(f"hawserd ended with {code}:\n{self.log()}")
        # It listens when it serves, and no sooner.
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.connect(self.socket)
        return True

    def stop(self):
        """Asks it to end (SIGTERM) and waits for that."""
        process, self._process = self._process, None
        process.terminate()
        try:
            code = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"hawserd did not end in {LIMIT} s:\n{self.log()}") from None
        assert code == 0, f"hawserd ended with {code}:\n{self.log()}"

    def kill(self):
        """Ends it at once (SIGKILL)."""
        process, self._process = self._process, None
        process.kill()
        process.wait()

    def restart(self):
        """Stops it in good order and starts it again."""
        self.stop()
        self.start()

    def is_running(self):
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def log(self):
        """The end of what it said."""
        with open(self.path("log"), "rb") as log:
            return log.read()[-_LOG_TAIL:].decode(errors="replace")

    def close(self):
        """Ends it and removes its directories."""
        try:
            if self._process is not None:
                self.stop()
        finally:
            if self._before is None:
                os.environ.pop("HAWSER_SOCKET", None)
            else:
                os.environ["HAWSER_SOCKET"] = self._before
            with contextlib.suppress(FileNotFoundError):
                Service.ended.append(self.log())
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        self._before = os.environ.get("HAWSER_SOCKET")
        os.environ["HAWSER_SOCKET"] = self.socket
        try:
            self.start()
        except BaseException:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()
