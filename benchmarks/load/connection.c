/* The loop: connections on non-blocking sockets are read and written. */

#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

enum { READ_SIZE = 1 << 18 };

int connections_epoll(void)
{
    static int fd = -1;
    if (fd < 0 && (fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        fail("epoll_create1: %s", strerror(errno));
    return fd;
}

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(connections_epoll(), operation, connection->fd, &event) != 0)
        fail("epoll_ctl: %s", strerror(errno));
}

void connection_watch(struct connection *connection)
{
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
}

void connection_flush(struct connection *connection)
{
    while (connection->out_sent < connection->out_length) {
        size_t count = socket_write(connection, connection->out + connection->out_sent,
                                  connection->out_length - connection->out_sent);
        if (!count)
            break;
        connection->out_sent += count;
    }
    bool waits = connection->out_sent < connection->out_length;
    if (!waits)
        connection->out_sent = connection->out_length = 0;
    if (waits != connection->waits_for_room)
        watch(connection, EPOLL_CTL_MOD, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
    connection->waits_for_room = waits;
}

size_t connection_read(struct connection *connection)
{
    static uint8_t buffer[READ_SIZE];
    size_t count;
    do {
        count = socket_read(connection, buffer, sizeof buffer);
        parse(connection, buffer, count);
        /* Bytes that OpenSSL has decrypted but not handed out do not wake epoll. */
    } while (count && connection->tls);
    return count;
}

uint64_t connections_poll(void)
{
    struct epoll_event events[256];
    int count = epoll_wait(connections_epoll(), events, 256, SILENCE_MS);
    if (count == 0)
        fail("nothing has arrived for %d s", SILENCE_MS / 1000);
    uint64_t woken = now_ns();
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            connection_read(connection);
        connection_flush(connection);
    }
    return woken;
}
