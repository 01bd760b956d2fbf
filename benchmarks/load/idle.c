/* Idle: opens the connections with a browser's request, reports that, and holds them until its standard input ends. */

#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OPEN_LIMIT_S = 90 };

static void unexpected(struct connection *connection, const uint8_t *bytes, size_t length)
{
    (void)bytes, (void)length;
    fail("connection %u: a message that nobody asked for", connection->number);
}

static void message(struct connection *connection)
{
    unexpected(connection, NULL, 0);
}

void idle_check_time(const struct options *options, uint64_t start, unsigned open)
{
    if (now_ns() - start > OPEN_LIMIT_S * 1000000000ull)
        fail("after %d s only %u of %u connections are open", OPEN_LIMIT_S, open, options->connections);
}

void idle_hold(const struct options *options, uint64_t start, const char *name, void (*poll_connections)(void))
{
    printf("{\"workload\": \"%s\", \"connections\": %u, \"seconds\": %.3f, \"errors\": 0}\n", name,
           options->connections, (double)(now_ns() - start) / 1e9);
    fflush(stdout);
    struct pollfd waited[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = connections_epoll(), .events = POLLIN}};
    for (;;) {
        if (poll(waited, 2, -1) < 0 && errno != EINTR)
            fail("poll failed");
        if (waited[1].revents)
            poll_connections();
        char ignored[256];
        if (waited[0].revents && read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
            return;
    }
}

static void answer_pings(void)
{
    connections_poll();
}

void run_idle(const struct options *options)
{
    static const struct receiver receiver = {unexpected, message};
    struct connection *connections = calloc(options->connections, sizeof *connections);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < options->connections; i++) {
        connections[i] = (struct connection){.number = i, .receiver = &receiver};
        connection_open(&connections[i], options, options->path ? options->path : "/echo", true);
        idle_check_time(options, start, i + 1);
    }
    idle_hold(options, start, "idle", answer_pings);
}
