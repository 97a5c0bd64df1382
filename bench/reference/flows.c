#include "flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct flow_state *flows;
uint32_t flow_count, forwarding_count;
int flows_wanted_from_start;
static uint64_t duplicated, reordered;
static int arg_count;
static char **args;

void options_open(int argc, char **argv) { arg_count = argc, args = argv; }

const char *option_text(const char *key, const char *missing) {
  size_t length = strlen(key);
  for (int i = 2; i < arg_count; i++)
    if (!strncmp(args[i], key, length) && args[i][length] == '=') return args[i] + length + 1;
  return missing;
}

long option(const char *key, long missing) {
  const char *text = option_text(key, NULL);
  return text ? strtol(text, NULL, 0) : missing;
}

void flows_open(uint32_t count) {
  flow_count = count;
  flows = calloc(count, sizeof *flows);
  if (!flows) fail("calloc");
}

void flow_send(uint32_t flow, int count) {
  send_packets(flow, flows[flow].sent, count);
  flows[flow].sent += (uint32_t)count;
}

void flow_queue(uint32_t flow) { queue_packet(flow, flows[flow].sent++); }

static void begin(struct flow_state *f, const struct arrival *a) {
  f->first_ns = a->stamp_ns;
  f->wanted = f->expected = f->arrived = flows_wanted_from_start ? 0 : a->sequence;
  forwarding_count++;
}

// A packet that another one overtook; or one that was here before, as far back as the window knows.
static void take_late(struct flow_state *f, uint32_t sequence) {
  uint32_t back = f->expected - 1 - sequence;
  if (sequence < f->wanted) return;
  if (back >= 64 || f->window >> back & 1) {
    duplicated++;
    return;
  }
  f->window |= 1ull << back;
  f->arrived++;
  reordered++;
}

static void take(const struct arrival *a) {
  if (a->flow >= flow_count) return;
  struct flow_state *f = &flows[a->flow];
  if (!f->first_ns) begin(f, a);
  if (a->sequence < f->expected) {
    take_late(f, a->sequence);
    return;
  }
  uint32_t forward = a->sequence - f->expected + 1;
  f->window = (forward < 64 ? f->window << forward : 0) | 1;
  f->arrived++;
  f->expected = a->sequence + 1;
}

int flows_drain(void) {
  struct arrival a;
  int n = 0;
  for (; next_arrival(&a); n++) take(&a);
  return n;
}

struct totals flows_totals(void) {
  struct totals t = {.duplicated = duplicated, .reordered = reordered};
  for (uint32_t i = 0; i < flow_count; i++) {
    t.sent += flows[i].sent;
    t.arrived += flows[i].arrived;
    if (flows[i].first_ns || flows_wanted_from_start) t.lost += flows[i].sent - flows[i].arrived;
  }
  return t;
}

void sleep_us(int64_t us) {
  struct timespec t = {us / 1000000, us % 1000000 * 1000};
  nanosleep(&t, NULL);
}

double cpu_us_of(int pid) {
  clockid_t clock;
  struct timespec t;
  if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) fail("clock_getcpuclockid");
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double percentile(double *values, int count, double percent) {
  if (!count) return 0;
  qsort(values, (size_t)count, sizeof *values, ascending);
  int at = (int)(percent / 100 * count);
  return values[at < count ? at : count - 1];
}

void table_entries(int pid, unsigned *resolved, unsigned *unresolved) {
  char path[64], line[1024];
  snprintf(path, sizeof path, "/proc/%d/net/ip_mr_cache", pid);
  FILE *file = fopen(path, "r");
  if (!file) fail(path);
  *resolved = *unresolved = 0;
  while (fgets(line, sizeof line, file)) {
    int iif;
    if (sscanf(line, "%*8[0-9A-F] %*8[0-9A-F] %d", &iif) != 1) continue;
    if (iif >= 0 && iif < 32) ++*resolved;
    else ++*unresolved;
  }
  fclose(file);
}
