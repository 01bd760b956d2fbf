"""Figures that the documentation repeats are those of the code: a changed constant changes the page, too."""

from __future__ import annotations

import re

import pytest

from geventkws import PerMessageDeflate, WebSocketService
from geventkws.http import connection, fields, spool, stream
from geventkws.loop import channel, loop
from geventkws.net.tls_records import MAX_PLAINTEXT
from geventkws.net.transport import JOIN_MAX
from geventkws.once import MAX_TOLD
from geventkws.options import BYTES, SECONDS, ServerOptions, shown
from geventkws.protocol import deflate, field_index, origin, tokens
from geventkws.protocol.close import MAX_REASON_SIZE
from geventkws.pubsub import listener, outlet
from geventkws.server import reception, shutdown
from geventkws.testing import client
from geventkws.websocket import conversation, meter
from tests.programs import ROOT

OPTIONS = ServerOptions()
DEFLATE = PerMessageDeflate()
LINES = {
    "README.md": [f"| `max_message_size` | {shown(WebSocketService.max_message_size, BYTES)} |"],
    "docs/topics/loop.md": [
        f"read ahead, up to {shown(connection.READ_AHEAD, BYTES)} (`READ_AHEAD`",
        f"`TURN`, {loop.TURN * 1000:g} ms",
        f"`SLICE`, {loop.SLICE * 1000:g} ms",
        f"after {conversation.MAX_FRAMES} frames at the latest",
        f"While {loop.CROWD} or more connections wait",
        f"receives only {shown(loop.CROWDED_READ, BYTES)} at once",
        f"If `max_waiting_requests` are waiting ({OPTIONS.max_waiting_requests:,} by",
        f"for `block_warning` seconds ({OPTIONS.block_warning:g};",
    ],
    "docs/topics/limits.md": [
        f"`max_message_size`, {shown(WebSocketService.max_message_size, BYTES)}",
        f"seconds' worth at once ({WebSocketService.rate_burst:g} s; at least {meter.LEAST_BURST:g} s)",
        f"into memory up to {shown(spool.SPOOL_MEMORY, BYTES)} and",
        f"At most {reception.MAX_TURNED_AWAY} clients at a time",
        f"checked after every {conversation.MAX_FRAMES} frames",
        f"are kept as they are, {shown(loop.RECEIVE_BUFFER_SIZE, BYTES)} at most",
        f"The server reads {shown(conversation.COMPRESSED_READ, BYTES)} at a time",
        f"reads up to {shown(MAX_PLAINTEXT, BYTES)} more, the size of a record",
        f"until it has {shown(connection.READ_AHEAD, BYTES)} or `max_head_size`",
        f"exceed this by {shown(channel.BYTES_READ, BYTES)} at most",
        f"except a last one of up to {shown(JOIN_MAX, BYTES)}",
        f"as soon as they come to {shown(stream.MAX_OUTPUT, BYTES)}",
        f"one buffer of {shown(loop.RECEIVE_BUFFER_SIZE, BYTES)}",
        f"keep {shown(loop.KEPT_MEMORY, BYTES)} of free memory",
        f"| `protocol/origin.py` | {origin._known_authority.cache_info().maxsize} | {origin.MAX_CACHED} |",
        f"| `protocol/origin.py` | {origin._known_origin.cache_info().maxsize} | {origin.MAX_CACHED} |",
        f"| `protocol/tokens.py` | {tokens._known_tokens.cache_info().maxsize} | {tokens.MAX_CACHED} |",
        f"| `http/environ.py` | {field_index.MAX_KNOWN_NAMES:,} | {field_index.MAX_KNOWN_NAME} |",
        f"| `protocol/field_index.py` | {field_index.MAX_KNOWN_NAMES:,} | {field_index.MAX_KNOWN_NAME} |",
        f"| `http/fields.py` | {fields.MAX_KNOWN:,} | {fields.MAX_KNOWN_LENGTH} |",
        f"| `http/fields.py` | {fields.MAX_KNOWN:,} | {fields.MAX_WARNING} |",
        f"| `once.py` | {MAX_TOLD} | {origin.MAX_CACHED} |",
        f"| `protocol/deflate.py` | {deflate._shared.cache_info().maxsize} | |",
    ],
    "docs/topics/endings.md": [
        f"at most {MAX_REASON_SIZE} bytes in UTF-8",
        f"for `close_timeout` ({shown(OPTIONS.close_timeout, SECONDS)})",
        f"`stop_timeout` ({shown(OPTIONS.stop_timeout, SECONDS)}) applies",
        f"more than {shown(conversation.COMPRESSED_READ, BYTES)} arrived together with a request",
        f"after {shutdown.FIRST_REPORT:g} s and then every {shutdown.NEXT_REPORT:g} s",
    ],
    "docs/topics/compression.md": [
        f"| `level` | {DEFLATE.level} |",
        f"| `threshold` | {DEFLATE.threshold} |",
        f"| `server_max_window_bits` | {DEFLATE.server_max_window_bits} |",
        f"| `client_max_window_bits` | {DEFLATE.client_max_window_bits} |",
        f"{shown(deflate.MAX_PIECE, BYTES)} at a time",
    ],
    "docs/topics/performance.md": [
        f"keep up to {shown(loop.KEPT_MEMORY, BYTES)} of freed memory",
        f"compresses at level {DEFLATE.level}.",
    ],
    "docs/topics/pubsub.md": [
        f"waits when {outlet.MAX_QUEUED:,} messages, or {outlet.MAX_QUEUED_SIZE >> 20} MiB, are in the queue",
        f"Up to {listener.MAX_WAITING:,} messages, of {listener.MAX_WAITING_SIZE >> 20} MiB together, wait",
    ],
    "docs/how-to/testing.md": [f"after `timeout` seconds ({client.PATIENCE:g} by default)"],
}


@pytest.mark.parametrize(("path", "said"), [(path, said) for path in LINES for said in LINES[path]])
def test_a_figure_is_that_of_the_code(path: str, said: str) -> None:
    assert said in re.sub(r"\s+", " ", (ROOT / path).read_text("utf-8"))
