// What became of every packet of every flow, and the small helpers that all measurements share.
#pragma once
#include <stdint.h>

#include "wire.h"

struct flow_state {
  uint32_t sent;      // packets sent so far = the next sequence number
  uint32_t expected;  // the sequence number after the highest that arrived
  uint32_t arrived;
  uint32_t wanted;    // the sequence number from which on packets count
  uint64_t window;    // bit k: packet expected - 1 - k has arrived
  int64_t first_ns;   // stamp of the first arrival, 0 before
};

// Over all flows; `lost` counts from a flow's first arrival on, or from its first packet when that was wanted already.
struct totals {
  uint64_t sent, arrived, lost, duplicated, reordered;
};

extern struct flow_state *flows;
extern uint32_t flow_count, forwarding_count;
extern int flows_wanted_from_start;

void flows_open(uint32_t count);
// Sends `count` packets of a flow back to back.
void flow_send(uint32_t flow, int count);
// Puts one packet of a flow aside for `flush_packets`.
void flow_queue(uint32_t flow);
// Takes in what has arrived. Returns how many packets.
int flows_drain(void);
struct totals flows_totals(void);

// key=value arguments of the command line; `missing` when there is no such key.
long option(const char *key, long missing);
const char *option_text(const char *key, const char *missing);
void options_open(int argc, char **argv);

void sleep_us(int64_t us);
// CPU time that a process and all its threads have used, in microseconds.
double cpu_us_of(int pid);
// Sorts, and returns the value that `percent` of the values do not exceed.
double percentile(double *values, int count, double percent);
// Entries in the multicast table of the namespace that `pid` lives in; `unresolved` ones still wait for an answer.
void table_entries(int pid, unsigned *resolved, unsigned *unresolved);
