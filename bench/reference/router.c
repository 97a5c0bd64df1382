#define _GNU_SOURCE
// The limit that mgmd is compared with: the smallest IGMP router that makes the same system calls. One process, one
// poll loop, no queries, no timers, no checks. It stands in the daemon's place in the same topology.
//
//   router IF... [upstream=IF]     vif k is the k-th interface; prints "ready" when it serves
//
// A report joins its group on the interface it came from; NOCACHE installs an entry, an empty one when nobody joined;
// with `upstream` each joined group is joined there as a host, 20 on a socket;
// SIGUSR1 rewrites every entry in place (the most that a change of an interface's owner may have to do) and prints how
// long that took.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/mroute.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MEMBERSHIPS = 20, BATCH = 64, SLOT = 2048, CONTROL = 64, BUCKETS = 1 << 16, RECEIVE_BUFFER = 8 << 20 };

struct flow {
  uint32_t source;  // network order, as in the kernel's structs
  vifi_t iif;
  struct flow *next;
};

struct group {
  uint32_t address;  // network order
  uint32_t joined;   // bit k: vif k
  struct flow *flows;
  struct group *next;
};

static struct group *buckets[BUCKETS];
static int vif_of_ifindex[1024];
static int vif_count;
static int upstream;  // ifindex; 0: nothing is joined
static int sock;
static volatile sig_atomic_t rewrite_wanted;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static struct group *find_group(uint32_t address) {
  uint32_t bucket = (ntohl(address) * 2654435761u) >> 16;
  for (struct group *g = buckets[bucket]; g; g = g->next)
    if (g->address == address) return g;
  struct group *g = calloc(1, sizeof *g);
  if (!g) die("calloc");
  g->address = address;
  g->next = buckets[bucket];
  buckets[bucket] = g;
  return g;
}

static void add_mfc(const struct group *g, const struct flow *f) {
  struct mfcctl entry = {.mfcc_origin.s_addr = f->source, .mfcc_mcastgrp.s_addr = g->address, .mfcc_parent = f->iif};
  for (int vif = 0; vif < vif_count; vif++)
    if (vif != f->iif && g->joined >> vif & 1) entry.mfcc_ttls[vif] = 1;
  if (setsockopt(sock, IPPROTO_IP, MRT_ADD_MFC, &entry, sizeof entry)) die("MRT_ADD_MFC");
}

// Joins a group upstream, on a further socket after 20 (net.ipv4.igmp_max_memberships).
static void join_upstream(uint32_t address) {
  static int fd = -1, held = MEMBERSHIPS;
  if (held == MEMBERSHIPS) {
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    held = 0;
  }
  struct ip_mreqn request = {.imr_multiaddr.s_addr = address, .imr_ifindex = upstream};
  if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request)) die("IP_ADD_MEMBERSHIP");
  held++;
}

static void set_joined(uint32_t address, int vif, int joined) {
  struct group *g = find_group(address);
  uint32_t mask = joined ? g->joined | 1u << vif : g->joined & ~(1u << vif);
  if (mask == g->joined) return;
  if (upstream && !g->joined) join_upstream(address);
  g->joined = mask;
  for (struct flow *f = g->flows; f; f = f->next) add_mfc(g, f);
}

static void on_upcall(const struct igmpmsg *m) {
  if (m->im_msgtype != IGMPMSG_NOCACHE) return;
  struct group *g = find_group(m->im_dst.s_addr);
  struct flow *f = g->flows;
  while (f && f->source != m->im_src.s_addr) f = f->next;
  if (!f) {
    f = calloc(1, sizeof *f);
    if (!f) die("calloc");
    f->source = m->im_src.s_addr;
    f->next = g->flows;
    g->flows = f;
  }
  f->iif = m->im_vif;
  add_mfc(g, f);
}

// RFC 3376 section 4.2: modes 2 and 4 (and 1, 3, 5 with sources) join here, 1 and 3 without sources leave.
static void on_v3_report(const uint8_t *igmp, size_t length, int vif) {
  size_t records = (size_t)igmp[6] << 8 | igmp[7], at = 8;
  for (size_t i = 0; i < records && at + 8 <= length; i++) {
    size_t sources = (size_t)igmp[at + 2] << 8 | igmp[at + 3];
    int mode = igmp[at];
    uint32_t address;
    memcpy(&address, igmp + at + 4, 4);
    if (mode == 2 || mode == 4 || (sources && mode != 6)) set_joined(address, vif, 1);
    else if (mode == 1 || mode == 3) set_joined(address, vif, 0);
    at += 8 + 4 * sources + 4u * igmp[at + 1];
  }
}

static void on_igmp(const uint8_t *packet, size_t length, int vif) {
  size_t header = (packet[0] & 15u) * 4u;
  if (length < header + 8) return;
  const uint8_t *igmp = packet + header;
  uint32_t address;
  memcpy(&address, igmp + 4, 4);
  switch (igmp[0]) {
    case 0x12:
    case 0x16: set_joined(address, vif, 1); break;
    case 0x17: set_joined(address, vif, 0); break;
    case 0x22: on_v3_report(igmp, length - header, vif); break;
    default: break;
  }
}

static int vif_of(struct msghdr *h) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
      return vif_of_ifindex[((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex & 1023];
  return -1;
}

static void serve_batch(void) {
  static uint8_t slab[BATCH][SLOT], control[BATCH][CONTROL];
  static struct mmsghdr messages[BATCH];
  static struct iovec parts[BATCH];
  for (int i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){slab[i], SLOT};
    messages[i].msg_hdr = (struct msghdr){
        .msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = control[i], .msg_controllen = CONTROL};
  }
  int n = recvmmsg(sock, messages, BATCH, MSG_DONTWAIT, NULL);
  for (int i = 0; i < n; i++) {
    int vif = vif_of(&messages[i].msg_hdr);
    if (slab[i][9] == IPPROTO_IGMP && vif >= 0) on_igmp(slab[i], messages[i].msg_len, vif);
  }
  // The kernel looks unresolved flows up newest first, so that order is the cheap one.
  for (int i = n - 1; i >= 0; i--)
    if (slab[i][9] == 0) on_upcall((const struct igmpmsg *)slab[i]);
}

static void rewrite(void) {
  struct timespec from, to;
  unsigned entries = 0;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < BUCKETS; i++)
    for (struct group *g = buckets[i]; g; g = g->next)
      for (struct flow *f = g->flows; f; f = f->next, entries++) add_mfc(g, f);
  clock_gettime(CLOCK_MONOTONIC, &to);
  double us = (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
  printf("{\"rewritten\":%u,\"us\":%.1f}\n", entries, us);
  rewrite_wanted = 0;
}

static void on_signal(int number) {
  (void)number;
  rewrite_wanted = 1;
}

static void open_table(void) {
  int on = 1, bytes = RECEIVE_BUFFER;
  sock = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_IGMP);
  if (sock < 0) die("socket");
  if (setsockopt(sock, IPPROTO_IP, MRT_INIT, &on, sizeof on)) die("MRT_INIT");
  if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes))
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  setsockopt(sock, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}

static void add_interface(int vif, const char *name, int joins) {
  int ifindex = (int)if_nametoindex(name);
  if (!ifindex) die(name);
  struct vifctl v = {
      .vifc_vifi = (vifi_t)vif, .vifc_flags = VIFF_USE_IFINDEX, .vifc_threshold = 1, .vifc_lcl_ifindex = ifindex};
  if (setsockopt(sock, IPPROTO_IP, MRT_ADD_VIF, &v, sizeof v)) die("MRT_ADD_VIF");
  vif_of_ifindex[ifindex & 1023] = vif;
  static const char *const routers[] = {"224.0.0.22", "224.0.0.2"};
  for (int i = 0; i < 2; i++) {
    struct ip_mreqn m = {.imr_multiaddr.s_addr = inet_addr(routers[i]), .imr_ifindex = ifindex};
    if (setsockopt(joins, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m)) die("IP_ADD_MEMBERSHIP");
  }
}

int main(int argc, char **argv) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  setvbuf(stdout, NULL, _IOLBF, 0);
  memset(vif_of_ifindex, 0xff, sizeof vif_of_ifindex);
  open_table();
  int joins = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (int i = 1; i < argc; i++) {
    if (!strncmp(argv[i], "upstream=", 9)) upstream = (int)if_nametoindex(argv[i] + 9);
    else add_interface(vif_count++, argv[i], joins);
  }
  puts("ready");
  for (struct pollfd p = {.fd = sock, .events = POLLIN};;) {
    if (poll(&p, 1, -1) > 0) serve_batch();
    if (rewrite_wanted) rewrite();
  }
}
