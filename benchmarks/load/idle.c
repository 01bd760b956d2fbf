/* Idle: opens the connections with a browser's request, reports that, and holds them until its standard input ends. */

#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

void idle_report(const struct options *options, uint64_t start)
{
    printf("{\"workload\": \"%s\", \"connections\": %u, \"seconds\": %.3f, \"errors\": 0}\n", options->workload,
           options->connections, (double)(now_ns() - start) / 1e9);
    fflush(stdout);
}

size_t idle_wait(void (*poll_connections)(void))
{
    struct pollfd waited[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = connections_epoll(), .events = POLLIN}};
    if (poll(waited, 2, -1) < 0) {
        if (errno != EINTR)
            fail("poll failed");
        return 0;
    }
    if (waited[1].revents)
        poll_connections();
    if (!waited[0].revents)
        return 0;
    char line[256], *end = line;
    ssize_t count = read(STDIN_FILENO, line, sizeof line);
    if (count <= 0)
        exit(EXIT_SUCCESS);
    size_t lines = 0;
    while ((end = memchr(end, '\n', (size_t)(line + count - end))))
        lines++, end++;
    return lines;
}

void idle_hold(const struct options *options, uint64_t start, void (*poll_connections)(void))
{
    idle_report(options, start);
    for (;;)
        idle_wait(poll_connections);
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
    idle_hold(options, start, answer_pings);
}
