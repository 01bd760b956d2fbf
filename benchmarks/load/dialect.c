/* What is said on a connection before the first message.
 *
 * Socket.IO (protocol 5, on Engine.IO 4): "0{...}" opens Engine.IO; "40" asks for the main namespace, and "40{...}"
 * grants it. */

#include "load.h"

#include <string.h>

enum { MAX_GREETING = 1024 };

static char said[MAX_GREETING];
static size_t said_length;
static const struct receiver *then; /* what takes the messages of the workload */

static void collect(struct connection *connection, const uint8_t *bytes, size_t length)
{
    if (length > sizeof said - said_length)
        fail("connection %u: the greeting is too long", connection->number);
    memcpy(said + said_length, bytes, length);
    said_length += length;
}

static bool was_said(const char *text)
{
    return said_length >= strlen(text) && memcmp(said, text, strlen(text)) == 0;
}

static void socketio_said(struct connection *connection)
{
    if (was_said("0{"))
        connection_queue_frame(connection, TEXT, (const uint8_t *)"40", 2);
    else if (was_said("40{"))
        connection->receiver = then;
    else
        fail("connection %u: this is not how Socket.IO begins: %.*s", connection->number, (int)said_length, said);
    said_length = 0;
}

static void greeted(struct connection *connection)
{
    if (!was_said("ready") || said_length != strlen("ready"))
        fail("connection %u: greeted with something else: %.*s", connection->number, (int)said_length, said);
    connection->receiver = then;
    said_length = 0;
}

void dialect_open(struct connection *connection, const struct options *options, const uint8_t *bytes, size_t length)
{
    static const struct receiver of_socketio = {collect, socketio_said}, of_greeting = {collect, greeted};
    if (!options->socketio && !options->greeted) {
        parse(connection, bytes, length);
        return;
    }
    then = connection->receiver;
    connection->receiver = options->socketio ? &of_socketio : &of_greeting;
    parse(connection, bytes, length);
    while (connection->receiver != then) {
        connection_flush(connection);
        if (!connection_read(connection))
            fail("connection %u: the server does not begin", connection->number);
    }
}
