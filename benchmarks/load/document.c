/* JSON as a service might send it: records with the same keys and different values. */

#include "load.h"

#include <stdio.h>
#include <string.h>

enum { MAX_RECORD = 256 };

static const char END[] = "\"}";

static const char *const GIVEN[] = {"Amara", "Bj\u00f6rn", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hiroshi",
                                    "In\u00e9s", "Jonas", "Keiko", "Lukas", "Maryam", "Nils", "Oluwaseun", "Petra"};
static const char *const FAMILY[] = {"Abramov", "Bauer", "Castillo", "Dubois", "Eriksen", "Fischer", "Garc\u00eda",
                                     "Haddad", "Ito", "Jansen", "Kowalski", "Lindqvist", "Moreau", "Novak",
                                     "Okafor", "Price"};
static const char *const STATES[] = {"open", "paid", "packed", "shipped"};
static const char *const WORDS[] = {"please", "ring", "the", "bell", "twice", "and", "leave", "it", "at",
                                    "door", "behind", "garden", "before", "noon", "or", "tomorrow"};

/* xorshift64*: the same numbers in every run. */
static uint32_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)(*state * 0x2545f4914f6cdd1du >> 32);
}

static size_t write_record(char to[MAX_RECORD], uint64_t *state, unsigned index)
{
    uint32_t id = 100000 + next_random(state) % 900000, name = next_random(state), price = next_random(state) % 100000,
             time = next_random(state) % 86400, count = 1 + next_random(state) % 12, flags = next_random(state);
    return (size_t)snprintf(
        to, MAX_RECORD,
        "%s{\"id\":%u,\"customer\":\"%s %s\",\"state\":\"%s\",\"quantity\":%u,\"price\":%u.%02u,"
        "\"created\":\"2024-05-%02uT%02u:%02u:%02uZ\",\"gift\":%s}",
        index ? "," : "", id, GIVEN[name % 16], FAMILY[name / 16 % 16], STATES[flags % 4], count, price / 100,
        price % 100, 1 + name / 256 % 28, time / 3600, time / 60 % 60, time % 60, flags & 4 ? "true" : "false");
}

/* Writes words, the last of which may be cut off. */
static void write_words(char *to, size_t size, uint64_t *state)
{
    for (size_t written = 0; written < size;) {
        const char *word = WORDS[next_random(state) % 16];
        size_t length = strlen(word), room = size - written;
        memcpy(to + written, word, length < room ? length : room);
        if (length < room)
            to[written + length] = ' ';
        written += length + 1;
    }
}

void document_write(char *to, size_t size, unsigned number)
{
    static const char middle[] = "],\"note\":\"";
    uint64_t state = 0x9e3779b97f4a7c15u * (number + 1);
    char record[MAX_RECORD];
    size_t fixed = sizeof middle - 1 + sizeof END - 1, length, written;
    written = (size_t)snprintf(to, size, "{\"page\":%u,\"orders\":[", number);
    for (unsigned index = 0; (length = write_record(record, &state, index)) + fixed <= size - written; index++) {
        memcpy(to + written, record, length);
        written += length;
    }
    memcpy(to + written, middle, sizeof middle - 1);
    written += sizeof middle - 1;
    write_words(to + written, size - written - (sizeof END - 1), &state); /* so that the size is exactly this */
    memcpy(to + size - (sizeof END - 1), END, sizeof END - 1);
}
