/* Echo: `depth` messages are in flight on every connection; each that comes back is checked, and the next is sent. */

#include "load.h"

#include <stdlib.h>

static const struct options *options;
static uint64_t outstanding;
static bool over;

static void send_next(struct connection *connection, uint64_t now)
{
    connection->sent_at[connection->next_sent % options->depth] = now;
    if (options->deflate)
        deflate_queue(connection, connection->next_sent++);
    else
        connection_queue_payload(connection, connection->number, connection->next_sent++);
    outstanding++;
}

static void check_bytes(struct connection *connection, const uint8_t *bytes, size_t length)
{
    if (!payload_matches(connection->number, connection->next_received, connection->parser.message_length, bytes,
                         length))
        fail("connection %u: message %u came back changed, after byte %zu", connection->number,
             connection->next_received, connection->parser.message_length);
}

static void check_opcode_and_length(const struct connection *connection)
{
    const struct parser *parser = &connection->parser;
    if (!payload_has_shape(parser->message_opcode, parser->message_length))
        fail("connection %u: message %u came back with opcode %u and %zu bytes", connection->number,
             connection->next_received, parser->message_opcode, parser->message_length);
}

static void check_message(struct connection *connection)
{
    if (connection->next_received == connection->next_sent)
        fail("connection %u: a message that nobody sent", connection->number);
    if (options->deflate)
        deflate_check(connection);
    else
        check_opcode_and_length(connection);
    uint64_t now = now_ns();
    measure_messages(1);
    measure_latency(now - connection->sent_at[connection->next_received++ % options->depth]);
    outstanding--;
    if (!over)
        send_next(connection, now);
}

void run_echo(const struct options *of)
{
    static const struct receiver plain = {check_bytes, check_message}, compressed = {deflate_collect, check_message};
    options = of;
    struct connection *connections = calloc(options->connections, sizeof *connections);
    for (unsigned i = 0; i < options->connections; i++) {
        connections[i] = (struct connection){.number = i, .receiver = options->deflate ? &compressed : &plain};
        connections[i].sent_at = calloc(options->depth, sizeof(uint64_t));
        connection_open(&connections[i], options, options->path ? options->path : "/echo", false);
    }
    measure_start(options);
    for (unsigned i = 0; i < options->connections; i++) {
        for (unsigned sent = 0; sent < options->depth; sent++)
            send_next(&connections[i], now_ns());
        connection_flush(&connections[i]);
    }
    while (measure_continues(connections_poll()))
        continue;
    over = true; /* messages in flight must still arrive */
    while (outstanding)
        connections_poll();
}
