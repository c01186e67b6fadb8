"""The spawner's door: who may order what over the socket; it must not block on a peer that reads slowly."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import traceback
from collections.abc import Callable
from typing import Any

from services.node.runtime import wire
from services.node.runtime.spawner.beside import Beside
from services.node.runtime.spawner.loop import Loop
from services.node.runtime.spawner.nodewatch import NodeWatch
from services.node.runtime.spawner.shutdown import Shutdown
from services.node.runtime.spawner.supervisor import Supervisor

Message = dict[str, Any]


class Peer:
    """One connection. Messages in are handed to `hear`; messages out wait in a buffer until the peer reads."""

    def __init__(
        self, loop: Loop, line: socket.socket, hear: Callable[[Peer, Message], None], gone: Callable[[Peer], None]
    ) -> None:
        self._loop, self._line, self._hear, self._gone = loop, line, hear, gone
        self._frames, self._out = wire.Frames(), bytearray()
        self.pid, self.uid, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        line.setblocking(False)
        loop.readable(line.fileno(), self._ready)

    def _ready(self) -> None:
        self._flush()
        try:
            data = self._line.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        try:
            for message in self._frames.feed(data):
                self._hear(self, message)
        except ValueError:
            self.close()  # it does not speak our language

    def send(self, message: Message) -> None:
        if self._line.fileno() >= 0:
            self._out += wire.pack(message)
            self._flush()

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._out:
                del self._out[: self._line.send(self._out)]
        self._loop.writable_too(self._line.fileno(), bool(self._out))

    def close(self) -> None:
        if self._line.fileno() >= 0:
            self._loop.forget(self._line.fileno())
            self._line.close()
            self._gone(self)


class Server:
    """Accepts peers of the same account (or root) and carries out their orders."""

    def __init__(self, loop: Loop, door: socket.socket, watch: NodeWatch) -> None:
        self._loop, self._door, self._watch = loop, door, watch
        self._node: Peer | None = None
        self._stopping = False
        self.supervisor: Supervisor
        loop.readable(door.fileno(), self._accept)

    def _accept(self) -> None:
        line, _ = self._door.accept()
        peer = Peer(self._loop, line, self._hear, self._lost)
        if peer.uid not in (0, os.getuid()):
            peer.close()

    def say(self, message: Message) -> None:
        """An event for the node; without one it is on disk and in memory for the next node to ask."""
        if self._node is not None:
            self._node.send(message)

    def _lost(self, peer: Peer) -> None:
        if peer is self._node:
            self._node = None
            self._watch.lost()

    def _hear(self, peer: Peer, message: Message) -> None:
        order = getattr(self, f"_on_{message.get('op')}", None)
        try:
            answer = {"error": f"unknown order {message.get('op')!r}"} if order is None else order(peer, message)
        except Exception as error:  # an order without an answer would hang the node
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        if answer is not None:
            peer.send({"id": message.get("id"), **answer})

    def _on_hello(self, peer: Peer, message: Message) -> Message:
        previous, self._node = self._node, peer
        if previous is not None:
            previous.close()
        self._watch.connected(peer.pid, message["command"])
        for name in message.get("warm", ()):
            self.supervisor.zygotes[name].warm()
        return self._on_info(peer, message)

    def _on_info(self, peer: Peer, message: Message) -> Message:
        zygotes = {name: {"state": each.state, "pid": each.pid} for name, each in self.supervisor.zygotes.items()}
        return {"pid": os.getpid(), "mode": self.supervisor.mode, "zygotes": zygotes, "node": self._watch.pid}

    def _on_start(self, peer: Peer, message: Message) -> Message:
        if self._stopping:
            return {"error": "the platform is shutting down"}
        self.supervisor.start(message["request"])
        return {}

    def _on_signal(self, peer: Peer, message: Message) -> Message:
        self.supervisor.signal(message["pod"], message["name"], signal.Signals(message["signal"]))
        return {}

    def _on_kill(self, peer: Peer, message: Message) -> Message:
        self.supervisor.kill(message["pod"], message["name"], message["grace_s"])
        return {}

    def _on_list(self, peer: Peer, message: Message) -> Message:
        return {"records": [dict(record) for record in self.supervisor.all_records()]}

    def _on_forget(self, peer: Peer, message: Message) -> None:
        self.supervisor.forget(message["pod"], lambda: peer.send({"id": message["id"]}))

    def _on_exec(self, peer: Peer, message: Message) -> Message | None:
        container = self.supervisor.running(message["pod"], message["name"])
        if container is None:
            return {"exit_code": 126, "output": f"container {message['name']} is not running", "timed_out": False}

        def answer(result: Message) -> None:
            peer.send({"id": message["id"], **result})

        command = Beside(self._loop, container, message["argv"], message["timeout_s"], answer)
        self.supervisor.helpers[command.pid] = command.ended
        return None

    def _on_warm(self, peer: Peer, message: Message) -> None:
        zygote = self.supervisor.zygotes[message["zygote"]]
        zygote.when_settled(lambda: peer.send({"id": message["id"], "state": zygote.state}))

    def _on_shutdown(self, peer: Peer, message: Message) -> Message:
        self.say({"event": "shutdown"})
        if self._stopping:
            return {}
        self._stopping = True
        self._watch.pause()
        Shutdown(self._loop, self.supervisor, self._watch, message["grace_s"]).begin()
        return {}
