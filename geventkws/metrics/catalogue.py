"""Every metric: its name, its labels and what it means.

``docs/metrics_table.py`` makes the table in the documentation from this.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from geventkws.http.request_durations import OTHER


class Kind(StrEnum):
    """The types of metrics, as Prometheus calls them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric, one time series for each combination of its labels."""

    kind: Kind
    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    over_processes: str = ""
    """For a gauge: how the values of several processes are combined (a mode of ``prometheus_client``)."""


def _counter(name: str, meaning: str, *labels: str) -> Family:
    return Family(Kind.COUNTER, f"geventkws_{name}_total", meaning, labels)


def _gauge(name: str, meaning: str, *labels: str, over_processes: str = "livesum") -> Family:
    return Family(Kind.GAUGE, f"geventkws_{name}", meaning, labels, over_processes)


def _histogram(name: str, meaning: str, *labels: str) -> Family:
    return Family(Kind.HISTOGRAM, f"geventkws_{name}_seconds", meaning, labels)


CONNECTIONS = _gauge("websocket_connections", "WebSocket connections that are open", "service")
OPENED = _counter("websocket_connections_opened", "WebSocket connections that were opened", "service")
CLOSED = _counter(
    "websocket_connections_closed",
    "WebSocket connections that have ended, by the close code passed to disconnected",
    *("service", "code"),
)
REFUSED = _counter("websocket_handshakes_refused", "WebSocket handshakes that were refused", "reason")
MESSAGES_RECEIVED = _counter("websocket_messages_received", "Messages received", "service")
MESSAGES_SENT = _counter("websocket_messages_sent", "Messages sent", "service")
BYTES_RECEIVED = _counter(
    "websocket_received_bytes", "Bytes received: whole frames, as compressed", "service"
)
BYTES_SENT = _counter("websocket_sent_bytes", "Bytes sent: whole frames, as compressed", "service")
SEND_BUFFER = _gauge(
    "websocket_send_buffer_bytes", "Bytes to be sent that the sockets have not taken yet", "service"
)
CALLBACKS = _histogram(
    "websocket_callback_duration",
    "Calls of connected, received and disconnected, including what they wait for",
    "service",
)
HTTP_CONNECTIONS = _gauge(
    "http_connections", "Connections that are not WebSockets: they speak HTTP, or are still arriving"
)
HTTP_REQUESTS = _histogram(
    "http_request_duration",
    "HTTP requests, from the end of the head to the end of the answer",
    *("method", "status"),
)
HUB_DELAY = _histogram("hub_delay", "How late the hub does what is due; measured ten times a second")
THREADPOOL_WAITING = _gauge(
    "threadpool_waiting_tasks", "Tasks of the hub's thread pool for which no thread is free"
)
THREADPOOL_THREADS = _gauge("threadpool_threads", "Threads of the hub's thread pool")
THREAD_CALLS = _gauge(
    "thread_waiting_calls", "Calls of send, close and the like by native threads, waiting for the hub"
)
PUBLICATIONS = _counter("channel_publications", "Messages that this process has published on channels")
DELIVERIES = _counter("channel_deliveries", "Messages of channels given to subscribers and listeners")
DROPPED = _counter("channel_dropped", "Messages that a listener did not get because it is too slow")
LOSSES = _counter(
    "channel_losses", "How often messages of a channel were lost in Redis, and its subscribers told"
)
DEAF = _gauge("channels_deaf", "1 while messages of other processes do not arrive, because Redis is away")
RECONNECTIONS = _counter("channel_reconnections", "Connections for messages from Redis that were made again")
BUS_DELAY = _histogram(
    "channel_bus_delay", "How long a message to oneself takes through Redis; measured every five seconds"
)
CHANNELS = _gauge("channels", "Channels that somebody in this process has subscribed or listens to")
SUBSCRIPTIONS = _gauge("channel_subscriptions", "Subscriptions to channels, and listeners")
BUILD_INFO = _gauge(
    "build_info",
    "Always 1; the labels say what is running",
    *("version", "backend", "event_loop", "gevent", "python"),
    over_processes="livemax",
)

FAMILIES = (
    CONNECTIONS,
    OPENED,
    CLOSED,
    REFUSED,
    MESSAGES_RECEIVED,
    MESSAGES_SENT,
    BYTES_RECEIVED,
    BYTES_SENT,
    SEND_BUFFER,
    CALLBACKS,
    HTTP_CONNECTIONS,
    HTTP_REQUESTS,
    HUB_DELAY,
    THREADPOOL_WAITING,
    THREADPOOL_THREADS,
    THREAD_CALLS,
    PUBLICATIONS,
    DELIVERIES,
    DROPPED,
    LOSSES,
    DEAF,
    RECONNECTIONS,
    BUS_DELAY,
    CHANNELS,
    SUBSCRIPTIONS,
    BUILD_INFO,
)

LABELS = {
    "service": "the path at which the service is registered, such as `/rooms/<room>`; the name of its class"
    f" if an application accepted the connection for it; `{OTHER}` if there are many",
    "code": "the [close code](../topics/endings.md), such as `1000`; `3xxx` or `4xxx` for a private one from"
    " the client",
    "reason": "`request`: the handshake is malformed; `version`: it asks for a version other than 13;"
    " `origin`: the page is foreign; `path`: there is no service; `service`: `connecting` has refused;"
    " `application`: the application has refused, or answered otherwise; `failure`: the service has failed;"
    " `stopping`: the server is stopping",
    "method": f"the method of the request; `{OTHER}` for one that is not registered",
    "status": "the class of the answer's status, such as `2xx`",
    "version": "of geventkws",
    "backend": "`compiled` or `pure`",
    "event_loop": "`libev` or `libuv`",
    "gevent": "its version",
    "python": "its version",
}
"""What the values of each label are."""
