/* A strict parser for the frames of a server (RFC 6455, section 5). */

#include "load.h"

#include <string.h>

static size_t wanted_header(const struct parser *parser)
{
    if (parser->header_length < 2)
        return 2;
    uint8_t length = parser->header[1] & 0x7f;
    return length < 126 ? 2 : length == 126 ? 4 : 10;
}

static void check_header(const struct connection *connection)
{
    const struct parser *parser = &connection->parser;
    uint8_t first = parser->header[0];
    bool may_be_compressed = connection->deflate && (parser->opcode == TEXT || parser->opcode == BINARY);
    if (first & (may_be_compressed ? 0x70 & ~RSV1 : 0x70))
        fail("connection %u: reserved bits are set in a frame (0x%02x)", connection->number, first);
    if (parser->header[1] & 0x80)
        fail("connection %u: the server masked a frame", connection->number);
    if (parser->opcode >= CLOSE) {
        if (!parser->fin || parser->payload_left > MAX_CONTROL_PAYLOAD)
            fail("connection %u: a control frame in fragments or over 125 bytes", connection->number);
    } else {
        bool in_message = parser->message_opcode != CONTINUATION;
        if (parser->opcode > BINARY || (parser->opcode == CONTINUATION) != in_message)
            fail("connection %u: a frame with opcode %u %s", connection->number, parser->opcode,
                 in_message ? "within a message" : "to begin a message");
    }
}

static void begin_payload(struct connection *connection)
{
    struct parser *parser = &connection->parser;
    size_t length_bytes = wanted_header(parser) - 2;
    parser->fin = parser->header[0] & 0x80;
    parser->opcode = parser->header[0] & 0x0f;
    parser->payload_left = length_bytes ? 0 : parser->header[1];
    for (size_t i = 0; i < length_bytes; i++)
        parser->payload_left = parser->payload_left << 8 | parser->header[2 + i];
    check_header(connection);
    parser->control_length = 0;
    if (parser->opcode == TEXT || parser->opcode == BINARY) {
        parser->message_opcode = parser->opcode;
        parser->compressed = parser->header[0] & RSV1;
        parser->message_length = 0;
    }
    parser->in_payload = true;
}

static void take_payload(struct connection *connection, const uint8_t *bytes, size_t length)
{
    struct parser *parser = &connection->parser;
    if (parser->opcode >= CLOSE) {
        memcpy(parser->control + parser->control_length, bytes, length);
        parser->control_length = (uint8_t)(parser->control_length + length);
    } else if (length) {
        connection->receiver->bytes(connection, bytes, length);
        parser->message_length += length;
    }
    parser->payload_left -= length;
}

static void end_frame(struct connection *connection)
{
    struct parser *parser = &connection->parser;
    parser->header_length = 0;
    parser->in_payload = false;
    switch (parser->opcode) {
    case CLOSE:
        fail("connection %u: the server closed it with %u", connection->number,
             parser->control_length < 2 ? 1005u : (unsigned)(parser->control[0] << 8 | parser->control[1]));
    case PING:
        connection_queue_frame(connection, PONG, parser->control, parser->control_length);
        break;
    case PONG:
        break;
    default:
        if (parser->fin) {
            connection->receiver->message(connection);
            parser->message_opcode = CONTINUATION;
        }
    }
}

void parse(struct connection *connection, const uint8_t *bytes, size_t length)
{
    struct parser *parser = &connection->parser;
    while (length) {
        if (!parser->in_payload) {
            parser->header[parser->header_length++] = *bytes++;
            length--;
            if (parser->header_length < 2 || parser->header_length < wanted_header(parser))
                continue;
            begin_payload(connection);
        }
        size_t part = length < parser->payload_left ? length : (size_t)parser->payload_left;
        take_payload(connection, bytes, part);
        bytes += part;
        length -= part;
        if (!parser->payload_left)
            end_frame(connection);
    }
}
