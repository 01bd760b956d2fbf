/* Handshakes: `connections` connectors at the same time. Each connects, upgrades, sends a close frame, receives the
 * server's and the end of file, and starts again. The latency is that of connect and upgrade. */

#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct connector {
    int fd;
    enum { UPGRADING, CLOSING, CLOSED } state;
    uint64_t started;
    size_t length;
    char input[4096];
};

static const struct options *options;
static char request[1024];
static size_t request_length;
static uint32_t connected;

static void send_whole(int fd, const void *bytes, size_t length)
{
    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        fail("send: %s", strerror(errno));
}

static void begin(struct connector *connector)
{
    connector->started = now_ns();
    connector->state = UPGRADING;
    connector->length = 0;
    connector->fd = tcp_connect(options, connected++);
    fcntl(connector->fd, F_SETFL, O_NONBLOCK);
    send_whole(connector->fd, request, request_length);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connector};
    if (epoll_ctl(connections_epoll(), EPOLL_CTL_ADD, connector->fd, &event) != 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static void send_close(struct connector *connector)
{
    uint8_t frame[MAX_FRAME_HEADER + 2];
    size_t header = frame_header(frame, CLOSE, 2);
    frame[header] = 1000 >> 8;
    frame[header + 1] = 1000 & 0xff;
    frame_mask(frame + header, frame + header, 2, frame + header);
    send_whole(connector->fd, frame, header + 2);
}

static void advance(struct connector *connector)
{
    if (connector->state == UPGRADING) {
        size_t answer = upgrade_answer(connector->input, connector->length);
        if (!answer)
            return;
        measure_latency(now_ns() - connector->started);
        connector->length -= answer;
        memmove(connector->input, connector->input + answer, connector->length);
        send_close(connector);
        connector->state = CLOSING;
    }
    if (connector->state == CLOSING && connector->length >= 2) {
        if ((uint8_t)connector->input[0] != (0x80 | CLOSE))
            fail("the answer to a close frame is one that begins with 0x%02x", (uint8_t)connector->input[0]);
        if (connector->length >= 2u + (uint8_t)connector->input[1])
            connector->state = CLOSED;
    }
}

static void readable(struct connector *connector, bool again)
{
    ssize_t count = recv(connector->fd, connector->input + connector->length,
                         sizeof connector->input - connector->length, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count > 0) {
        connector->length += (size_t)count;
        advance(connector);
        return;
    }
    if (connector->state != CLOSED)
        fail("the server ended a connection %s", connector->state == UPGRADING ? "instead of an upgrade" :
             "without a close frame");
    close(connector->fd);
    measure_messages(1);
    if (again)
        begin(connector);
}

void run_handshakes(const struct options *of)
{
    options = of;
    if (options->tls)
        fail("handshakes are measured without TLS only");
    request_length = upgrade_request(request, sizeof request, options, options->path ? options->path : "/echo", false);
    struct connector *connectors = calloc(options->connections, sizeof *connectors);
    measure_start(options);
    for (unsigned i = 0; i < options->connections; i++)
        begin(&connectors[i]);
    bool again;
    do {
        struct epoll_event events[64];
        int count = epoll_wait(connections_epoll(), events, 64, 10000);
        if (count == 0)
            fail("nothing has arrived for 10 s: does the server close the socket after the close frames?");
        again = measure_continues(now_ns());
        for (int i = 0; i < count; i++)
            readable(events[i].data.ptr, again);
    } while (again);
}
