/* The parts of a masked frame (RFC 6455, section 5). */

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
