/* Compressed messages (RFC 7692): JSON documents, compressed once and sent repeatedly, which is possible because
 * neither side takes over context. What comes back is inflated and compared.
 *
 * So that the server is the limit, an echo with the same bytes as one that was inflated and found correct before, on
 * any connection, is not inflated again: memcmp shows that it is correct. Servers whose compressor produces different
 * bytes each time are checked as well, only more slowly. */

#include "load.h"

#include <stdlib.h>
#include <string.h>

#ifdef WITH_DEFLATE
#include <zlib.h>
#endif

/* Documents; neighbouring messages, and neighbouring connections, have different ones. */
enum { DOCUMENTS = 16, LEAST_SIZE = 64, SLACK = 1024 };

struct message {
    uint8_t *plain, *compressed;
    size_t compressed_length;
    uint8_t *verified; /* the last bytes that inflated to `plain` */
    size_t verified_length;
};

static struct message documents[DOCUMENTS];
static size_t size, room;

static struct message *message_of(uint32_t sender, uint32_t number)
{
    return &documents[(sender + number) % DOCUMENTS];
}

/* zlib */

#ifdef WITH_DEFLATE
/* The end of the output of a flush, which a message omits (section 7.2.1). */
static const uint8_t TAIL[] = {0x00, 0x00, 0xff, 0xff};

static size_t compress_document(const uint8_t *plain, uint8_t *to)
{
    z_stream stream = {.next_in = (uint8_t *)plain, .avail_in = (uInt)size, .next_out = to, .avail_out = (uInt)room};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
        deflate(&stream, Z_SYNC_FLUSH) != Z_OK || !stream.avail_out)
        fail("zlib cannot compress %zu bytes", size);
    size_t length = stream.total_out - sizeof TAIL;
    deflateEnd(&stream);
    return length;
}

/* Inflates a part of a message; false if it is not DEFLATE data, or inflates to more bytes than there is room for. */
static bool inflate_part(z_stream *stream, const uint8_t *part, size_t length)
{
    stream->next_in = (uint8_t *)part;
    stream->avail_in = (uInt)length;
    while (stream->avail_in) {
        int status = inflate(stream, Z_SYNC_FLUSH);
        if (status == Z_STREAM_END)
            inflateReset(stream); /* more blocks may follow a final one (section 7.2.3.4) */
        else if (status != Z_OK)
            return false;
    }
    return true;
}

/* The length of the inflated message; SIZE_MAX if it is not DEFLATE data, or longer than a document. */
static size_t inflate_message(const uint8_t *compressed, size_t length, uint8_t *to)
{
    static z_stream stream;
    if (!stream.state && inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        fail("zlib cannot inflate");
    inflateReset(&stream);
    stream.next_out = to;
    stream.avail_out = (uInt)room;
    if (!inflate_part(&stream, compressed, length) || !inflate_part(&stream, TAIL, sizeof TAIL))
        return SIZE_MAX;
    return room - stream.avail_out;
}
#else
static size_t compress_document(const uint8_t *plain, uint8_t *to)
{
    (void)plain, (void)to;
    fail("this load generator was compiled without zlib (-DWITH_DEFLATE -lz; Debian: apt-get install zlib1g-dev)");
}

static size_t inflate_message(const uint8_t *compressed, size_t length, uint8_t *to)
{
    (void)compressed, (void)length, (void)to;
    return SIZE_MAX;
}
#endif

/* Sending */

static uint8_t *allocate(void)
{
    uint8_t *bytes = malloc(room);
    if (!bytes)
        fail("no memory for a message of %zu bytes", size);
    return bytes;
}

void deflate_prepare(size_t of_size)
{
    size = of_size;
    room = size + size / 1000 + SLACK; /* if zlib cannot compress it, it may grow by this much */
    if (size < LEAST_SIZE)
        fail("--deflate needs a --size of at least %d", LEAST_SIZE);
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        struct message *message = &documents[i];
        message->plain = allocate();
        message->compressed = allocate();
        message->verified = allocate();
        document_write((char *)message->plain, size, i);
        message->compressed_length = compress_document(message->plain, message->compressed);
    }
}

void deflate_queue(struct connection *connection, uint32_t number)
{
    const struct message *message = message_of(connection->number, number);
    connection_queue_frame(connection, RSV1 | TEXT, message->compressed, message->compressed_length);
}

/* Receiving */

void deflate_collect(struct connection *connection, const uint8_t *bytes, size_t length)
{
    size_t before = connection->parser.message_length;
    if (length > room - before)
        fail("connection %u: message %u came back with more than %zu bytes", connection->number,
             connection->next_received, room);
    if (!connection->in)
        connection->in = allocate();
    memcpy(connection->in + before, bytes, length);
}

static void verify(const struct connection *connection, struct message *message)
{
    static uint8_t *inflated;
    size_t length = connection->parser.message_length;
    if (!inflated)
        inflated = allocate();
    size_t inflated_length = length ? inflate_message(connection->in, length, inflated) : 0;
    if (inflated_length == SIZE_MAX)
        fail("connection %u: message %u came back with bytes that cannot be inflated to %zu", connection->number,
             connection->next_received, size);
    if (inflated_length != size || memcmp(inflated, message->plain, size) != 0)
        fail("connection %u: message %u came back changed, with %zu bytes when inflated", connection->number,
             connection->next_received, inflated_length);
    memcpy(message->verified, connection->in, length);
    message->verified_length = length;
}

void deflate_check(const struct connection *connection)
{
    const struct parser *parser = &connection->parser;
    struct message *message = message_of(connection->number, connection->next_received);
    if (parser->message_opcode != TEXT)
        fail("connection %u: message %u came back with opcode %u", connection->number, connection->next_received,
             parser->message_opcode);
    if (!parser->compressed)
        fail("connection %u: message %u came back without compression, with %zu bytes", connection->number,
             connection->next_received, parser->message_length);
    if (!message->verified_length || parser->message_length != message->verified_length ||
        memcmp(connection->in, message->verified, message->verified_length) != 0)
        verify(connection, message);
    measure_wire_bytes(parser->message_length);
}

/* Negotiating */

void deflate_negotiated(const char *head, size_t length)
{
    char copy[MAX_UPGRADE_HEAD + 1];
    memcpy(copy, head, length);
    copy[length] = 0;
    char *accepted = strcasestr(copy, "\r\nSec-WebSocket-Extensions:");
    if (!accepted)
        fail("the server did not accept permessage-deflate");
    accepted += 2;
    accepted[strcspn(accepted, "\r")] = 0;
    if (!strstr(accepted, "permessage-deflate") || !strstr(accepted, "server_no_context_takeover"))
        fail("the server ignored a parameter of the offer %s: %s", DEFLATE_OFFER, accepted);
    if (strstr(accepted, "client_max_window_bits"))
        fail("the server limited the client's window, which was not offered: %s", accepted);
}
