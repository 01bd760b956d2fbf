/* What is said on a connection before the first message.
 *
 * Socket.IO (protocol 5, on Engine.IO 4): "0{...}" opens Engine.IO; "40" asks for the main namespace, and "40{...}"
 * grants it.
 *
 * Centrifuge: a client connects and subscribes; both commands are sent at once, and there is a reply to each. */

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

/* A command of the Centrifuge protocol, and how the reply to it begins. */
struct command {
    const char *bytes;
    size_t length;
    const char *reply;
};

#define COMMAND(bytes, reply) {bytes, sizeof bytes - 1, reply}

/* In Protobuf, each has its length in front. */
static const struct command OF_JSON[] = {
    COMMAND("{\"id\":1,\"connect\":{}}\n", "{\"id\":1,\"connect\":{"),
    COMMAND("{\"id\":2,\"subscribe\":{\"channel\":\"" CENTRIFUGE_CHANNEL "\"}}", "{\"id\":2,\"subscribe\":{"),
}, OF_PROTOBUF[] = {
    COMMAND("\4\10\1\42\0", "\10\1\52"),
    COMMAND("\15\10\2\52\11\12\7" CENTRIFUGE_CHANNEL, "\10\2\62"),
};

static const struct command *commands; /* of which the first two are sent */
static unsigned replies;               /* that have come */

static void centrifuge_begin(struct connection *connection, const struct options *options)
{
    uint8_t frame[128];
    commands = options->centrifuge == CENTRIFUGE_JSON ? OF_JSON : OF_PROTOBUF;
    replies = 0;
    memcpy(frame, commands[0].bytes, commands[0].length);
    memcpy(frame + commands[0].length, commands[1].bytes, commands[1].length);
    connection_queue_frame(connection, payload_opcode(), frame, commands[0].length + commands[1].length);
}

static void centrifuge_said(struct connection *connection)
{
    const char *reply = commands[replies].reply, *begin = commands == OF_JSON ? said : said + 1;
    if (said_length <= strlen(reply) || memcmp(begin, reply, strlen(reply)) != 0)
        fail("connection %u: this is not how Centrifuge begins: %.*s", connection->number, (int)said_length, said);
    if (++replies == 2)
        connection->receiver = then;
    said_length = 0;
}

static const struct receiver *opening_receiver(const struct options *options)
{
    static const struct receiver of_socketio = {collect, socketio_said}, of_greeting = {collect, greeted},
                                 of_centrifuge = {collect, centrifuge_said};
    if (options->centrifuge)
        return &of_centrifuge;
    if (options->socketio)
        return &of_socketio;
    return options->greeted ? &of_greeting : NULL;
}

void dialect_open(struct connection *connection, const struct options *options, const uint8_t *bytes, size_t length)
{
    const struct receiver *first = opening_receiver(options);
    if (!first) {
        parse(connection, bytes, length);
        return;
    }
    then = connection->receiver;
    connection->receiver = first;
    if (options->centrifuge)
        centrifuge_begin(connection, options);
    parse(connection, bytes, length);
    while (connection->receiver != then) {
        connection_flush(connection);
        if (!connection_read(connection))
            fail("connection %u: the server does not begin", connection->number);
    }
}
