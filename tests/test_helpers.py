from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.helpers import (
    FIRST_EPHEMERAL_PORT,
    FIRST_PORT,
    byte_by_byte,
    free_port,
    random_chunks,
    require_program,
)
from tests.waiting import PATIENCE

DATA = bytes(range(256)) * 64


def test_every_way_of_feeding_keeps_all_bytes_in_order(chunked):
    chunks = list(chunked(DATA))
    assert b"".join(chunks) == DATA
    assert all(chunks)


def test_byte_by_byte_feeds_one_byte_at_a_time():
    assert list(byte_by_byte(b"abc")) == [b"a", b"b", b"c"]


def test_random_chunks_are_many_and_cut_the_same_way_each_time():
    chunks = list(random_chunks(DATA))
    assert len(chunks) > 5
    assert len({len(chunk) for chunk in chunks}) > 3
    assert list(random_chunks(DATA)) == chunks


def test_a_free_port_can_be_listened_on():
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        assert FIRST_PORT <= listener.getsockname()[1] < FIRST_EPHEMERAL_PORT


def test_a_program_that_is_not_installed_skips_the_test_and_is_named():
    with pytest.raises(pytest.skip.Exception, match="no-such-program or neither-this"):
        require_program("no-such-program", "neither-this")


def test_the_first_program_that_is_installed_is_taken():
    assert require_program("no-such-program", "sh").endswith("/sh")


def test_a_program_reads_the_installed_distributions_once():
    program = (
        "from importlib import metadata\n"
        "names = metadata.entry_points(group='pytest11').names\n"
        "metadata.distributions = None\n"
        "from gevent import monkey; monkey.patch_all()\n"
        "print('pytest_geventkws' in names)"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    assert subprocess.run(command, stdout=subprocess.PIPE, timeout=PATIENCE, check=True).stdout == b"True\n"
