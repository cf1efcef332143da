"""A client for ipfs-kitd, in one file, with nothing but the standard library.

    from ipfs_kitd import Client

    with Client() as kitd:
        print(kitd.call("status")["kubo"]["state"])
        for pin in kitd.rows("pin_ls", tag="holidays"):
            print(pin["cid"], pin["size"])
        for event in kitd.rows("events", follow=True):
            print(event["at"], event["what"])
        print(kitd.table("pin_ls", columns=["cid", "size"]).to_pandas())  # where pyarrow is there

A verb and its fields are those of the protocol, in snake_case; fields that are left out have their default. A field that is a word
of Python's own takes a `_` behind it: kitd.call("wait", for_="index_complete").
A connection has one call at a time; rows that are not read to their end are given up. A client is not to be shared between threads.
"""

import base64
import json
import os
import socket

__all__ = ["Client", "Fault", "sockets"]

#: The longest message of the daemon, in bytes; long answers come in parts far below it.
LONGEST = 8 << 20


ROWS = {"pins", "changes", "entries", "accesses", "samples", "lines", "events"}
"""What the rows of a listing are called."""


class Fault(Exception):
    """The daemon's answer when there is none: `kind` for programs, `detail` for people, `hint` what to do next, or None."""

    def __init__(self, kind, detail, hint=None):
        super().__init__(f"{detail} ({hint})" if hint else detail)
        self.kind, self.detail, self.hint = kind, detail, hint


def sockets():
    """Where a daemon's socket is looked for, in this order."""
    named = os.environ.get("IPFS_KITD_SOCKET")
    if named:
        return [named]
    runtime, home = os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("HOME")
    places = [runtime and f"{runtime}/ipfs-kitd", home and f"{home}/.ipfs_kit/run", "/run/ipfs-kitd"]
    return [f"{place}/ipfs-kitd.sock" for place in places if place]


class Client:
    """A connection. `path` names the socket; `timeout` is how many seconds the daemon may say nothing, None: for ever."""

    def __init__(self, path=None, timeout=None):
        self._id = 0
        self._paths = [path] if path else sockets()
        self._socket = _connect(self._paths)
        self._socket.settimeout(timeout)
        self._lines = self._socket.makefile("rb")

    def call(self, verb, deadline_ms=None, **fields):
        """The answer to a verb, without what comes in parts. Raises Fault, or OSError when the connection breaks."""
        done = {}
        for done in self._answer(verb, deadline_ms, fields):
            pass
        return done["done"]

    def parts(self, verb, deadline_ms=None, **fields):
        """The parts of an answer as they come, and its end as the last one."""
        for message in self._answer(verb, deadline_ms, fields):
            yield message["part"] if "part" in message else message["done"]

    def rows(self, verb, deadline_ms=None, **fields):
        """The rows of a listing as they come: pins, changes, entries, accesses, samples, lines or events."""
        for part in self.parts(verb, deadline_ms, **fields):
            for name in ROWS & part.keys():
                yield from part[name]

    def bulk(self, verb, form, deadline_ms=None, **fields):
        """The rows of a listing as the bytes of another form as they come: "arrow" (an IPC stream) or "parquet" (a file)."""
        for part in self.parts(verb, deadline_ms, bulk=form, **fields):
            if isinstance(part.get("bytes"), str):
                yield base64.b64decode(part["bytes"])
            elif ROWS & part.keys():
                raise ConnectionError("this ipfs-kitd does not know rows as bytes; take rows()")

    def table(self, verb="pin_ls", deadline_ms=None, **fields):
        """The rows of a listing as a pyarrow.Table; as_of, generation and the like are in its schema's metadata."""
        import pyarrow

        return pyarrow.ipc.open_stream(b"".join(self.bulk(verb, "arrow", deadline_ms, **fields))).read_all()

    def snapshot_fd(self):
        """The newest snapshot, and its pins.arrow as a descriptor for reading, which the caller closes. It can be mapped."""
        # A connection of its own: whoever reads what is left of another answer would lose the descriptor.
        with _connect(self._paths) as connection:
            connection.settimeout(self._socket.gettimeout())
            connection.sendall(b'{"id":1,"call":{"snapshot_fd":{}}}\n')
            line, fds = b"", []
            try:
                while not line.endswith(b"\n") and len(line) < LONGEST:
                    more, passed, _, _ = socket.recv_fds(connection, 1 << 16, 1)
                    fds += passed
                    for fd in passed:
                        os.set_inheritable(fd, False)  # recv_fds takes no notice of MSG_CMSG_CLOEXEC.
                    if not more:
                        raise ConnectionError("ipfs-kitd closed the connection before it had answered")
                    line += more
                message = json.loads(line)
                if message["id"] not in (0, 1):
                    raise ConnectionError("ipfs-kitd answered another call")
                if "fault" in message:
                    fault = message["fault"]
                    raise Fault(fault["kind"], fault["detail"], fault.get("hint"))
                if len(fds) != 1:
                    raise ConnectionError(f"ipfs-kitd sent {len(fds)} descriptors with its answer")
                return message["done"]["snapshot_fd"], fds.pop()
            finally:
                for fd in fds:
                    os.close(fd)

    def close(self):
        """Hangs up, which ends a call that is under way."""
        self._lines.close()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _answer(self, verb, deadline_ms, fields):
        number = self._id = self._id + 1
        fields = {name.rstrip("_"): value for name, value in fields.items()}
        request = {"id": number, "deadline_ms": deadline_ms, "call": {verb: fields}}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            line = self._lines.readline(LONGEST)
            if not line.endswith(b"\n"):
                raise ConnectionError("ipfs-kitd closed the connection before it had answered")
            message = json.loads(line)
            if message["id"] not in (0, number):
                continue  # The rest of a call that was given up.
            if "fault" in message:
                fault = message["fault"]
                raise Fault(fault["kind"], fault["detail"], fault.get("hint"))
            kind = "part" if "part" in message else "done"
            (body,) = message[kind].values()
            if kind == "done":
                yield {kind: body}
                return
            try:
                yield {kind: body}
            except GeneratorExit:  # Nobody wants the rest.
                self._cancel(number)
                raise

    def _cancel(self, number):
        self._id += 1
        request = {"id": self._id, "call": {"cancel": {"id": number}}}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            pass  # It is closed, which has ended the call.


def _connect(paths):
    tried = []
    for path in paths:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
            return connection
        except OSError as error:
            connection.close()
            tried.append(f"{path} ({error.strerror or error})")
    raise ConnectionError("no ipfs-kitd answers; tried " + ", ".join(tried))
