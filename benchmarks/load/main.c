/* The command line and the report. */

#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: load WORKLOAD --port PORT [options]\n"
    "\n"
    "workloads\n"
    "  echo        every connection has DEPTH messages in flight, each echo is checked      (path /echo)\n"
    "  fanout      one sender, CONNECTIONS receivers, DEPTH messages in flight         (path /broadcast)\n"
    "  handshakes  CONNECTIONS at once connect, upgrade and close, again and again          (path /echo)\n"
    "  receive     CONNECTIONS wait for messages; each line of standard input makes the first one send  (path /channel)\n"
    "  idle        opens CONNECTIONS with a browser's headers and holds them until standard input ends\n"
    "  idle-http         likewise HTTP connections, each of which had a request answered   (path /hello)\n"
    "  idle-http-silent  likewise, with nothing sent\n"
    "  idle-http-head    likewise, with the first half of a request's head sent            (path /hello)\n"
    "\n"
    "options\n"
    "  --port PORT[,PORT...]  the server's, or those of several, which are used in turn\n"
    "  --host ADDRESS      IPv4 address of the server (127.0.0.1)\n"
    "  --path PATH         another path than the workload's\n"
    "  --tls               over TLS; the certificate is not verified\n"
    "  --size BYTES        payload of a message (64)\n"
    "  --text              text messages with non-ASCII characters, instead of binary ones\n"
    "  --header FIELD      'NAME: VALUE', beside Host in the requests of idle-http and idle-http-head (repeatable)\n"
    "  --deflate           echo only: text messages of JSON, compressed (permessage-deflate)\n"
    "  --greeted           wait on each connection for the text \"ready\"\n"
    "  --socketio          echo and fanout: the server speaks Socket.IO; an echo is the answer to an event\n"
    "  --centrifuge FORMAT fanout, receive and idle: the server speaks the Centrifuge protocol, json or protobuf\n"
    "  --depth N           messages in flight (1)\n"
    "  --connections N     (100)\n"
    "  --seconds S         measured time (3)\n"
    "  --warmup S          time before it (0.5)\n"
    "  --pid PID[,PID...]  the server's processes: their CPU time per message is reported\n"
    "\n"
    "Prints one line of JSON. Any wrong answer ends the run: {\"errors\": 1, \"error\": \"...\"}, exit status 1.\n";

static _Noreturn void usage_error(const char *what)
{
    fprintf(stderr, "load: %s\n\n%s", what, USAGE);
    exit(2);
}

static double parse_number(const char *option, const char *text, double least, double most)
{
    char *end, message[128];
    double value = strtod(text, &end);
    if (end != text && !*end && value >= least && value <= most)
        return value;
    snprintf(message, sizeof message, "--%s must be a number from %g to %g, not %s", option, least, most, text);
    usage_error(message);
}

static void read_pids(struct options *options, char *list)
{
    for (char *pid = strtok(list, ","); pid; pid = strtok(NULL, ",")) {
        if (options->server_count == MAX_SERVER_PROCESSES)
            usage_error("too many processes in --pid");
        options->servers[options->server_count++] = (pid_t)parse_number("pid", pid, 1, 1 << 30);
    }
}

static enum centrifuge read_format(const char *name)
{
    if (strcmp(name, "json") == 0)
        return CENTRIFUGE_JSON;
    if (strcmp(name, "protobuf") == 0)
        return CENTRIFUGE_PROTOBUF;
    usage_error("--centrifuge is json or protobuf");
}

static void read_ports(struct options *options, char *list)
{
    options->port_count = 0;
    for (char *port = strtok(list, ","); port; port = strtok(NULL, ",")) {
        if (options->port_count == MAX_PORTS)
            usage_error("too many ports in --port");
        options->ports[options->port_count++] = (int)parse_number("port", port, 1, 65535);
    }
}

static void add_field(struct options *options, const char *line)
{
    size_t used = strlen(options->fields), room = sizeof options->fields - used;
    if ((size_t)snprintf(options->fields + used, room, "%s\r\n", line) >= room)
        usage_error("too much in --header");
}

static struct options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"host", required_argument, NULL, 'a'},    {"port", required_argument, NULL, 'p'},
        {"path", required_argument, NULL, 'u'},    {"tls", no_argument, NULL, 'e'},
        {"text", no_argument, NULL, 't'},          {"size", required_argument, NULL, 's'},
        {"depth", required_argument, NULL, 'd'},   {"connections", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 'l'}, {"warmup", required_argument, NULL, 'w'},
        {"pid", required_argument, NULL, 'i'},     {"deflate", no_argument, NULL, 'z'},
        {"header", required_argument, NULL, 'f'},  {"help", no_argument, NULL, 'h'},
        {"greeted", no_argument, NULL, 'g'},       {"socketio", no_argument, NULL, 'o'},
        {"centrifuge", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0}};
    struct options options = {
        .host = "127.0.0.1", .size = 64, .depth = 1, .connections = 100, .seconds = 3, .warmup = 0.5};
    int option, index;
    while ((option = getopt_long(argc, argv, "", known, &index)) != -1) {
        switch (option) {
        case 'a': options.host = optarg; break;
        case 'u': options.path = optarg; break;
        case 'e': options.tls = true; break;
        case 't': options.text = true; break;
        case 'z': options.deflate = true; break;
        case 'p': read_ports(&options, optarg); break;
        case 'g': options.greeted = true; break;
        case 'o': options.socketio = true; break;
        case 'n': options.centrifuge = read_format(optarg); break;
        case 's': options.size = (size_t)parse_number("size", optarg, 0, 1 << 30); break;
        case 'd': options.depth = (unsigned)parse_number("depth", optarg, 1, 1 << 16); break;
        case 'c': options.connections = (unsigned)parse_number("connections", optarg, 1, 1 << 20); break;
        case 'l': options.seconds = parse_number("seconds", optarg, 0.01, 3600); break;
        case 'w': options.warmup = parse_number("warmup", optarg, 0, 3600); break;
        case 'f': add_field(&options, optarg); break;
        case 'i': read_pids(&options, optarg); break;
        case 'h': fputs(USAGE, stdout); exit(EXIT_SUCCESS);
        default: usage_error("unknown option, or a value is missing");
        }
    }
    if (optind != argc - 1)
        usage_error("name one workload");
    if (options.deflate && strcmp(argv[optind], "echo") != 0)
        usage_error("--deflate is for echo only");
    if (!options.port_count)
        usage_error("--port is missing");
    if (options.tls && (options.greeted || options.socketio || options.centrifuge))
        usage_error("--greeted, --socketio and --centrifuge are not for TLS");
    if (options.centrifuge && options.size > MAX_CENTRIFUGE_SIZE)
        usage_error("--centrifuge is for payloads of up to 100 bytes");
    options.workload = argv[optind];
    return options;
}

static void print_report(const char *workload)
{
    struct result result = measure_result();
    if (!result.messages)
        fail("not one message in %.2f s", result.seconds);
    printf("{\"workload\": \"%s\", \"messages\": %llu, \"seconds\": %.4f, \"messages_per_second\": %.1f, ", workload,
           (unsigned long long)result.messages, result.seconds, (double)result.messages / result.seconds);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, ", result.p50_us, result.p99_us);
    if (result.server_cpu_s >= 0)
        printf("\"cpu_us_per_message\": %.4f, \"server_cpu\": %.3f, ",
               result.server_cpu_s * 1e6 / (double)result.messages, result.server_cpu_s / result.seconds);
    if (result.wire_bytes)
        printf("\"wire_bytes_per_message\": %.1f, ", (double)result.wire_bytes / (double)result.messages);
    printf("\"load_cpu\": %.3f, \"errors\": 0}\n", result.load_cpu);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct options *);
        bool is_measured;
    } workloads[] = {{"echo", run_echo, true},
                   {"fanout", run_fanout, true},
                   {"handshakes", run_handshakes, true},
                   {"receive", run_receive, false},
                   {"idle", run_idle, false},
                   {"idle-http", run_idle_http, false},
                   {"idle-http-silent", run_idle_http_silent, false},
                   {"idle-http-head", run_idle_http_head, false}};
    struct options options = read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    payload_prepare(&options);
    if (options.deflate)
        deflate_prepare(options.size);
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        if (strcmp(argv[optind], workloads[i].name) != 0)
            continue;
        workloads[i].run(&options);
        if (workloads[i].is_measured)
            print_report(workloads[i].name);
        return EXIT_SUCCESS;
    }
    usage_error("unknown workload");
}
