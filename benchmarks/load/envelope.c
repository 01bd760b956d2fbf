/* What is said around each payload.
 *
 * Socket.IO (protocol 5): "42" is an event, with its arguments in JSON; with a number, it is answered by "43" and the
 * number.
 *
 * Centrifuge: "send" gives data to the application, which publishes them on the channel; they come back in a push. The
 * data are a string in JSON. In Protobuf, each field has a number and a length, and so has the whole; all lengths fit
 * into one byte, because no payload has more than MAX_CENTRIFUGE_SIZE bytes. */

#include "load.h"

#include <stdio.h>
#include <string.h>

/* The numbers of the fields, with the mark that a length follows; and that of the id, with the mark of a number. */
enum { ID = 0x08, SEND = 0x62, SENT_DATA = 0x0a, PUSH = 0x22, CHANNEL = 0x12, PUB = 0x22, DATA = 0x22 };
enum { FIELD = 2, CHANNEL_LENGTH = sizeof CENTRIFUGE_CHANNEL - 1 };

static struct envelope protobuf_sent(const struct options *options)
{
    static char before[16];
    int data = (int)options->size + 2, send = data + FIELD, command = send + FIELD + 2;
    snprintf(before, sizeof before, "%c%c%c%c%c%c%c\"", command, ID, 1, SEND, send, SENT_DATA, data);
    return (struct envelope){before, "\""};
}

static struct envelope protobuf_received(const struct options *options)
{
    static char before[32];
    int data = (int)options->size + 2, pub = data + FIELD, push = FIELD + CHANNEL_LENGTH + FIELD + pub;
    snprintf(before, sizeof before, "%c%c%c%c%c%s%c%c%c%c\"", push + FIELD, PUSH, push, CHANNEL, CHANNEL_LENGTH,
             CENTRIFUGE_CHANNEL, PUB, pub, DATA, data);
    return (struct envelope){before, "\""};
}

struct envelope envelope_sent(const struct options *options)
{
    if (options->centrifuge == CENTRIFUGE_PROTOBUF)
        return protobuf_sent(options);
    if (options->centrifuge == CENTRIFUGE_JSON)
        return (struct envelope){"{\"send\":   {\"data\":\"", "\"}}"};
    if (!options->socketio)
        return (struct envelope){"", ""};
    if (strcmp(options->workload, "echo") == 0)
        return (struct envelope){"421[\"call\",\"", "\"]"};
    return (struct envelope){"42[\"m\",\"", "\"]"};
}

struct envelope envelope_received(const struct options *options)
{
    if (options->centrifuge == CENTRIFUGE_PROTOBUF)
        return protobuf_received(options);
    if (options->centrifuge == CENTRIFUGE_JSON)
        return (struct envelope){"{\"push\":{\"channel\":\"" CENTRIFUGE_CHANNEL "\",\"pub\":{\"data\":\"", "\"}}}"};
    if (!options->socketio)
        return (struct envelope){"", ""};
    if (strcmp(options->workload, "echo") == 0)
        return (struct envelope){"431[\"", "\"]"};
    return (struct envelope){"42[\"m\",\"", "\"]"};
}
