/* Fan-out: one connection sends, and the server sends each message to all others, which check that they get every one,
 * in order. `depth` messages are in flight: when one has reached its last receiver, the next is sent. The latency is
 * the time until then; deliveries are counted. The server may also send the message to its sender, which is ignored. */

#include "load.h"

#include <stdlib.h>

static const struct options *options;
static struct connection sender;
static unsigned *reached; /* how many receivers have the message, by its number modulo depth */
static uint64_t outstanding;
static bool over;

static void send_next(void)
{
    uint32_t number = sender.next_sent++;
    reached[number % options->depth] = 0;
    sender.sent_at[number % options->depth] = now_ns();
    connection_queue_payload(&sender, 0, number);
    outstanding++;
}

static void ignore_bytes(struct connection *connection, const uint8_t *bytes, size_t length)
{
    (void)connection, (void)bytes, (void)length;
}

static void ignore_message(struct connection *connection)
{
    (void)connection;
}

static void check_bytes(struct connection *connection, const uint8_t *bytes, size_t length)
{
    if (!payload_matches(0, connection->next_received, connection->parser.message_length, bytes, length))
        fail("receiver %u: got something else instead of message %u", connection->number, connection->next_received);
}

static void check_message(struct connection *connection)
{
    const struct parser *parser = &connection->parser;
    uint32_t number = connection->next_received++;
    if (number == sender.next_sent)
        fail("receiver %u: a message that nobody sent", connection->number);
    if (!payload_has_shape(parser->message_opcode, parser->message_length))
        fail("receiver %u: message %u has opcode %u and %zu bytes", connection->number, number, parser->message_opcode,
             parser->message_length);
    measure_messages(1);
    if (++reached[number % options->depth] == options->connections) {
        measure_latency(now_ns() - sender.sent_at[number % options->depth]);
        outstanding--;
        if (!over)
            send_next();
    }
}

void run_fanout(const struct options *of)
{
    static const struct receiver of_sender = {ignore_bytes, ignore_message};
    static const struct receiver of_receivers = {check_bytes, check_message};
    options = of;
    const char *path = options->path ? options->path : "/broadcast";
    struct connection *receivers = calloc(options->connections, sizeof *receivers);
    reached = calloc(options->depth, sizeof *reached);
    for (unsigned i = 0; i < options->connections; i++) {
        receivers[i] = (struct connection){.number = i + 1, .receiver = &of_receivers};
        connection_open(&receivers[i], options, path, false);
    }
    sender.receiver = &of_sender;
    sender.sent_at = calloc(options->depth, sizeof(uint64_t));
    connection_open(&sender, options, path, false);
    measure_start(options);
    for (unsigned i = 0; i < options->depth; i++)
        send_next();
    connection_flush(&sender);
    /* The sender sends once per round, in one piece, for all the messages that arrived in it. */
    while (measure_continues(connections_poll()))
        connection_flush(&sender);
    over = true;
    while (outstanding) {
        connection_flush(&sender);
        connections_poll();
    }
}
