/* Idle HTTP connections: kept after an answered request, silent from the start, or with half a request head sent. */

#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { MAX_ANSWER = 1 << 16 };
enum sent { NOTHING, HALF_A_HEAD, A_REQUEST };

static size_t write_request(char *to, size_t room, const struct options *options)
{
    const char *path = options->path ? options->path : "/hello";
    int length = snprintf(to, room, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n", path, options->host, options->ports[0],
                          options->fields);
    if (length < 0 || (size_t)length >= room)
        fail("--path is too long");
    return (size_t)length;
}

static void send_whole(int fd, uint32_t number, const char *bytes, size_t length)
{
    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        fail("connection %u: the request did not leave in one piece (%s)", number, strerror(errno));
}

/* The length of a complete response, 0 while it is incomplete. The input ends with a zero. */
static size_t complete_answer(const char *input, size_t length, uint32_t number)
{
    const char *end = strstr(input, "\r\n\r\n");
    if (!end)
        return 0;
    if (strncmp(input, "HTTP/1.1 200", 12) != 0)
        fail("connection %u was answered with %.*s", number, (int)strcspn(input, "\r"), input);
    const char *field = strcasestr(input, "\r\ncontent-length:");
    if (!field || field > end)
        fail("connection %u: an answer without Content-Length", number);
    size_t whole = (size_t)(end - input) + 4 + strtoul(field + sizeof "\r\ncontent-length:" - 1, NULL, 10);
    return length < whole ? 0 : whole;
}

static void read_answer(int fd, uint32_t number)
{
    static char input[MAX_ANSWER + 1];
    size_t read = 0, answer;
    do {
        ssize_t count = recv(fd, input + read, MAX_ANSWER - read, 0);
        if (count <= 0)
            fail("connection %u was not answered (%s)", number, count < 0 ? strerror(errno) : "end of file");
        read += (size_t)count;
        input[read] = '\0';
    } while (!(answer = complete_answer(input, read, number)));
    if (read > answer)
        fail("connection %u: %zu bytes after the answer", number, read - answer);
}

/* If the server sends something on a waiting connection, or ends it, that is a failure: it would not be idle then. */
static void unexpected(int fd, uint32_t number)
{
    char input[128];
    ssize_t count = recv(fd, input, sizeof input - 1, MSG_DONTWAIT);
    if (count <= 0)
        fail("connection %u: the server ended it while it was idle", number);
    input[count] = '\0';
    fail("connection %u was idle, and yet told %.*s", number, (int)strcspn(input, "\r"), input);
}

static void poll_connections(void)
{
    struct epoll_event event;
    if (epoll_wait(connections_epoll(), &event, 1, 0) == 1)
        unexpected((int)(event.data.u64 >> 32), (uint32_t)event.data.u64);
}

static void run(const struct options *options, enum sent sent)
{
    static char request[MAX_FIELDS + 1024];
    size_t length = write_request(request, sizeof request, options);
    uint64_t start = now_ns();
    if (options->tls)
        fail("idle HTTP connections are measured without TLS only");
    for (uint32_t i = 0; i < options->connections; i++) {
        int fd = tcp_connect(options, i);
        if (sent != NOTHING)
            send_whole(fd, i, request, sent == HALF_A_HEAD ? length / 2 : length);
        if (sent == A_REQUEST)
            read_answer(fd, i);
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u64 = (uint64_t)fd << 32 | i};
        if (epoll_ctl(connections_epoll(), EPOLL_CTL_ADD, fd, &event) != 0)
            fail("epoll_ctl: %s", strerror(errno));
        idle_check_time(options, start, i + 1);
    }
    idle_hold(options, start, poll_connections);
}

void run_idle_http(const struct options *options)
{
    run(options, A_REQUEST);
}

void run_idle_http_silent(const struct options *options)
{
    run(options, NOTHING);
}

void run_idle_http_head(const struct options *options)
{
    run(options, HALF_A_HEAD);
}
