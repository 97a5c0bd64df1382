#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

enum { RING_FRAME = 512, RING_FRAMES = 1 << 16, RING_BLOCK = 1 << 18, MAGIC = 0x6d676d64, FRAME_LIMIT = 1514 };

#define SENDER 0x0a010002u   // 10.1.0.2
#define HOST 0x0a020002u     // 10.2.0.2
#define ROUTERS 0xe0000016u  // 224.0.0.22

struct frame {
  uint8_t bytes[FRAME_LIMIT];
  size_t length;
};

uint32_t group_base;
static int sender_fd, host_fd;
static uint8_t *ring;
static unsigned ring_at;
static struct frame queue[TRAIN_LIMIT];
static int queued;

void fail(const char *what) {
  perror(what);
  exit(1);
}

uint32_t group_of(uint32_t flow) { return 0xef010000u + group_base + flow; }

int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void put16(uint8_t *at, uint32_t value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }
static void put32(uint8_t *at, uint32_t value) { put16(at, value >> 16), put16(at + 2, value); }
static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

static uint16_t checksum(const uint8_t *bytes, size_t length) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < length; i += 2) sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

// Ethernet and IPv4 header around `length` bytes that the caller has put, or will put, where this returns.
static uint8_t *put_headers(struct frame *f, uint32_t source, uint32_t destination, int protocol, size_t length) {
  int igmp = protocol == IPPROTO_IGMP;
  size_t header = igmp ? 24 : 20;
  uint8_t *ip = f->bytes + 14;
  memset(f->bytes, 0, 14 + header);
  put16(f->bytes, 0x0100), put32(f->bytes + 2, 0x5e000000u | (destination & 0x7fffffu));
  f->bytes[6] = 2, f->bytes[11] = igmp ? 2 : 1;
  put16(f->bytes + 12, ETH_P_IP);
  ip[0] = (uint8_t)(0x40 | header / 4), ip[1] = igmp ? 0xc0 : 0, ip[8] = igmp ? 1 : 8, ip[9] = (uint8_t)protocol;
  put16(ip + 2, (uint32_t)(header + length));
  put32(ip + 12, source), put32(ip + 16, destination);
  if (igmp) put32(ip + 20, 0x94040000);  // router alert
  put16(ip + 10, checksum(ip, header));
  f->length = 14 + header + length;
  return ip + header;
}

static void build_packet(struct frame *f, uint32_t flow, uint32_t sequence) {
  uint8_t *udp = put_headers(f, SENDER, group_of(flow), IPPROTO_UDP, PACKET_BYTES - 34);
  memset(udp, 0, PACKET_BYTES - 34);
  put16(udp, 5000), put16(udp + 2, 5000), put16(udp + 4, PACKET_BYTES - 34);
  put32(udp + 8, MAGIC), put32(udp + 12, flow), put32(udp + 16, sequence), put32(udp + 20, group_base);
}

static void transmit(int fd, struct frame *frames, int count) {
  struct mmsghdr messages[TRAIN_LIMIT];
  struct iovec parts[TRAIN_LIMIT];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){frames[i].bytes, frames[i].length};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  for (int sent = 0; sent < count;) {
    int n = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0);
    if (n > 0) sent += n;
    else if (errno != ENOBUFS && errno != EINTR) fail("sendmmsg");
  }
}

void queue_packet(uint32_t flow, uint32_t sequence) {
  if (queued == TRAIN_LIMIT) flush_packets();
  build_packet(&queue[queued++], flow, sequence);
}

void flush_packets(void) {
  transmit(sender_fd, queue, queued);
  queued = 0;
}

void send_packets(uint32_t flow, uint32_t sequence, int count) {
  for (int i = 0; i < count; i++) queue_packet(flow, sequence + (uint32_t)i);
  flush_packets();
}

void send_v3_report(uint32_t first, int count, int type) {
  static struct frame f;
  size_t length = 8 + 8 * (size_t)count;
  uint8_t *igmp = put_headers(&f, HOST, ROUTERS, IPPROTO_IGMP, length);
  memset(igmp, 0, length);
  igmp[0] = 0x22, put16(igmp + 6, (uint32_t)count);
  for (int i = 0; i < count; i++) igmp[8 + 8 * i] = (uint8_t)type, put32(igmp + 12 + 8 * i, group_of(first + (uint32_t)i));
  put16(igmp + 2, checksum(igmp, length));
  transmit(host_fd, &f, 1);
}

void send_v2_reports(uint32_t first, int count) {
  static struct frame frames[TRAIN_LIMIT];
  for (int done = 0; done < count;) {
    int n = count - done < TRAIN_LIMIT ? count - done : TRAIN_LIMIT;
    for (int i = 0; i < n; i++) {
      uint32_t group = group_of(first + (uint32_t)(done + i));
      uint8_t *igmp = put_headers(&frames[i], HOST, group, IPPROTO_IGMP, 8);
      put32(igmp, 0x16000000), put32(igmp + 4, group);
      put16(igmp + 2, checksum(igmp, 8));
    }
    transmit(host_fd, frames, n);
    done += n;
  }
}

int next_arrival(struct arrival *out) {
  for (;;) {
    struct tpacket2_hdr *h = (struct tpacket2_hdr *)(ring + (size_t)ring_at * RING_FRAME);
    if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) return 0;
    const uint8_t *ip = (uint8_t *)h + h->tp_net;
    const uint8_t *data = ip + 28;
    int ours = h->tp_snaplen >= 50 && ip[9] == IPPROTO_UDP && get32(data) == MAGIC && get32(data + 12) == group_base;
    if (ours) *out = (struct arrival){get32(data + 4), get32(data + 8), (int64_t)h->tp_sec * 1000000000 + h->tp_nsec};
    __atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    ring_at = (ring_at + 1) % RING_FRAMES;
    if (ours) return 1;
  }
}

void wait_arrival(int timeout_ms) {
  struct pollfd p = {.fd = host_fd, .events = POLLIN};
  poll(&p, 1, timeout_ms);
}

unsigned ring_drops(void) {
  struct tpacket_stats s;
  socklen_t length = sizeof s;
  if (getsockopt(host_fd, SOL_PACKET, PACKET_STATISTICS, &s, &length)) fail("PACKET_STATISTICS");
  return s.tp_drops;
}

static int open_end(const char *name, int receives) {
  int on = 1, version = TPACKET_V2;
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("AF_PACKET");
  if (receives) {
    struct tpacket_req r = {.tp_block_size = RING_BLOCK,
                            .tp_block_nr = RING_FRAMES / (RING_BLOCK / RING_FRAME),
                            .tp_frame_size = RING_FRAME,
                            .tp_frame_nr = RING_FRAMES};
    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version)) fail("PACKET_VERSION");
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &r, sizeof r)) fail("PACKET_RX_RING");
    ring = mmap(NULL, (size_t)RING_FRAMES * RING_FRAME, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (ring == MAP_FAILED) fail("mmap");
  }
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
  struct sockaddr_ll a = {.sll_family = AF_PACKET,
                          .sll_protocol = receives ? htons(ETH_P_IP) : 0,
                          .sll_ifindex = (int)if_nametoindex(name)};
  if (bind(fd, (struct sockaddr *)&a, sizeof a)) fail(name);
  return fd;
}

void wire_open(const char *sender_if, const char *host_if) {
  sender_fd = open_end(sender_if, 0);
  host_fd = open_end(host_if, 1);
}
