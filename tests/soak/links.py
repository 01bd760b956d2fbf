"""The links of a soak, in a process of their own, so that clients which need CPU time do not hold them up."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import signal
import socket
import sys
from collections.abc import Callable
from itertools import count
from random import Random

import gevent
from gevent.event import Event
from gevent.server import StreamServer

from tests.hostile.server import end_with_input
from tests.soak.link import HOST, LOSSLESS, LOSSY, Fault, Link
from tests.soak.punctuality import Punctuality, look_up_at_once


def carrier(port: int, fault: Fault, seed: str) -> Callable[[socket.socket, object], None]:
    """Return what carries each connection to ``port``: what happens to the nth follows the seed."""
    numbers = count()

    def carry(near: socket.socket, address: object) -> None:
        Link(fault, Random(f"{seed} {fault.__name__} {next(numbers)}")).carry(near, port)

    return carry


def listen(port: int, fault: Fault, seed: str) -> int:
    """Return a port whose connections lead to ``port``, with this fault."""
    listener = socket.create_server((HOST, 0), backlog=1024)
    StreamServer(listener, carrier(port, fault, seed)).start()
    return int(listener.getsockname()[1])


def main() -> None:
    """Say, in JSON, which ports lead to those of the arguments, by fault; at the end, when this was late."""
    seed, *ports = sys.argv[1:]
    monkey.get_original("_thread", "start_new_thread")(end_with_input, ())
    look_up_at_once()
    punctuality = Punctuality()
    links = {
        port: {fault.__name__: listen(int(port), fault, seed) for fault in (*LOSSLESS, *LOSSY)}
        for port in ports
    }
    ended = Event()
    gevent.signal_handler(signal.SIGTERM, ended.set)
    print(json.dumps(links), flush=True)
    ended.wait()
    print(json.dumps(punctuality.late), flush=True)


if __name__ == "__main__":
    main()
