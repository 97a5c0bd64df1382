#include "pause_gate.h"

#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>

#include "bpf.h"
#include "cgroup.h"

namespace mgmd {

namespace {

constexpr uint32_t kMapEntries = 4096;
// Up to here the kernel hands the option to programs whole (its page size, or more).
constexpr int kPageBytes = 4096;

#ifdef SO_NETNS_COOKIE
constexpr int kNetnsCookieOption = SO_NETNS_COOKIE;
#else
constexpr int kNetnsCookieOption = 71;
#endif

// All options that change a membership have neighbouring numbers, the older ones first, MCAST_* after them.
static_assert(IP_ADD_MEMBERSHIP == 35 && IP_DROP_MEMBERSHIP == 36 && IP_UNBLOCK_SOURCE == 37 && IP_MSFILTER == 41);
static_assert(MCAST_JOIN_GROUP == 42 && MCAST_MSFILTER == 48);

int OwnNetnsCookie(uint64_t& out) {
  const UniqueFd probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe) return errno;
  socklen_t length = sizeof out;
  return ::getsockopt(probe.get(), SOL_SOCKET, kNetnsCookieOption, &out, &length) == 0 ? 0 : errno;
}

// A mark that nobody has by accident; 0 is what every socket begins with.
int RandomMark(uint32_t& out) {
  do {
    if (::getrandom(&out, sizeof out, 0) != sizeof out) return errno;
  } while (out == 0);
  return 0;
}

}  // namespace

std::vector<bpf_insn> GateProgram(int map_fd, uint32_t exempt_mark) {
  using enum bpf::Reg;
  using bpf::If;
  constexpr bpf::Reg context = r6;
  constexpr bpf::Reg option = r7;
  constexpr bpf::Reg data = r8;
  constexpr bpf::Reg data_end = r9;
  constexpr int key = -static_cast<int>(sizeof(GateKey));
  constexpr int key_ifindex = key + static_cast<int>(offsetof(GateKey, ifindex));
  constexpr int key_address = key + static_cast<int>(offsetof(GateKey, address));

  bpf::Assembler code;
  const auto pass = code.NewLabel();
  const auto done = code.NewLabel();
  const auto by_number = code.NewLabel();
  const auto by_address = code.NewLabel();
  const auto named = code.NewLabel();

  // Jumps over the option unless it is so long: then the kernel says EINVAL by itself.
  const auto needs = [&](size_t bytes, bpf::Assembler::Label otherwise) {
    code.Move(r2, data);
    code.Add(r2, static_cast<int32_t>(bytes));
    code.Jump(If::above, r2, data_end, otherwise);
  };

  code.Move(context, r1);
  code.Load32(r2, context, offsetof(bpf_sockopt, level));
  code.Jump32(If::not_equal, r2, IPPROTO_IP, pass);
  code.Load32(option, context, offsetof(bpf_sockopt, optname));
  code.Jump32(If::below, option, IP_ADD_MEMBERSHIP, pass);
  code.Jump32(If::above, option, MCAST_MSFILTER, pass);

  // mgmd's pins. A mark and not the process: which process runs is told to this type of program only since Linux 6.10,
  // and as a number that a PID namespace changes.
  code.Load64(r2, context, offsetof(bpf_sockopt, sk));
  code.Load32(r2, r2, offsetof(bpf_sock, mark));
  code.Jump32(If::equal, r2, static_cast<int32_t>(exempt_mark), pass);

  code.Load64(data, context, offsetof(bpf_sockopt, optval));
  code.Load64(data_end, context, offsetof(bpf_sockopt, optval_end));
  code.Set(r3, 0);  // ifindex
  code.Set(r4, 0);  // address
  code.Jump32(If::at_least, option, MCAST_JOIN_GROUP, by_number);
  code.Jump32(If::above, option, IP_DROP_MEMBERSHIP, by_address);
  needs(sizeof(ip_mreqn), by_address);
  code.Load32(r3, data, offsetof(ip_mreqn, imr_ifindex));
  code.Jump32(If::not_equal, r3, 0, named);  // the kernel does not look at the address then

  // ip_mreq, ip_mreq_source and ip_msfilter: the group, then the interface's address.
  static_assert(offsetof(ip_mreq, imr_interface) == offsetof(ip_mreq_source, imr_interface));
  static_assert(offsetof(ip_mreq, imr_interface) == offsetof(ip_msfilter, imsf_interface));
  static_assert(offsetof(ip_mreq, imr_interface) == offsetof(ip_mreqn, imr_address));
  code.Bind(by_address);
  needs(sizeof(ip_mreq), pass);
  code.Load32(r4, data, offsetof(ip_mreq, imr_interface));
  code.Jump(named);

  // group_req, group_source_req and group_filter begin with the ifindex, also in their 32-bit form.
  static_assert(offsetof(group_req, gr_interface) == 0 && offsetof(group_source_req, gsr_interface) == 0);
  static_assert(offsetof(group_filter, gf_interface) == 0);
  code.Bind(by_number);
  needs(sizeof(uint32_t), pass);
  code.Load32(r3, data, 0);

  code.Bind(named);
  code.Store32(r10, key_ifindex, r3);
  code.Store32(r10, key_address, r4);
  code.Move(r1, context);
  code.Call(BPF_FUNC_get_netns_cookie);
  code.Store64(r10, key, r0);
  code.LoadMap(r1, map_fd);
  code.Move(r2, r10);
  code.Add(r2, key);
  code.Call(BPF_FUNC_map_lookup_elem);
  code.Jump64(If::equal, r0, 0, pass);
  code.Set(r1, -EAGAIN);
  code.Call(BPF_FUNC_set_retval);
  code.Set(r0, 0);
  code.Exit();

  // Of an option longer than a page a program sees the beginning only, and before Linux 6.4 the call fails with EFAULT
  // unless the program says (with 0) that the kernel shall use the caller's own bytes.
  code.Bind(pass);
  code.Load32(r1, context, offsetof(bpf_sockopt, optlen));
  code.Jump32(If::s_at_most, r1, kPageBytes, done);
  code.Set(r1, 0);
  code.Store32(context, offsetof(bpf_sockopt, optlen), r1);
  code.Bind(done);
  code.Set(r0, 1);
  code.Exit();
  return code.Finish();
}

PauseGate::Refusal PauseGate::Open() {
  constexpr bpf::ProgramKind kKind{BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT};
  if (const int error = OwnNetnsCookie(netns_cookie_)) return {.step = "SO_NETNS_COOKIE", .error = error, .detail = {}};
  if (const int error = RandomMark(mark_)) return {.step = "getrandom", .error = error, .detail = {}};
  UniqueFd map;
  if (const int error = bpf::CreateHashMap(sizeof(GateKey), sizeof(uint32_t), kMapEntries, map))
    return {.step = "BPF_MAP_CREATE", .error = error, .detail = {}};
  UniqueFd program;
  std::string complaint;
  if (const int error = bpf::LoadProgram(kKind, GateProgram(map.get(), mark_), program, complaint))
    return {.step = "BPF_PROG_LOAD", .error = error, .detail = std::move(complaint)};
  UniqueFd root;
  if (const int error = OpenCgroupRoot(root)) return {.step = "opening the cgroup2 root", .error = error, .detail = {}};
  if (const int error = bpf::AttachToCgroup(program.get(), root.get(), kKind.attach_type, link_))
    return {.step = "BPF_LINK_CREATE", .error = error, .detail = {}};
  map_ = std::move(map);
  return {};
}

GateKey PauseGate::Key(uint32_t ifindex, uint32_t address) const {
  return {.netns_cookie = netns_cookie_, .ifindex = ifindex, .address = ifindex == 0 ? htonl(address) : 0};
}

int PauseGate::Refuse(uint32_t ifindex, uint32_t address) {
  const GateKey key = Key(ifindex, address);
  constexpr uint32_t kPresent = 1;
  return bpf::UpdateElement(map_.get(), &key, &kPresent);
}

int PauseGate::Allow(uint32_t ifindex, uint32_t address) {
  const GateKey key = Key(ifindex, address);
  return bpf::DeleteElement(map_.get(), &key);
}

void PauseGate::Close() {
  link_ = UniqueFd();
  map_ = UniqueFd();
}

}  // namespace mgmd
