/* A load generator for WebSocket servers: one process, one thread, one epoll loop.
 *
 *   main.c        the command line, and the report as one line of JSON
 *   fail.c        the end at the first mistake
 *   measure.c     warm-up and measured time, counters, latencies, CPU time of the server
 *   payload.c     what the messages contain, so that no two of them are alike
 *   deflate.c document.c    compressed JSON messages (RFC 7692), and the check of those that come back
 *   envelope.c dialect.c    what is said around each message, and before the first: Socket.IO, Centrifuge, a greeting
 *   socket.c      sockets, with TLS and without
 *   frames.c outgoing.c    masked frames (RFC 6455, section 5), and the buffer in which they wait
 *   parser.c      the frames that come back, checked
 *   connection.c opening.c    the loop that reads and writes, and the upgrade before it
 *   echo.c fanout.c handshakes.c receive.c idle.c idle_http.c    the workloads
 *
 * Any mistake of the server ends the program through fail(): a server is measured only while it is correct.
 */

#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAX_SERVER_PROCESSES = 64, MAX_PORTS = 64, MAX_FIELDS = 8192 };

struct options {
    const char *host;      /* an IPv4 address */
    int ports[MAX_PORTS];  /* of one server, or of several that are used in turn */
    unsigned port_count;
    const char *workload;
    const char *path;      /* NULL: the workload's own */
    bool tls;
    bool text;             /* text messages with non-ASCII characters, instead of binary ones */
    bool deflate;          /* text messages of JSON, compressed */
    bool greeted;          /* a connection is open when the server has sent the text "ready" */
    bool socketio;         /* the server speaks Socket.IO */
    enum centrifuge { NO_CENTRIFUGE, CENTRIFUGE_JSON, CENTRIFUGE_PROTOBUF } centrifuge; /* it speaks the Centrifuge protocol */
    char fields[MAX_FIELDS]; /* header fields of an HTTP request, each with its end of line */
    size_t size;           /* bytes of payload in a message */
    unsigned depth;        /* messages in flight: on each connection, or of the sender of a fan-out */
    unsigned connections;  /* connections, receivers of a fan-out, or connectors at once */
    double seconds;        /* measured time, which follows ... */
    double warmup;         /* ... this time, which is not */
    pid_t servers[MAX_SERVER_PROCESSES]; /* whose CPU time is read */
    unsigned server_count;
};

/* fail.c */

/* Prints {"errors": 1, "error": the message} and ends the program. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* measure.c */

uint64_t now_ns(void);
void measure_start(const struct options *options);

/* Notes the time. Returns false once the measured time is over. */
bool measure_continues(uint64_t now);

/* Count messages and record latencies; outside the measured time, both do nothing. */
void measure_messages(uint64_t count);
void measure_latency(uint64_t ns);

/* Counts the compressed payload of a message; outside the measured time, it does nothing. */
void measure_wire_bytes(size_t count);

struct result {
    uint64_t messages;
    uint64_t wire_bytes; /* of all messages together, where they are compressed */
    double seconds;
    double p50_us, p99_us;
    double server_cpu_s; /* CPU time of all processes of the server; negative: no process was named */
    double load_cpu;     /* part of a core that this program used; near 1: it was the limit, not the server */
};

struct result measure_result(void);

/* payload.c */

/* Makes the common part of all payloads. Every payload is stamped with its sender and its number. */
void payload_prepare(const struct options *options);

/* The opcode of messages with payloads. */
uint8_t payload_opcode(void);

/* How many bytes are sent for a payload, with what is said around it. */
size_t payload_sent_size(void);

/* Whether a message that arrived has this opcode and length. */
bool payload_has_shape(uint8_t opcode, size_t length);

/* Writes a payload, masked with the key at the end of this header. */
void payload_write(uint8_t *to, uint32_t sender, uint32_t number, const uint8_t *header_end);

/* Whether these bytes are those of the message with this payload, at this offset. */
bool payload_matches(uint32_t sender, uint32_t number, size_t offset, const uint8_t *bytes, size_t length);

/* envelope.c */

/* The channel that clients of the Centrifuge protocol subscribe to, and the longest payload that they are sent there. */
#define CENTRIFUGE_CHANNEL "channel"
enum { MAX_CENTRIFUGE_SIZE = 100 };

/* What is said around each payload. */
struct envelope {
    const char *before, *after;
};

/* Around what is sent; the length of `before` is divisible by four, as that of a masking key is. */
struct envelope envelope_sent(const struct options *options);

/* Around what is received. */
struct envelope envelope_received(const struct options *options);

struct connection;

/* frames.c */

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { MAX_FRAME_HEADER = 14, MAX_CONTROL_PAYLOAD = 125 };

/* The bit, besides the opcode, that begins a compressed message (RFC 7692, section 6). */
enum { RSV1 = 0x40 };

/* Writes the header of a masked frame, with a random masking key. Returns its length. */
size_t frame_header(uint8_t to[MAX_FRAME_HEADER], uint8_t opcode, size_t payload_length);

/* Writes a payload masked with the key at the end of this header; `to` and `from` may be the same. */
void frame_mask(uint8_t *to, const uint8_t *from, size_t length, const uint8_t *header_end);

/* parser.c */

/* What a workload does with the messages that arrive. */
struct receiver {
    void (*bytes)(struct connection *, const uint8_t *bytes, size_t length); /* a part, at message_length */
    void (*message)(struct connection *);                                    /* its end */
};

struct parser {
    uint8_t header[MAX_FRAME_HEADER];
    uint8_t header_length;
    bool in_payload;
    bool fin;
    uint8_t opcode;                         /* of the frame */
    uint8_t message_opcode;                 /* of the message; CONTINUATION: none has begun */
    bool compressed;                        /* the message */
    uint64_t payload_left;
    size_t message_length;                  /* bytes of the message so far, as they are on the wire */
    uint8_t control_length;
    uint8_t control[MAX_CONTROL_PAYLOAD];
};

void parse(struct connection *connection, const uint8_t *bytes, size_t length);

struct connection {
    int fd;
    void *tls;                              /* SSL *, or NULL */
    uint32_t number;
    const struct receiver *receiver;
    struct parser parser;
    uint8_t *out;                           /* bytes out_sent to out_length wait for the socket */
    size_t out_sent, out_length, out_capacity;
    bool waits_for_room;
    bool deflate;                           /* its messages may be compressed */
    uint8_t *in;                            /* the compressed message that is arriving */
    uint32_t next_sent, next_received;      /* numbers of messages, for the workload */
    uint64_t *sent_at;                      /* when, by number modulo depth */
};

/* socket.c */

enum { SILENCE_MS = 10000 };

/* Connects a TCP socket (blocking: on one machine, this waits only for the kernel). The number picks one of the server's
 * ports, and one of several local addresses, so that no address runs out of ports. */
int tcp_connect(const struct options *options, uint32_t number);

void *tls_connect(int fd);

/* Read and write, over TLS or not: 0 for "not now", fail() for the end. */
size_t socket_read(struct connection *connection, void *to, size_t room);
size_t socket_write(struct connection *connection, const void *from, size_t length);

/* outgoing.c */

void connection_queue_payload(struct connection *connection, uint32_t sender, uint32_t number);
void connection_queue_frame(struct connection *connection, uint8_t opcode, const uint8_t *payload, size_t length);

/* connection.c */

/* Sends what was queued, as far as there is room. */
void connection_flush(struct connection *connection);

/* Takes what has arrived; while the socket blocks, waits for something. Returns how many bytes came last, 0 for none. */
size_t connection_read(struct connection *connection);

/* Waits for events and calls the receivers, then sends what was queued. Fails after 10 s of silence.
 * Returns the time of the wake-up. */
uint64_t connections_poll(void);

/* The epoll instance, for a workload that watches more. */
int connections_epoll(void);

/* Makes the socket non-blocking, and lets epoll watch it. */
void connection_watch(struct connection *connection);

/* dialect.c */

/* Says what must be said before the first message, and waits for the answer; the socket still blocks. The bytes came with
 * the answer to the upgrade. */
void dialect_open(struct connection *connection, const struct options *options, const uint8_t *bytes, size_t length);

/* opening.c */

enum { MAX_UPGRADE_HEAD = 4096 };

/* The upgrade request; with_browser_headers: 700 bytes, like that of a browser. */
size_t upgrade_request(char *to, size_t room, const struct options *options, const char *path,
                       bool with_browser_headers);

/* The length of a complete response that accepts the upgrade, 0 while it is incomplete. Fails on any other. */
size_t upgrade_answer(const char *head, size_t length);

/* Opens a WebSocket connection, and lets epoll watch it. */
void connection_open(struct connection *connection, const struct options *options, const char *path,
                     bool with_browser_headers);

/* document.c */

/* Writes a JSON document of exactly this many bytes, at least 64; the number makes it differ from others. */
void document_write(char *to, size_t size, unsigned number);

/* deflate.c */

/* What the client says about compression. */
#define DEFLATE_OFFER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

/* Makes and compresses all messages. */
void deflate_prepare(size_t size);

/* Fails unless this response to the upgrade accepts DEFLATE_OFFER. */
void deflate_negotiated(const char *head, size_t length);

void deflate_queue(struct connection *connection, uint32_t number);

/* Takes a part of a message that arrives; see struct receiver. */
void deflate_collect(struct connection *connection, const uint8_t *bytes, size_t length);

/* Fails unless the message that has arrived is the next one expected, and compressed. */
void deflate_check(const struct connection *connection);

/* idle.c, for idle connections of all kinds */

/* Fails if opening the connections takes too long; the argument is how many are open. */
void idle_check_time(const struct options *options, uint64_t start, unsigned open);

/* Says that all are open. */
void idle_report(const struct options *options, uint64_t start);

/* Waits for lines of standard input, and for events of epoll, for which it calls the function. Returns how many lines
 * there were. Ends the program when standard input ends. */
size_t idle_wait(void (*poll_connections)(void));

/* Says that all are open, and holds them until standard input ends. */
_Noreturn void idle_hold(const struct options *options, uint64_t start, void (*poll_connections)(void));

/* the workloads */
void run_echo(const struct options *options);
void run_fanout(const struct options *options);
void run_handshakes(const struct options *options);
void run_receive(const struct options *options);
void run_idle(const struct options *options);
void run_idle_http(const struct options *options);
void run_idle_http_silent(const struct options *options);
void run_idle_http_head(const struct options *options);

#endif
