/* The content of the messages. The first 16 bytes are hexadecimal digits: eight for the sender's number, eight for the
 * message's. A shorter payload has only the last of them. So an echo of another message, or for another connection, is
 * never mistaken for the right one. */

#include "load.h"

#include <stdlib.h>
#include <string.h>

enum { STAMP = 16 };

/* Characters of two, three and four bytes in UTF-8, between ASCII ones. */
static const char SAMPLE[] =
    "Gr\u00fc\u00dfe an \u4e16\u754c, \u041c\u0438\u0440 und \u05e2\u05d5\u05dc\u05dd \U0001f30d! ";

static uint8_t *body;
static size_t size, stamped;
static uint8_t opcode;
static struct envelope sent, received;

static void fill_with_text(void)
{
    memset(body, '.', size);
    /* Whole samples only, so that no character is cut. */
    for (size_t at = stamped; at + sizeof SAMPLE - 1 <= size; at += sizeof SAMPLE - 1)
        memcpy(body + at, SAMPLE, sizeof SAMPLE - 1);
}

void payload_prepare(const struct options *options)
{
    size = options->size;
    sent = envelope_sent(options);
    received = envelope_received(options);
    bool in_json = options->socketio || options->centrifuge;
    opcode = options->text || (in_json && options->centrifuge != CENTRIFUGE_PROTOBUF) ? TEXT : BINARY;
    stamped = size < STAMP ? size : STAMP;
    body = malloc(size + 1);
    if (!body)
        fail("no memory for a payload of %zu bytes", size);
    if (in_json)
        memset(body, '.', size); /* which JSON has as it is */
    else if (options->text)
        fill_with_text();
    else
        for (size_t i = 0; i < size; i++)
            body[i] = (uint8_t)(i * 167 + (i >> 8) * 13); /* all byte values, and no two blocks alike */
}

uint8_t payload_opcode(void)
{
    return opcode;
}

size_t payload_sent_size(void)
{
    return strlen(sent.before) + size + strlen(sent.after);
}

bool payload_has_shape(uint8_t of_opcode, size_t length)
{
    return of_opcode == opcode && length == strlen(received.before) + size + strlen(received.after);
}

static void write_stamp(uint8_t to[STAMP], uint32_t sender, uint32_t number)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = (uint64_t)sender << 32 | number;
    for (int i = STAMP - 1; i >= 0; i--, value >>= 4)
        to[i] = (uint8_t)digits[value & 15];
}

static void write_masked(uint8_t *payload, size_t at, const char *text, const uint8_t *header_end)
{
    for (; *text; text++, at++)
        payload[at] = (uint8_t)*text ^ header_end[(int)(at & 3) - 4];
}

void payload_write(uint8_t *to, uint32_t sender, uint32_t number, const uint8_t *header_end)
{
    uint8_t stamp[STAMP];
    size_t before = strlen(sent.before);
    write_stamp(stamp, sender, number);
    write_masked(to, 0, sent.before, header_end);
    write_masked(to, before + size, sent.after, header_end);
    frame_mask(to + before, stamp + STAMP - stamped, stamped, header_end);
    /* If there is more, the stamp ends where the key does. */
    frame_mask(to + before + stamped, body + stamped, size - stamped, header_end);
}

/* What is compared with a message: a part of what is expected, and the bytes from an offset in it on. */
struct rest {
    size_t offset;
    const uint8_t *bytes;
    size_t length;
};

static bool part_matches(struct rest *rest, const void *expected, size_t length)
{
    if (rest->offset >= length) {
        rest->offset -= length;
        return true;
    }
    size_t part = length - rest->offset < rest->length ? length - rest->offset : rest->length;
    bool matches = memcmp((const uint8_t *)expected + rest->offset, rest->bytes, part) == 0;
    *rest = (struct rest){0, rest->bytes + part, rest->length - part};
    return matches;
}

bool payload_matches(uint32_t sender, uint32_t number, size_t offset, const uint8_t *bytes, size_t length)
{
    uint8_t stamp[STAMP];
    struct rest rest = {offset, bytes, length};
    write_stamp(stamp, sender, number);
    return part_matches(&rest, received.before, strlen(received.before))
        && part_matches(&rest, stamp + STAMP - stamped, stamped)
        && part_matches(&rest, body + stamped, size - stamped)
        && part_matches(&rest, received.after, strlen(received.after))
        && !rest.length;
}
