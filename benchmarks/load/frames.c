/* Frames (RFC 6455, section 5): writes masked frames, and has a strict parser for a server's. */

#include "load.h"

#include <string.h>

static uint32_t random_key(void)
{
    static uint64_t state; /* xorshift64*: nothing is secret here, but no two frames should be alike */
    if (!state)
        state = now_ns() | 1;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 0x2545f4914f6cdd1du >> 32);
}

static size_t big_endian(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    return bytes;
}

size_t frame_header(uint8_t to[MAX_FRAME_HEADER], uint8_t opcode, size_t payload_length)
{
    size_t length = 2;
    to[0] = (uint8_t)(0x80 | opcode);
    if (payload_length < 126) {
        to[1] = (uint8_t)(0x80 | payload_length);
    } else if (payload_length < 65536) {
        to[1] = 0x80 | 126;
        length += big_endian(to + 2, payload_length, 2);
    } else {
        to[1] = 0x80 | 127;
        length += big_endian(to + 2, payload_length, 8);
    }
    uint32_t key = random_key();
    memcpy(to + length, &key, sizeof key);
    return length + sizeof key;
}

void frame_mask(uint8_t *to, const uint8_t *from, size_t length, const uint8_t *header_end)
{
    enum { BLOCK = 8 }; /* read before it is written, so that the compiler can use wide registers */
    const uint8_t *key = header_end - 4;
    uint32_t key32;
    memcpy(&key32, key, 4);
    uint64_t key64 = (uint64_t)key32 << 32 | key32, block[BLOCK];
    size_t i = 0;
    for (; i + sizeof block <= length; i += sizeof block) {
        memcpy(block, from + i, sizeof block);
        for (int word = 0; word < BLOCK; word++)
            block[word] ^= key64;
        memcpy(to + i, block, sizeof block);
    }
    for (; i < length; i++)
        to[i] = from[i] ^ key[i & 3];
}

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
