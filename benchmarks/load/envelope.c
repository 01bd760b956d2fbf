/* What is said around each payload.
 *
 * Socket.IO (protocol 5): "42" is an event, with its arguments in JSON; with a number, it is answered by "43" and the
 * number. */

#include "load.h"

#include <string.h>

struct envelope envelope_sent(const struct options *options)
{
    if (!options->socketio)
        return (struct envelope){"", ""};
    if (strcmp(options->workload, "echo") == 0)
        return (struct envelope){"421[\"call\",\"", "\"]"};
    return (struct envelope){"42[\"m\",\"", "\"]"};
}

struct envelope envelope_received(const struct options *options)
{
    if (!options->socketio)
        return (struct envelope){"", ""};
    if (strcmp(options->workload, "echo") == 0)
        return (struct envelope){"431[\"", "\"]"};
    return (struct envelope){"42[\"m\",\"", "\"]"};
}
