// Both far ends of the router's links, held by one process: frames go in and come out by AF_PACKET, so that no host
// stack adds anything of its own, and arrivals carry the kernel's time stamp.
#pragma once
#include <stdint.h>

enum { REPORT_RECORDS = 180, PACKET_BYTES = 200, TRAIN_LIMIT = 64 };

// Group `flow` of the run; the base keeps the groups of two runs against one router apart.
extern uint32_t group_base;
uint32_t group_of(uint32_t flow);

// A packet of a stream as it arrived. `stamp_ns` is CLOCK_REALTIME, taken by the kernel where the frame reached the
// device.
struct arrival {
  uint32_t flow, sequence;
  int64_t stamp_ns;
};

void wire_open(const char *sender_if, const char *host_if);
int64_t now_ns(void);
// Sends `count` packets of a flow back to back with the sequence numbers that follow `sequence`.
void send_packets(uint32_t flow, uint32_t sequence, int count);
// Puts a packet aside; `flush_packets` sends all that were put aside, at most TRAIN_LIMIT, in one call.
void queue_packet(uint32_t flow, uint32_t sequence);
void flush_packets(void);
// Record types of RFC 9776 section 4.2.13: an answer to a query, a change.
enum { IS_EX = 2, TO_EX = 4 };
// One IGMPv3 report with {} records of this type for `count` <= REPORT_RECORDS groups from `first` on.
void send_v3_report(uint32_t first, int count, int type);
// One IGMPv2 report for each of `count` groups from `first` on.
void send_v2_reports(uint32_t first, int count);
// Next arrival; 0 when there is none. Does not block.
int next_arrival(struct arrival *out);
// Sleeps until something arrives, at most `timeout_ms`.
void wait_arrival(int timeout_ms);
// Frames that did not fit the receive ring: must be 0 for a result to count.
unsigned ring_drops(void);
void fail(const char *what);
