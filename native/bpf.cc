#include "bpf.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace mgmd::bpf {

namespace {

constexpr size_t kUnbound = std::numeric_limits<size_t>::max();
constexpr size_t kVerifierLogBytes = 65'536;

long Bpf(bpf_cmd command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

int OpenBy(bpf_cmd command, bpf_attr& attributes, UniqueFd& out) {
  const long fd = Bpf(command, attributes);
  if (fd < 0) return errno;
  out = UniqueFd(static_cast<int>(fd));
  return 0;
}

uint64_t Pointer(const void* to) { return reinterpret_cast<uintptr_t>(to); }

// The verifier ends with a line of statistics; the one before says what is wrong.
std::string LastWords(const std::string& log) {
  std::string words;
  for (size_t at = 0; at < log.size();) {
    const size_t end = std::min(log.find('\n', at), log.size());
    const std::string line = log.substr(at, end - at);
    if (!line.empty() && line.rfind("processed ", 0) != 0) words = line;
    at = end + 1;
  }
  return words;
}

}  // namespace

Assembler::Label Assembler::NewLabel() {
  labels_.push_back(kUnbound);
  return Label{labels_.size() - 1};
}

void Assembler::Bind(Label label) { labels_[static_cast<size_t>(label)] = code_.size(); }

void Assembler::LoadMap(Reg to, int map_fd) {
  Emit(BPF_LD | BPF_DW | BPF_IMM, to, Reg{BPF_PSEUDO_MAP_FD}, 0, map_fd);
  Emit(0, Reg::r0, Reg::r0, 0, 0);
}

void Assembler::Emit(int code, Reg to, Reg from, int offset, int32_t value) {
  bpf_insn instruction{};
  instruction.code = static_cast<uint8_t>(code);
  instruction.dst_reg = static_cast<uint8_t>(to) & 0xf;
  instruction.src_reg = static_cast<uint8_t>(from) & 0xf;
  instruction.off = static_cast<int16_t>(offset);
  instruction.imm = value;
  code_.push_back(instruction);
}

void Assembler::EmitJump(int code, Reg left, Reg right, int32_t value, Label target) {
  fixups_.push_back({.at = code_.size(), .target = target});
  Emit(code, left, right, 0, value);
}

std::vector<bpf_insn> Assembler::Finish() {
  for (const Fixup& fixup : fixups_) {
    const size_t target = labels_[static_cast<size_t>(fixup.target)];
    if (target == kUnbound || target <= fixup.at) return {};
    code_[fixup.at].off = static_cast<int16_t>(target - fixup.at - 1);  // counted from the next instruction
  }
  return std::move(code_);
}

int CreateHashMap(uint32_t key_bytes, uint32_t value_bytes, uint32_t max_entries, UniqueFd& out) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_HASH;
  attributes.key_size = key_bytes;
  attributes.value_size = value_bytes;
  attributes.max_entries = max_entries;
  attributes.map_flags = BPF_F_NO_PREALLOC;
  return OpenBy(BPF_MAP_CREATE, attributes, out);
}

int UpdateElement(int map_fd, const void* key, const void* value) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<uint32_t>(map_fd);
  attributes.key = Pointer(key);
  attributes.value = Pointer(value);
  attributes.flags = BPF_ANY;
  return Bpf(BPF_MAP_UPDATE_ELEM, attributes) == 0 ? 0 : errno;
}

int DeleteElement(int map_fd, const void* key) {
  bpf_attr attributes{};
  attributes.map_fd = static_cast<uint32_t>(map_fd);
  attributes.key = Pointer(key);
  return Bpf(BPF_MAP_DELETE_ELEM, attributes) == 0 || errno == ENOENT ? 0 : errno;
}

int LoadProgram(const ProgramKind& kind, std::span<const bpf_insn> code, UniqueFd& out, std::string& complaint) {
  // Any licence will do: no helper that the program calls is for GPL programs only.
  constexpr char kLicense[] = "MIT";
  bpf_attr attributes{};
  attributes.prog_type = kind.type;
  attributes.expected_attach_type = kind.attach_type;
  attributes.insns = Pointer(code.data());
  attributes.insn_cnt = static_cast<uint32_t>(code.size());
  attributes.license = Pointer(kLicense);
  const int error = OpenBy(BPF_PROG_LOAD, attributes, out);
  if (error == 0 || error == EPERM || error == ENOSYS) return error;
  std::string log(kVerifierLogBytes, '\0');
  attributes.log_level = 1;
  attributes.log_size = static_cast<uint32_t>(log.size());
  attributes.log_buf = Pointer(log.data());
  const int again = OpenBy(BPF_PROG_LOAD, attributes, out);
  log.resize(std::min(log.find('\0'), log.size()));
  complaint = LastWords(log);
  return again;
}

int AttachToCgroup(int program_fd, int cgroup_fd, bpf_attach_type attach_type, UniqueFd& out) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<uint32_t>(program_fd);
  attributes.link_create.target_fd = static_cast<uint32_t>(cgroup_fd);
  attributes.link_create.attach_type = attach_type;
  return OpenBy(BPF_LINK_CREATE, attributes, out);
}

}  // namespace mgmd::bpf
