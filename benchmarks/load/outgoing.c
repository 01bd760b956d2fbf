/* Frames that wait until they are sent. */

#include "load.h"

#include <stdlib.h>

static uint8_t *reserve(struct connection *connection, size_t length)
{
    size_t wanted = connection->out_length + length;
    if (wanted > connection->out_capacity) {
        connection->out = realloc(connection->out, wanted * 2);
        connection->out_capacity = wanted * 2;
        if (!connection->out)
            fail("no memory for %zu bytes to send", wanted);
    }
    return connection->out + connection->out_length;
}

void connection_queue_payload(struct connection *connection, uint32_t sender, uint32_t number)
{
    uint8_t *frame = reserve(connection, MAX_FRAME_HEADER + payload_sent_size());
    size_t header = frame_header(frame, payload_opcode(), payload_sent_size());
    payload_write(frame + header, sender, number, frame + header);
    connection->out_length += header + payload_sent_size();
}

void connection_queue_frame(struct connection *connection, uint8_t opcode, const uint8_t *payload, size_t length)
{
    uint8_t *frame = reserve(connection, MAX_FRAME_HEADER + length);
    size_t header = frame_header(frame, opcode, length);
    frame_mask(frame + header, payload, length, frame + header);
    connection->out_length += header + length;
}
