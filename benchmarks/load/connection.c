/* WebSocket connections on non-blocking sockets. They are opened one after the other, by blocking calls. */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

enum { SILENCE_MS = 10000, CONNECTIONS_PER_ADDRESS = 5000, ADDRESSES = 200, READ_SIZE = 1 << 18 };

/* The example in RFC 6455, section 1.3: for this key, the answer is known without SHA-1. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define BROWSER_HEADERS \
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " \
    "Chrome/131.0.0.0 Safari/537.36\r\n" \
    "Pragma: no-cache\r\n" \
    "Cache-Control: no-cache\r\n" \
    "Accept-Encoding: gzip, deflate, br, zstd\r\n" \
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7\r\n" \
    "Cookie: session=eyJfaWQiOiI2YzJkNGU4YTFiM2Y0ZDVlIiwidXNlciI6IjEwMjQifQ" \
    ".Z0CkVw.9bQm3vJx0yT5h2LrWnUqE8sKdPo; theme=dark" \
    "; locale=en_GB; consent=necessary+preferences; tz=Europe%2FLondon\r\n" \
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

static uint64_t woken;

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

/* Opening */

static void bind_local(int fd, uint32_t number)
{
    int on = 1;
    struct sockaddr_in local = {.sin_family = AF_INET};
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / CONNECTIONS_PER_ADDRESS % ADDRESSES);
    /* Connect chooses the port: only the combination of both addresses and ports must be unused. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&local, sizeof local) != 0)
        fail("bind: %s", strerror(errno));
}

int tcp_connect(const struct options *options, uint32_t number)
{
    int on = 1, port = options->ports[number % options->port_count];
    struct timeval limit = {.tv_sec = SILENCE_MS / 1000};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, options->host, &server.sin_addr) != 1)
        fail("--host must be an IPv4 address, not %s", options->host);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket: %s (connection %u; `ulimit -n` must allow it)", strerror(errno), number);
    if (ntohl(server.sin_addr.s_addr) >> 24 == 127)
        bind_local(fd, number);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0)
        fail("connect to %s port %d: %s (connection %u)", options->host, port, strerror(errno), number);
    return fd;
}

#ifdef WITH_TLS
static void *tls_connect(int fd)
{
    static SSL_CTX *context;
    if (!context) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    SSL *tls = SSL_new(context); /* verifies nothing: the certificate is our own, for loopback only */
    SSL_set_fd(tls, fd);
    if (SSL_connect(tls) != 1)
        fail("TLS handshake: %s", ERR_error_string(ERR_get_error(), NULL));
    return tls;
}
#else
static void *tls_connect(int fd)
{
    (void)fd;
    fail("this load generator was compiled without TLS (-DWITH_TLS -lssl -lcrypto)");
}
#endif

size_t upgrade_request(char *to, size_t room, const struct options *options, const char *path,
                       bool with_browser_headers)
{
    int length = snprintf(to, room,
                          "GET %s HTTP/1.1\r\n"
                          "Host: %s:%d\r\n"
                          "Connection: Upgrade\r\n"
                          "%s"
                          "Upgrade: websocket\r\n"
                          "Origin: %s://%s:%d\r\n"
                          "Sec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: " KEY "\r\n"
                          "%s"
                          "\r\n",
                          path, options->host, options->ports[0], with_browser_headers ? BROWSER_HEADERS : "",
                          options->tls ? "https" : "http", options->host, options->ports[0],
                          options->deflate ? "Sec-WebSocket-Extensions: " DEFLATE_OFFER "\r\n" : "");
    if (length < 0 || (size_t)length >= room)
        fail("--path is too long");
    return (size_t)length;
}

size_t upgrade_answer(const char *head, size_t length)
{
    const char *end = memmem(head, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (length < 12 || memcmp(head, "HTTP/1.1 101", 12) != 0)
        fail("the server refused the upgrade: %.*s", (int)((char *)memchr(head, '\r', length) - head), head);
    if (!memmem(head, length, ": " ACCEPT "\r\n", sizeof ACCEPT + 3))
        fail("the answer to the upgrade has no (or a wrong) Sec-WebSocket-Accept");
    return (size_t)(end - head) + 4;
}

/* Reading and writing, for both kinds of sockets: 0 for "not now", fail() for the end. */

static size_t ended(const struct connection *connection, const char *doing, const char *why)
{
    fail("connection %u: the server ended it while %s (%s)", connection->number, doing, why);
}

static size_t read_some(struct connection *connection, void *to, size_t room)
{
#ifdef WITH_TLS
    if (connection->tls) {
        int count = SSL_read(connection->tls, to, (int)room);
        if (count > 0)
            return (size_t)count;
        int error = SSL_get_error(connection->tls, count);
        return error == SSL_ERROR_WANT_READ ? 0 : ended(connection, "reading", "TLS");
    }
#endif
    ssize_t count = recv(connection->fd, to, room, 0);
    if (count > 0)
        return (size_t)count;
    if (count == 0)
        return ended(connection, "reading", "end of file");
    return errno == EAGAIN || errno == EINTR ? 0 : ended(connection, "reading", strerror(errno));
}

static size_t write_some(struct connection *connection, const void *from, size_t length)
{
#ifdef WITH_TLS
    if (connection->tls) {
        int count = SSL_write(connection->tls, from, (int)length);
        if (count > 0)
            return (size_t)count;
        int error = SSL_get_error(connection->tls, count);
        return error == SSL_ERROR_WANT_WRITE ? 0 : ended(connection, "writing", "TLS");
    }
#endif
    ssize_t count = send(connection->fd, from, length, MSG_NOSIGNAL);
    if (count >= 0)
        return (size_t)count;
    return errno == EAGAIN || errno == EINTR ? 0 : ended(connection, "writing", strerror(errno));
}

void connection_open(struct connection *connection, const struct options *options, const char *path,
                     bool with_browser_headers)
{
    char head[MAX_UPGRADE_HEAD];
    size_t length = upgrade_request(head, sizeof head, options, path, with_browser_headers), read = 0, answer;
    connection->fd = tcp_connect(options, connection->number);
    connection->tls = options->tls ? tls_connect(connection->fd) : NULL;
    if (write_some(connection, head, length) != length)
        fail("the upgrade request did not leave in one piece");
    while (!(answer = upgrade_answer(head, read))) {
        size_t count = read < sizeof head ? read_some(connection, head + read, sizeof head - read) : 0;
        if (!count)
            fail("connection %u: no answer to the upgrade within %d s", connection->number, SILENCE_MS / 1000);
        read += count;
    }
    connection->deflate = options->deflate;
    if (options->deflate)
        deflate_negotiated(head, answer);
    dialect_open(connection, options, (uint8_t *)head + answer, read - answer);
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
}

/* Sending */

static uint8_t *reserve(struct connection *connection, size_t length)
{
    size_t wanted = connection->out_length + length;
    if (wanted > connection->out_capacity) {
        connection->out = realloc(connection->out, wanted * 2);
        connection->out_capacity = wanted * 2;
        if (!connection->out)
            fail("no memory for %zu bytes to send", wanted);
    }
    return connection->out + connection->out_length;
}

void connection_queue_payload(struct connection *connection, const struct options *options, uint32_t sender,
                              uint32_t number)
{
    uint8_t *frame = reserve(connection, MAX_FRAME_HEADER + payload_sent_size());
    size_t header = frame_header(frame, options->text || options->socketio ? TEXT : BINARY, payload_sent_size());
    payload_write(frame + header, sender, number, frame + header);
    connection->out_length += header + payload_sent_size();
}

void connection_queue_frame(struct connection *connection, uint8_t opcode, const uint8_t *payload, size_t length)
{
    uint8_t *frame = reserve(connection, MAX_FRAME_HEADER + length);
    size_t header = frame_header(frame, opcode, length);
    frame_mask(frame + header, payload, length, frame + header);
    connection->out_length += header + length;
}

void connection_flush(struct connection *connection)
{
    while (connection->out_sent < connection->out_length) {
        size_t count = write_some(connection, connection->out + connection->out_sent,
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

/* The loop */

size_t connection_read(struct connection *connection)
{
    static uint8_t buffer[READ_SIZE];
    size_t count;
    do {
        count = read_some(connection, buffer, sizeof buffer);
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
    woken = now_ns();
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            connection_read(connection);
        connection_flush(connection);
    }
    return woken;
}
