"""The workloads with compressed messages: what is sent and measured, and which wrong answers are detected."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.catalogue import PEERS
from benchmarks.measure import MeasurementError, Meter
from benchmarks.server import Server
from benchmarks.toolchain import compile_load_generator
from benchmarks.workloads import WORKLOADS, Workload
from tests.benchmarks.generator import accepted, run, run_against

COMPILER = shutil.which(os.environ.get("CC", "cc"))
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


def has_zlib() -> bool:
    """Whether a C program can include zlib's header."""
    if COMPILER is None:
        return False
    command = [COMPILER, "-E", "-x", "c", "-"]
    return subprocess.run(command, input=b"#include <zlib.h>", capture_output=True).returncode == 0


needs_zlib = pytest.mark.skipif(not has_zlib(), reason="no zlib.h")

CORES = sorted(os.sched_getaffinity(0))
WITHOUT_TAKEOVER = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"
TAIL = b"\x00\x00\xff\xff"
CLOSING = b"\x88\x02\x03\xf3"
COMPRESSED_TEXT = 0xC1


def workload(*arguments: str) -> Workload:
    return Workload("trial", "", "load", ("echo", *arguments), deflate=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(PEERS[0], Path(sys.executable), CORES, flags=["--deflate"]) as running:
        yield running


def payload(frame: bytes) -> bytes:
    """Return the payload of a masked frame of less than 64 KiB."""
    start = 4 if frame[1] & 0x7F == 126 else 2
    return bytes(byte ^ frame[start + index % 4] for index, byte in enumerate(frame[start + 4 :]))


def message(frame: bytes) -> bytes:
    """Return the content of the compressed message in a frame."""
    return zlib.decompressobj(-15).decompress(payload(frame) + TAIL)


def frame_of(first: int, content: bytes) -> bytes:
    assert len(content) < 126
    return bytes([first, len(content)]) + content


def compressed(content: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(content) + compressor.flush(flush)).removesuffix(TAIL)


@needs_zlib
@pytest.mark.parametrize(
    "arguments",
    [
        ("--size=1024",),
        ("--size=16384", "--connections=4", "--depth=5"),
        ("--size=300000", "--connections=2"),
    ],
    ids=" ".join,
)
def test_a_server_that_compresses_is_measured_with_the_bytes_of_its_echoes(load, server, arguments):
    values = Meter(load, CORES, 0.3).measure(workload(*arguments), server)
    assert values["messages_per_second"] > 10
    assert 0 < values["p50_us"] <= values["p99_us"]
    size = int(arguments[0].partition("=")[2])
    assert size / 20 < values["wire_bytes_per_message"] < size / 2


@needs_zlib
def test_an_echo_below_the_servers_threshold_does_not_count_as_compressed(load, server):
    with pytest.raises(MeasurementError, match="came back without compression, with 1023 bytes"):
        Meter(load, CORES, 0.3).measure(workload("--size=1023"), server)


@needs_zlib
@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([], "did not accept permessage-deflate"),
        (["Sec-WebSocket-Extensions: other"], "ignored a parameter"),
        (["sec-websocket-extensions: permessage-deflate"], "ignored a parameter"),
        ([WITHOUT_TAKEOVER + "; client_max_window_bits=10"], "limited the client's window"),
    ],
    ids=["none", "other", "with context", "window"],
)
def test_an_extension_that_is_refused_or_changed_is_found(load, headers, error):
    report = run_against(load, bytes, "--deflate", "--size=100", head=accepted(*headers))
    assert error in report["error"]


def uncompressed(frame: bytes) -> bytes:
    return frame_of(0x81, message(frame))


def changed(frame: bytes) -> bytes:
    return frame_of(COMPRESSED_TEXT, compressed(message(frame)[:-1] + b"!"))


def longer(frame: bytes) -> bytes:
    return frame_of(COMPRESSED_TEXT, compressed(message(frame) + b"."))


def much_longer(frame: bytes) -> bytes:
    return frame_of(COMPRESSED_TEXT, compressed(bytes(1 << 14)))


def cut(frame: bytes) -> bytes:
    return frame_of(COMPRESSED_TEXT, payload(frame)[:40])


def empty(frame: bytes) -> bytes:
    return frame_of(COMPRESSED_TEXT, b"")


def corrupt(frame: bytes) -> bytes:
    return frame_of(COMPRESSED_TEXT, b"\xff" * 40)


def binary(frame: bytes) -> bytes:
    return frame_of(0xC2, payload(frame))


def endless(frame: bytes) -> bytes:
    return frame_of(0x41, payload(frame)) + frame_of(0x00, bytes(125)) * 20


def twice(frame: bytes) -> bytes:
    return frame_of(COMPRESSED_TEXT, payload(frame)) * 2


def compressed_continuation(frame: bytes) -> bytes:
    return frame_of(0x41, payload(frame)) + frame_of(0xC0, b"")


def compressed_pong(frame: bytes) -> bytes:
    return frame_of(0xCA, b"")


@needs_zlib
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (uncompressed, "came back without compression, with 100 bytes"),
        (changed, "came back changed, with 100 bytes when inflated"),
        (longer, "came back changed, with 101 bytes when inflated"),
        (much_longer, "cannot be inflated to 100"),
        (cut, "message 0 came back"),
        (empty, "came back changed, with 0 bytes when inflated"),
        (corrupt, "cannot be inflated"),
        (binary, "came back with opcode 2"),
        (endless, "came back with more than"),
        (twice, "message 1 came back changed"),
        (compressed_continuation, "reserved bits"),
        (compressed_pong, "reserved bits"),
    ],
)
def test_a_wrong_echo_is_found(load, answer, error):
    report = run_against(load, answer, "--deflate", "--size=100", head=accepted(WITHOUT_TAKEOVER))
    assert error in report["error"]


def in_fragments(frame: bytes) -> bytes:
    content = payload(frame)
    return frame_of(0x41, content[:7]) + frame_of(0x00, b"") + frame_of(0x80, content[7:])


def final_block(frame: bytes) -> bytes:
    return frame_of(COMPRESSED_TEXT, compressed(message(frame), zlib.Z_FINISH) + b"\x00")


def stored_block(frame: bytes) -> bytes:
    content = message(frame)
    size = len(content).to_bytes(2, "little")
    return frame_of(COMPRESSED_TEXT, b"\x00" + size + bytes(byte ^ 0xFF for byte in size) + content + b"\x00")


@needs_zlib
@pytest.mark.parametrize("echo", [in_fragments, final_block, stored_block])
def test_an_echo_is_right_if_its_content_is_however_it_is_compressed(load, echo):
    report = run_against(
        load, lambda frame: echo(frame) + CLOSING, "--deflate", "--size=100", head=accepted(WITHOUT_TAKEOVER)
    )
    assert "closed it with 1011" in report["error"]  # and detected nothing wrong before that


@needs_zlib
@pytest.mark.parametrize("size", [64, 1024, 4000])
def test_what_is_sent_is_json_of_the_size_that_was_asked_for(load, size):
    sent: list[Any] = []

    def note(frame: bytes) -> bytes:
        sent.append(message(frame))
        return CLOSING

    run_against(load, note, "--deflate", f"--size={size}", head=accepted(WITHOUT_TAKEOVER))
    assert len(sent[0]) == size
    orders = json.loads(sent[0])["orders"]
    assert size // 200 <= len(orders) <= size / 100
    assert len({order["id"] for order in orders}) == len(orders)


@needs_zlib
def test_a_message_that_is_too_short_for_json_is_refused(load):
    assert "--size of at least 64" in run(load, "echo", "--port=1", "--deflate", "--size=63")["error"]


def test_a_load_generator_without_zlib_says_so(tmp_path, monkeypatch):
    compiler = tmp_path / "cc"
    compiler.write_text(f'#!/bin/sh\ncase " $* " in *" -lz "*) exit 1;; esac\nexec {COMPILER} "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    report = run(compile_load_generator(tmp_path), "echo", "--port=1", "--deflate", "--size=100")
    assert "compiled without zlib" in report["error"]
    assert "zlib1g-dev" in report["error"]


def test_the_peers_to_compare_are_measured_with_compressed_messages_and_no_others_are():
    of_deflate = [workload for workload in WORKLOADS if workload.deflate]
    assert [workload.name for workload in of_deflate] == ["echo-deflate-1k", "echo-deflate-16k"]
    names = {"geventkws", "geventkws-pure", "geventkws-libuv", "websockets", "uvicorn", "aiohttp"}
    names |= {"socketify", "picows-websockets", "flask-sock"}
    for one in of_deflate:
        assert {peer.name for peer in PEERS if peer.does(one)} == names
