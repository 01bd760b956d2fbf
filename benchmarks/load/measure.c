/* The measured time, what happened in it, and its cost to the server. */

#include "load.h"

#include <string.h>
#include <time.h>

/* Latencies are counted in buckets, 64 for each power of two of nanoseconds, so a percentile is accurate to 1.6 %. */
enum { STEPS_LOG2 = 6, STEPS = 1 << STEPS_LOG2, BUCKETS = (64 - STEPS_LOG2 + 1) * STEPS };

static enum { WARMING_UP, MEASURING, OVER } phase;
static uint64_t phase_end;
static uint64_t started, ended;
static uint64_t messages, wire_bytes;
static uint64_t latencies[BUCKETS], latency_count;
static uint64_t server_cpu, load_cpu;
static const struct options *options;

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) != 0)
        fail("the server's process is gone");
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* CPU time of all threads of the server's processes, in ns (clock_getcpuclockid(3)). */
static uint64_t servers_cpu(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < options->server_count; i++) {
        clockid_t clock;
        if (clock_getcpuclockid(options->servers[i], &clock) != 0)
            fail("no process %d: --pid names the server's processes", (int)options->servers[i]);
        sum += read_clock(clock);
    }
    return sum;
}

static uint64_t seconds_to_ns(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

void measure_start(const struct options *of)
{
    options = of;
    phase = WARMING_UP;
    phase_end = now_ns() + seconds_to_ns(options->warmup);
}

bool measure_continues(uint64_t now)
{
    if (now < phase_end)
        return phase != OVER;
    if (phase == WARMING_UP) {
        server_cpu = servers_cpu();
        load_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
        started = now_ns();
        phase_end = started + seconds_to_ns(options->seconds);
        phase = MEASURING;
    } else if (phase == MEASURING) {
        server_cpu = servers_cpu() - server_cpu;
        load_cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID) - load_cpu;
        ended = now_ns();
        phase = OVER;
    }
    return phase != OVER;
}

void measure_messages(uint64_t count)
{
    if (phase == MEASURING)
        messages += count;
}

void measure_wire_bytes(size_t count)
{
    if (phase == MEASURING)
        wire_bytes += count;
}

static unsigned bucket_of(uint64_t ns)
{
    if (ns < STEPS)
        return (unsigned)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - STEPS_LOG2;
    return (shift + 1) * STEPS + (unsigned)((ns >> shift) - STEPS);
}

static double bucket_us(unsigned bucket)
{
    if (bucket < STEPS)
        return bucket / 1e3;
    unsigned shift = bucket / STEPS - 1;
    return (double)((uint64_t)(STEPS + bucket % STEPS) << shift) / 1e3;
}

void measure_latency(uint64_t ns)
{
    if (phase == MEASURING) {
        latencies[bucket_of(ns)]++;
        latency_count++;
    }
}

static double percentile_us(double part)
{
    uint64_t wanted = (uint64_t)(part * (double)latency_count), seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += latencies[bucket];
        if (seen > wanted)
            return bucket_us(bucket);
    }
    return 0;
}

struct result measure_result(void)
{
    double seconds = (double)(ended - started) / 1e9;
    return (struct result){
        .messages = messages,
        .wire_bytes = wire_bytes,
        .seconds = seconds,
        .p50_us = percentile_us(0.50),
        .p99_us = percentile_us(0.99),
        .server_cpu_s = options->server_count ? (double)server_cpu / 1e9 : -1,
        .load_cpu = (double)load_cpu / 1e9 / seconds,
    };
}
