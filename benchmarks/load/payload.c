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

static void fill_with_text(void)
{
    memset(body, '.', size);
    /* Whole samples only, so that no character is cut. */
    for (size_t at = stamped; at + sizeof SAMPLE - 1 <= size; at += sizeof SAMPLE - 1)
        memcpy(body + at, SAMPLE, sizeof SAMPLE - 1);
}

void payload_prepare(size_t of_size, bool text)
{
    size = of_size;
    stamped = size < STAMP ? size : STAMP;
    body = malloc(size + 1);
    if (!body)
        fail("no memory for a payload of %zu bytes", size);
    if (text)
        fill_with_text();
    else
        for (size_t i = 0; i < size; i++)
            body[i] = (uint8_t)(i * 167 + (i >> 8) * 13); /* all byte values, and no two blocks alike */
}

size_t payload_size(void)
{
    return size;
}

static void write_stamp(uint8_t to[STAMP], uint32_t sender, uint32_t number)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = (uint64_t)sender << 32 | number;
    for (int i = STAMP - 1; i >= 0; i--, value >>= 4)
        to[i] = (uint8_t)digits[value & 15];
}

void payload_write(uint8_t *to, uint32_t sender, uint32_t number, const uint8_t *header_end)
{
    uint8_t stamp[STAMP];
    write_stamp(stamp, sender, number);
    frame_mask(to, stamp + STAMP - stamped, stamped, header_end);
    /* If there is more, the stamp ends where the key does. */
    frame_mask(to + stamped, body + stamped, size - stamped, header_end);
}

bool payload_matches(uint32_t sender, uint32_t number, size_t offset, const uint8_t *bytes, size_t length)
{
    if (length > size || offset > size - length)
        return false;
    if (offset < stamped) {
        uint8_t stamp[STAMP];
        size_t part = length < stamped - offset ? length : stamped - offset;
        write_stamp(stamp, sender, number);
        if (memcmp(stamp + STAMP - stamped + offset, bytes, part) != 0)
            return false;
        offset += part, bytes += part, length -= part;
    }
    return memcmp(body + offset, bytes, length) == 0;
}
