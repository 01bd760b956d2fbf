/* Receive: all connections wait for messages that one of them, in this program or in another, lets the server send to all.
 * Each line of standard input makes the first connection send the next one. Every message is checked; when it has reached
 * all connections of this program, that is reported, with the time of the monotonic clock. */

#include "load.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_IN_FLIGHT = 1024 };

static const struct options *options;
static unsigned reached[MAX_IN_FLIGHT]; /* how many connections have the message, by its number */

static void report(const char *what, uint32_t number)
{
    printf("{\"%s\": %u, \"at_ns\": %llu}\n", what, number, (unsigned long long)now_ns());
    fflush(stdout);
}

static void check_bytes(struct connection *connection, const uint8_t *bytes, size_t length)
{
    if (!payload_matches(0, connection->next_received, connection->parser.message_length, bytes, length))
        fail("connection %u: got something else instead of message %u", connection->number, connection->next_received);
}

static void check_message(struct connection *connection)
{
    const struct parser *parser = &connection->parser;
    uint32_t number = connection->next_received++;
    if (!payload_has_shape(parser->message_opcode, parser->message_length))
        fail("connection %u: message %u has opcode %u and %zu bytes", connection->number, number,
             parser->message_opcode, parser->message_length);
    if (++reached[number % MAX_IN_FLIGHT] == options->connections) {
        reached[number % MAX_IN_FLIGHT] = 0;
        report("received", number);
    }
}

static void poll_connections(void)
{
    connections_poll();
}

void run_receive(const struct options *of)
{
    static const struct receiver receiver = {check_bytes, check_message};
    options = of;
    struct connection *connections = calloc(options->connections, sizeof *connections);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < options->connections; i++) {
        connections[i] = (struct connection){.number = i, .receiver = &receiver};
        connection_open(&connections[i], options, options->path ? options->path : "/channel", false);
        idle_check_time(options, start, i + 1);
    }
    idle_report(options, start);
    for (;;) {
        for (size_t lines = idle_wait(poll_connections); lines; lines--) {
            report("sent", connections->next_sent);
            connection_queue_payload(connections, 0, connections->next_sent++);
        }
        connection_flush(connections);
    }
}
