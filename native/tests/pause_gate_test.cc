// The program of the gate, interpreted here: what it decides for which call, and how many instructions it takes for it.
// That the kernel's verifier accepts it is the namespace tests' to show, which have the privilege.
#include "pause_gate.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "check.h"

namespace {

using mgmd::GateKey;

constexpr uint64_t kCookie = 0x1122334455667788;
constexpr uint32_t kMark = 0xabcd0001;
constexpr uint32_t kPaused = 7;
constexpr uint32_t kGroup = 0xef010203;
constexpr uint32_t kAddress = 0x0a020001;

// One setsockopt as the program sees it. Pointers are the machine's own.
struct Call {
  int level = IPPROTO_IP;
  int option = 0;
  std::vector<std::byte> bytes;
  uint32_t mark = 0;
};

struct Outcome {
  bool passed = false;
  int retval = 0;
  int optlen = 0;
  size_t instructions = 0;
};

// As much of the instruction set as the assembler writes.
class Machine {
 public:
  explicit Machine(std::vector<GateKey> refused) : refused_(std::move(refused)) {}

  Outcome Run(const std::vector<bpf_insn>& program, const Call& call) {
    bpf_sock sock{};
    sock.mark = call.mark;
    bpf_sockopt context{};
    context.sk = &sock;
    context.optval = const_cast<std::byte*>(call.bytes.data());
    context.optval_end = static_cast<std::byte*>(context.optval) + std::min<size_t>(call.bytes.size(), 4096);
    context.level = call.level;
    context.optname = call.option;
    context.optlen = static_cast<int>(call.bytes.size());
    outcome_ = {};
    registers_[1] = reinterpret_cast<uintptr_t>(&context);
    registers_[10] = reinterpret_cast<uintptr_t>(stack_.data() + stack_.size());
    for (size_t at = 0; program[at].code != (BPF_JMP | BPF_EXIT); at++) {
      outcome_.instructions++;
      at += Step(program[at]);
    }
    outcome_.passed = registers_[0] == 1;
    outcome_.optlen = context.optlen;
    return outcome_;
  }

 private:
  // How many instructions to leave out.
  size_t Step(const bpf_insn& insn) {
    uint64_t& to = registers_[insn.dst_reg];
    const uint64_t from = registers_[insn.src_reg];
    switch (insn.code) {
      case BPF_ALU64 | BPF_MOV | BPF_X: to = from; return 0;
      case BPF_ALU64 | BPF_MOV | BPF_K: to = static_cast<uint64_t>(int64_t{insn.imm}); return 0;
      case BPF_ALU64 | BPF_ADD | BPF_K: to += static_cast<uint64_t>(int64_t{insn.imm}); return 0;
      case BPF_LDX | BPF_MEM | BPF_W: to = Word(At(from, insn.off)); return 0;
      case BPF_LDX | BPF_MEM | BPF_DW: std::memcpy(&to, At(from, insn.off), 8); return 0;
      case BPF_STX | BPF_MEM | BPF_W: SetWord(At(to, insn.off), from); return 0;
      case BPF_STX | BPF_MEM | BPF_DW: std::memcpy(At(to, insn.off), &from, 8); return 0;
      case BPF_LD | BPF_DW | BPF_IMM: return 1;
      case BPF_JMP | BPF_CALL: Help(insn.imm); return 0;
      default: return Jumps(insn, to, from) ? static_cast<size_t>(insn.off) : 0;
    }
  }

  static bool Jumps(const bpf_insn& insn, uint64_t left, uint64_t right) {
    const bool narrow = BPF_CLASS(insn.code) == BPF_JMP32;
    const uint64_t other = BPF_SRC(insn.code) == BPF_X ? right : static_cast<uint64_t>(int64_t{insn.imm});
    const uint64_t a = narrow ? static_cast<uint32_t>(left) : left;
    const uint64_t b = narrow ? static_cast<uint32_t>(other) : other;
    switch (BPF_OP(insn.code)) {
      case BPF_JA: return true;
      case BPF_JEQ: return a == b;
      case BPF_JNE: return a != b;
      case BPF_JLT: return a < b;
      case BPF_JGT: return a > b;
      case BPF_JGE: return a >= b;
      case BPF_JSLE: return static_cast<int32_t>(a) <= static_cast<int32_t>(b);
      default: check::Fail(__FILE__, __LINE__, "an instruction that the machine knows"); return false;
    }
  }

  void Help(int32_t helper) {
    GateKey key{};
    switch (helper) {
      case BPF_FUNC_get_netns_cookie: registers_[0] = kCookie; break;
      case BPF_FUNC_set_retval: outcome_.retval = static_cast<int>(registers_[1]); break;
      case BPF_FUNC_map_lookup_elem:
        std::memcpy(&key, At(registers_[2], 0), sizeof key);
        registers_[0] = std::any_of(refused_.begin(), refused_.end(),
                                    [&](const GateKey& one) { return std::memcmp(&one, &key, sizeof key) == 0; });
        break;
      default: check::Fail(__FILE__, __LINE__, "a helper that the machine knows");
    }
    for (size_t i = 1; i <= 5; i++) registers_[i] = 0xdead;
  }

  static uint32_t Word(const void* at) {
    uint32_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
  }

  static void SetWord(void* at, uint64_t value) {
    const auto word = static_cast<uint32_t>(value);
    std::memcpy(at, &word, sizeof word);
  }

  static void* At(uint64_t address, int offset) { return reinterpret_cast<std::byte*>(address) + offset; }

  std::vector<GateKey> refused_;
  std::array<uint64_t, 11> registers_{};
  std::array<std::byte, 512> stack_{};
  Outcome outcome_;
};

template <typename T>
std::vector<std::byte> Bytes(const T& value, size_t size = sizeof(T)) {
  std::vector<std::byte> bytes(size);
  const auto all = std::as_bytes(std::span(&value, 1));
  std::copy_n(all.begin(), std::min(size, all.size()), bytes.begin());
  return bytes;
}

ip_mreqn Named(uint32_t ifindex, uint32_t address) {
  ip_mreqn request{};
  request.imr_multiaddr.s_addr = htonl(kGroup);
  request.imr_address.s_addr = htonl(address);
  request.imr_ifindex = static_cast<int>(ifindex);
  return request;
}

Call ByNumber(int option, uint32_t ifindex, size_t size) {
  group_source_req request{};
  request.gsr_interface = ifindex;
  return {.option = option, .bytes = Bytes(request, size)};
}

Outcome Decide(const Call& call, std::vector<GateKey> refused = {{kCookie, kPaused, 0}}) {
  return Machine(std::move(refused)).Run(mgmd::GateProgram(3, kMark), call);
}

}  // namespace

TEST_CASE("the program is short, and a call that is not about memberships costs a handful of its instructions") {
  CHECK(mgmd::GateProgram(3, kMark).size() < 64);
  CHECK(Decide({.level = SOL_SOCKET, .option = SO_REUSEADDR, .bytes = Bytes(1)}).instructions <= 6);
  CHECK(Decide({.option = IP_TTL, .bytes = Bytes(1)}).instructions <= 8);
  CHECK(Decide({.option = IP_ADD_MEMBERSHIP, .bytes = Bytes(Named(kPaused, 0))}).instructions < 50);
}

TEST_CASE("every option that changes a membership is refused by ifindex, its neighbours are not") {
  for (int option = IP_ADD_MEMBERSHIP - 1; option <= MCAST_MSFILTER + 1; option++) {
    CAPTURE(option);
    const bool by_ifindex = option == IP_ADD_MEMBERSHIP || option == IP_DROP_MEMBERSHIP;
    const bool by_number = option >= MCAST_JOIN_GROUP && option <= MCAST_MSFILTER;
    const Call call = by_number ? ByNumber(option, kPaused, sizeof(group_source_req))
                                : Call{.option = option, .bytes = Bytes(Named(kPaused, 0))};
    const Outcome outcome = Decide(call);
    CHECK(outcome.passed == !(by_ifindex || by_number));
    CHECK(outcome.retval == (outcome.passed ? 0 : -EAGAIN));
  }
}

TEST_CASE("the older options are refused by address, all with their own structures") {
  const std::vector<GateKey> refused{{kCookie, 0, htonl(kAddress)}};
  for (int option = IP_ADD_MEMBERSHIP; option <= IP_MSFILTER; option++) {
    CAPTURE(option);
    CHECK_FALSE(Decide({.option = option, .bytes = Bytes(Named(0, kAddress), sizeof(ip_mreq))}, refused).passed);
    CHECK(Decide({.option = option, .bytes = Bytes(Named(0, kAddress + 1), sizeof(ip_mreq))}, refused).passed);
  }
  // an ifindex makes the address meaningless
  CHECK(Decide({.option = IP_ADD_MEMBERSHIP, .bytes = Bytes(Named(kPaused + 1, kAddress))}, refused).passed);
}

TEST_CASE("calls that name nothing are refused where the routing table would choose the interface") {
  const std::vector<GateKey> refused{{kCookie, 0, 0}};
  CHECK_FALSE(Decide({.option = IP_ADD_MEMBERSHIP, .bytes = Bytes(Named(0, 0), sizeof(ip_mreq))}, refused).passed);
  CHECK_FALSE(Decide({.option = IP_DROP_MEMBERSHIP, .bytes = Bytes(Named(0, 0))}, refused).passed);
  CHECK_FALSE(Decide(ByNumber(MCAST_JOIN_GROUP, 0, sizeof(group_req)), refused).passed);
  CHECK(Decide({.option = IP_ADD_MEMBERSHIP, .bytes = Bytes(Named(0, 0), sizeof(ip_mreq))}).passed);
}

TEST_CASE("other interfaces, other namespaces and marked sockets pass") {
  const Call call{.option = IP_ADD_MEMBERSHIP, .bytes = Bytes(Named(kPaused, 0))};
  CHECK(Decide(call, {{kCookie, kPaused + 1, 0}}).passed);
  CHECK(Decide(call, {{kCookie + 1, kPaused, 0}}).passed);
  CHECK(Decide({.option = call.option, .bytes = call.bytes, .mark = kMark}).passed);
  CHECK_FALSE(Decide({.option = call.option, .bytes = call.bytes, .mark = kMark + 1}).passed);
}

TEST_CASE("options that are too short are left to the kernel, which calls them invalid") {
  for (size_t size = 0; size < sizeof(ip_mreq); size++) {
    CAPTURE(size);
    CHECK(Decide({.option = IP_ADD_MEMBERSHIP, .bytes = Bytes(Named(kPaused, 0), size)}, {{kCookie, 0, 0}}).passed);
  }
  for (size_t size = 0; size < 4; size++) CHECK(Decide(ByNumber(MCAST_JOIN_GROUP, kPaused, size)).passed);
  CHECK_FALSE(Decide(ByNumber(MCAST_JOIN_GROUP, kPaused, 4)).passed);
}

TEST_CASE("of an option longer than a page the kernel is told to take the caller's own bytes, of others not") {
  CHECK(Decide({.option = 64, .bytes = std::vector<std::byte>(4096)}).optlen == 4096);
  CHECK(Decide({.option = 64, .bytes = std::vector<std::byte>(4097)}).optlen == 0);
  CHECK_FALSE(Decide(ByNumber(MCAST_MSFILTER, kPaused, 20'000)).passed);
}
