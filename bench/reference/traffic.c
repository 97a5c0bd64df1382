// Sends reports and streams through a router and says, as one JSON line, when packets came out on the other side.
//
//   traffic first-packet in=IF out=IF pid=N [rounds=200] [version=2|3] [gap=20]
//   traffic upcall       in=IF out=IF pid=N [flows=1000] [train=4]
//   traffic burst        in=IF out=IF pid=N [groups=10000] [version=2|3] [prime=1]
//   traffic report       in=IF out=IF pid=N [groups=10000]
//   traffic stream       in=IF out=IF pid=N [groups=10000] [pps=20000] [ms=3000]
//   traffic steady       in=IF out=IF pid=N [groups=10000] [pps=1000] [interval=10000] [answer=5000] [intervals=2]
//   traffic flood        in=IF out=IF pid=N [groups=10000] [pps=1000] [ms=5000] [rate=100000]
//
// `in` is the far end of the link that the streams come by, `out` the far end of the receivers' link, `pid` the router.
// base=N keeps the groups of several runs against one router apart. Times are microseconds unless named otherwise.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "flows.h"
#include "wire.h"

enum { SECOND_US = 1000000, LAST_ARRIVALS_US = 200000, SWEEP_BATCH = 32, V2_BATCH = 64 };

static int router;
static volatile sig_atomic_t stop_wanted;

// The v3 report that begins with group `first`, as full as it gets. Returns the group that the next one begins with.
static uint32_t report_from(uint32_t first, int type) {
  uint32_t left = flow_count - first, count = left < REPORT_RECORDS ? left : REPORT_RECORDS;
  send_v3_report(first, (int)count, type);
  return first + count;
}

static void report_all(int version) {
  if (version == 2) send_v2_reports(0, (int)flow_count);
  else
    for (uint32_t i = 0; i < flow_count;) i = report_from(i, TO_EX);
}

// The end of a result, which all that send streams share.
static void print_losses(const struct totals *t) {
  printf("\"lost\":%lu,\"duplicated\":%lu,\"reordered\":%lu,\"ring_drops\":%u}\n", t->lost, t->duplicated, t->reordered,
         ring_drops());
}

// 0 for what did not happen.
static double ms_since(int64_t from_ns, int64_t then_ns) { return then_ns ? (double)(then_ns - from_ns) / 1e6 : 0; }

// Sleeps until the queue of arrivals stays empty for `us`.
static void settle(int64_t us) {
  do sleep_us(us);
  while (flows_drain());
}

// Sends every `gap_us` until the first packet comes out. Sleeps between, so that the router finds a free processor.
static int await_first(uint32_t flow, int64_t gap_us, int64_t deadline_ns) {
  while (now_ns() < deadline_ns) {
    flow_send(flow, 1);
    flows_drain();
    if (flows[flow].first_ns) return 1;
    sleep_us(gap_us);
  }
  return 0;
}

// Every stream flows before anybody wants it, so that the router has an entry without outputs for each.
static unsigned prime(void) {
  unsigned resolved = 0, unresolved = 0, before;
  table_entries(router, &before, &unresolved);
  for (int pass = 0; pass < 5 && resolved < before + flow_count; pass++) {
    for (uint32_t flow = 0; flow < flow_count; flow++) {
      flow_send(flow, 1);
      if (flow % 10 == 9) sleep_us(500);
    }
    for (int i = 0; i < 40; i++) {
      sleep_us(50000);
      table_entries(router, &resolved, &unresolved);
      if (resolved >= before + flow_count) break;
    }
    flows_drain();
  }
  return resolved - before;
}

// A stream flows, nobody wants it; then a host reports. One fresh group a round.
static int first_packet(void) {
  int rounds = (int)option("rounds", 200), version = (int)option("version", 3);
  int failed = 0, count = 0, early = 0;
  int64_t gap = option("gap", 20);
  double *latency = calloc((size_t)rounds, sizeof *latency);
  flows_open((uint32_t)rounds);
  prime();
  for (uint32_t flow = 0; flow < flow_count; flow++) {
    for (int i = 0; i < 5; i++) flow_send(flow, 1), sleep_us(300 + rand() % 300);
    flows_drain();
    if (flows[flow].first_ns) early++;
    int64_t from = now_ns();
    if (version == 2) send_v2_reports(flow, 1);
    else send_v3_report(flow, 1, TO_EX);
    if (await_first(flow, gap, from + 1000000000)) latency[count++] = (double)(flows[flow].first_ns - from) / 1e3;
    else failed++;
    for (int i = 0; i < 20; i++) flow_send(flow, 1);
    settle(500);
  }
  settle(LAST_ARRIVALS_US);
  struct totals t = flows_totals();
  printf("{\"rounds\":%d,\"p50\":%.1f,\"p99\":%.1f,\"failed\":%d,\"early\":%d,", count, percentile(latency, count, 50),
         percentile(latency, count, 99), failed, early);
  print_losses(&t);
  return 0;
}

// Wanted groups whose streams begin: a train of packets each, the kernel holds the first four until the entry is there.
static int upcall(void) {
  int train = (int)option("train", 4), count = 0;
  uint64_t lost_first = 0, missing_flows = 0;
  flows_open((uint32_t)option("flows", 1000));
  double *latency = calloc(flow_count, sizeof *latency);
  report_all(3);
  sleep_us(SECOND_US / 2);
  for (uint32_t flow = 0; flow < flow_count; flow++) {
    int64_t from = now_ns();
    flow_send(flow, train);
    int64_t limit = from + 200000000;
    uint32_t got = 0;
    struct arrival a;
    while (got < (uint32_t)train && now_ns() < limit) {
      if (!next_arrival(&a)) wait_arrival(10);
      else if (a.flow == flow && got++ == 0) latency[count++] = (double)(a.stamp_ns - from) / 1e3;
    }
    missing_flows += got == 0;
    lost_first += (uint64_t)train - got;
    sleep_us(500 + rand() % 1000);
  }
  printf("{\"flows\":%d,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,", count, percentile(latency, count, 50),
         percentile(latency, count, 99), percentile(latency, count, 100));
  printf("\"missing_flows\":%lu,\"lost_first_packets\":%lu,\"ring_drops\":%u}\n", missing_flows, lost_first, ring_drops());
  return 0;
}

struct sweep {
  uint32_t *pending;  // flows that did not come out yet
  uint32_t count, at, steady;
  int64_t last_refused_ns;
};

// Sends to flows that do not come out yet, one after the other, and to one of all for every four of them. What the
// router lets through is in the ring when the call returns, because the kernel forwards within it: the rest was refused.
static void sweep(struct sweep *s) {
  uint32_t tried[SWEEP_BATCH];
  int count = 0;
  for (int i = 0; i < SWEEP_BATCH && s->count; i++) {
    if (s->at >= s->count) s->at = 0;
    uint32_t flow = s->pending[s->at];
    if (flows[flow].first_ns) s->pending[s->at] = s->pending[--s->count];
    else flow_queue(tried[count++] = flow), ++s->at;
    if (i % 4 == 3) s->steady = (s->steady + 1) % flow_count, flow_queue(s->steady);
  }
  int64_t now = now_ns();
  flush_packets();
  flows_drain();
  for (int i = 0; i < count; i++)
    if (!flows[tried[i]].first_ns) s->last_refused_ns = now;
}

static int64_t last_first_ns(void) {
  int64_t last = 0;
  for (uint32_t i = 0; i < flow_count; i++)
    if (flows[i].first_ns > last) last = flows[i].first_ns;
  return last;
}

// All groups are joined at once while all their streams flow.
static int burst(void) {
  int version = (int)option("version", 3);
  flows_open((uint32_t)option("groups", 10000));
  unsigned primed = option("prime", 1) ? prime() : 0;
  struct sweep s = {.pending = calloc(flow_count, sizeof *s.pending), .count = flow_count};
  // In random order: as long as some groups do not forward, soon one of them is asked, whatever the router's order is.
  for (uint32_t i = 0; i < flow_count; i++) {
    uint32_t j = (uint32_t)rand() % (i + 1);
    s.pending[i] = s.pending[j];
    s.pending[j] = i;
  }
  uint32_t early = forwarding_count;
  double cpu = cpu_us_of(router);
  int64_t from = now_ns();
  if (version == 3) report_all(3);
  else
    for (uint32_t i = 0; i < flow_count; i += V2_BATCH) {
      send_v2_reports(i, (int)(flow_count - i < V2_BATCH ? flow_count - i : V2_BATCH));
      sweep(&s);
    }
  int64_t sent_all = now_ns();
  while (forwarding_count < flow_count && now_ns() < from + 5000000000) sweep(&s);
  double cpu_then = cpu_us_of(router) - cpu;
  sleep_us(SECOND_US / 5);
  cpu = cpu_us_of(router) - cpu;
  for (uint32_t flow = 0; flow < flow_count; flow++) {
    flow_send(flow, 1);
    if (flow % 64 == 63) flows_drain(), sleep_us(100);
  }
  settle(LAST_ARRIVALS_US);
  struct totals t = flows_totals();
  printf("{\"groups\":%u,\"primed\":%u,\"early\":%u,\"never\":%u,\"packets\":%lu,", flow_count, primed, early,
         flow_count - forwarding_count, t.sent);
  printf("\"all_forward_ms\":%.2f,\"last_refused_ms\":%.2f,\"reports_sent_ms\":%.2f,", ms_since(from, last_first_ns()),
         ms_since(from, s.last_refused_ns), ms_since(from, sent_all));
  printf("\"cpu_ms\":%.1f,\"cpu_settled_ms\":%.1f,", cpu_then / 1e3, cpu / 1e3);
  print_losses(&t);
  return 0;
}

static int report(void) {
  flows_open((uint32_t)option("groups", 10000));
  report_all(3);
  printf("{\"groups\":%u}\n", flow_count);
  return 0;
}

static void on_signal(int number) {
  (void)number;
  stop_wanted = 1;
}

struct pace {
  int64_t gap_ns, next_ns;
};

static struct pace pace_of(long per_second) { return (struct pace){1000000000 / per_second, now_ns()}; }

// How many are due now, at most a train; 0: none yet.
static int pace_due(struct pace *p) {
  int due = 0;
  for (int64_t now = now_ns(); due < TRAIN_LIMIT && p->next_ns <= now; p->next_ns += p->gap_ns) due++;
  return due;
}

// Sends what is due, to every group in turn, and takes in what has arrived.
static void stream_due(struct pace *p) {
  static uint32_t flow;
  int due = pace_due(p);
  for (int i = 0; i < due; i++, flow = (flow + 1) % flow_count) flow_queue(flow);
  flush_packets();
  flows_drain();
  if (due < TRAIN_LIMIT) sleep_us(500);
}

// The end of a result of streams that flowed since `from`; the last packets get 200 ms to arrive.
static void print_stream_fields(int64_t from, double cpu_us) {
  double ms = (double)(now_ns() - from) / 1e6;
  settle(LAST_ARRIVALS_US);
  struct totals t = flows_totals();
  printf("\"groups\":%u,\"ms\":%.0f,\"sent\":%lu,\"arrived\":%lu,\"silent_groups\":%u,\"router_cpu_percent\":%.2f,", flow_count,
         ms, t.sent, t.arrived, flow_count - forwarding_count, cpu_us / ms / 10);
  print_losses(&t);
}

static void print_stream(int64_t from, double cpu_us) {
  putchar('{');
  print_stream_fields(from, cpu_us);
}

// A steady stream to every group in turn, until its time is over or SIGTERM comes. Says "started" when it runs; the last
// packets get 200 ms to arrive.
static int stream(void) {
  struct pace packets = pace_of(option("pps", 20000));
  flows_open((uint32_t)option("groups", 10000));
  flows_wanted_from_start = 1;
  signal(SIGTERM, on_signal);
  puts("started");
  double cpu = cpu_us_of(router);
  int64_t from = now_ns(), until = from + option("ms", 3000) * 1000000;
  while (now_ns() < until && !stop_wanted) stream_due(&packets);
  print_stream(from, cpu_us_of(router) - cpu);
  return 0;
}

// Hosts answer each query within `answer` ms, as one host with all groups would, while a few packets flow.
static int steady(void) {
  struct pace packets = pace_of(option("pps", 1000));
  int64_t interval_ns = option("interval", 10000) * 1000000, intervals = option("intervals", 2);
  flows_open((uint32_t)option("groups", 10000));
  int64_t answer_gap_ns = option("answer", 5000) * 1000000 / (flow_count / REPORT_RECORDS + 1);
  flows_wanted_from_start = 1;
  double cpu = cpu_us_of(router);
  int64_t from = now_ns();
  for (int64_t begin = from; begin < from + intervals * interval_ns; begin += interval_ns) {
    int64_t next = begin;
    for (uint32_t group = 0; now_ns() < begin + interval_ns;) {
      if (group < flow_count && now_ns() >= next) group = report_from(group, IS_EX), next += answer_gap_ns;
      stream_due(&packets);
    }
  }
  print_stream(from, cpu_us_of(router) - cpu);
  return 0;
}

// v2 reports of groups that are joined, as fast as asked, while packets flow.
static int flood(void) {
  struct pace packets = pace_of(option("pps", 1000)), reports = pace_of(option("rate", 100000));
  flows_open((uint32_t)option("groups", 10000));
  flows_wanted_from_start = 1;
  double cpu = cpu_us_of(router);
  int64_t from = now_ns(), until = from + option("ms", 5000) * 1000000, sent = 0;
  while (now_ns() < until) {
    for (int batch; (batch = pace_due(&reports)) > 0; sent += batch)
      send_v2_reports((uint32_t)rand() % (flow_count - TRAIN_LIMIT), batch);
    if (pace_due(&packets)) flow_send((uint32_t)rand() % flow_count, 1), flows_drain();
    sleep_us(100);
  }
  printf("{\"reports\":%ld,\"reports_per_s\":%.0f,", (long)sent, (double)sent * 1e9 / (double)(now_ns() - from));
  print_stream_fields(from, cpu_us_of(router) - cpu);
  return 0;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(void);
  } commands[] = {
      {"first-packet", first_packet}, {"upcall", upcall}, {"burst", burst}, {"report", report}, {"stream", stream},
      {"steady", steady},             {"flood", flood}};
  setvbuf(stdout, NULL, _IOLBF, 0);
  prctl(PR_SET_TIMERSLACK, 1);
  options_open(argc, argv);
  router = (int)option("pid", 0);
  group_base = (uint32_t)option("base", 0);
  for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(argv[1], commands[i].name)) continue;
    wire_open(option_text("in", "s0"), option_text("out", "h0"));
    return commands[i].run();
  }
  fputs("traffic: the first argument is first-packet, upcall, burst, report, stream, steady or flood\n", stderr);
  return 64;
}
