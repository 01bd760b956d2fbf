/* Sockets, with TLS and without. */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

enum { CONNECTIONS_PER_ADDRESS = 5000, ADDRESSES = 200 };

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
void *tls_connect(int fd)
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
void *tls_connect(int fd)
{
    (void)fd;
    fail("this load generator was compiled without TLS (-DWITH_TLS -lssl -lcrypto)");
}
#endif

static size_t ended(const struct connection *connection, const char *doing, const char *why)
{
    fail("connection %u: the server ended it while %s (%s)", connection->number, doing, why);
}

size_t socket_read(struct connection *connection, void *to, size_t room)
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

size_t socket_write(struct connection *connection, const void *from, size_t length)
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
