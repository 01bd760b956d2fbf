/* Opens WebSocket connections, one after the other, by blocking calls. */

#include "load.h"

#include <stdio.h>
#include <string.h>

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

void connection_open(struct connection *connection, const struct options *options, const char *path,
                     bool with_browser_headers)
{
    char head[MAX_UPGRADE_HEAD];
    size_t length = upgrade_request(head, sizeof head, options, path, with_browser_headers), read = 0, answer;
    connection->fd = tcp_connect(options, connection->number);
    connection->tls = options->tls ? tls_connect(connection->fd) : NULL;
    if (socket_write(connection, head, length) != length)
        fail("the upgrade request did not leave in one piece");
    while (!(answer = upgrade_answer(head, read))) {
        size_t count = read < sizeof head ? socket_read(connection, head + read, sizeof head - read) : 0;
        if (!count)
            fail("connection %u: no answer to the upgrade within %d s", connection->number, SILENCE_MS / 1000);
        read += count;
    }
    connection->deflate = options->deflate;
    if (options->deflate)
        deflate_negotiated(head, answer);
    dialect_open(connection, options, (uint8_t *)head + answer, read - answer);
    connection_watch(connection);
}
