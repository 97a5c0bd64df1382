// bpf(2) without a library: the few calls that the pause gate needs, and an assembler in which its program is written.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fd.h"

namespace mgmd::bpf {

// The machine's registers: r0 takes results, r1 to r5 arguments (a call destroys them), r6 to r9 keep, r10 is the frame.
enum class Reg : uint8_t { r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10 };

// Conditions of jumps. The s ones compare as signed numbers; those of the 32-bit form look at the lower half only.
enum class If : uint8_t {
  equal = BPF_JEQ,
  not_equal = BPF_JNE,
  below = BPF_JLT,
  above = BPF_JGT,
  at_least = BPF_JGE,
  s_at_most = BPF_JSLE,
};

// Collects instructions; jumps name labels, which may be bound later. Jumps go forward only, as in every program without loops.
class Assembler {
 public:
  enum class Label : size_t {};

  Label NewLabel();
  // The label stands before the next instruction.
  void Bind(Label label);

  void Move(Reg to, Reg from) { Emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void Set(Reg to, int32_t value) { Emit(BPF_ALU64 | BPF_MOV | BPF_K, to, Reg::r0, 0, value); }
  void Add(Reg to, int32_t value) { Emit(BPF_ALU64 | BPF_ADD | BPF_K, to, Reg::r0, 0, value); }
  void Load32(Reg to, Reg base, size_t offset) { Load(BPF_W, to, base, offset); }
  void Load64(Reg to, Reg base, size_t offset) { Load(BPF_DW, to, base, offset); }
  void Store32(Reg base, int offset, Reg from) { Emit(BPF_STX | BPF_MEM | BPF_W, base, from, offset, 0); }
  void Store64(Reg base, int offset, Reg from) { Emit(BPF_STX | BPF_MEM | BPF_DW, base, from, offset, 0); }
  void Jump(Label target) { EmitJump(BPF_JMP | BPF_JA, Reg::r0, Reg::r0, 0, target); }
  void Jump(If condition, Reg left, Reg right, Label target) {
    EmitJump(BPF_JMP | BPF_X | static_cast<int>(condition), left, right, 0, target);
  }
  void Jump32(If condition, Reg left, int32_t right, Label target) {
    EmitJump(BPF_JMP32 | BPF_K | static_cast<int>(condition), left, Reg::r0, right, target);
  }
  void Jump64(If condition, Reg left, int32_t right, Label target) {
    EmitJump(BPF_JMP | BPF_K | static_cast<int>(condition), left, Reg::r0, right, target);
  }
  // The address of a map; takes two instructions.
  void LoadMap(Reg to, int map_fd);
  void Call(bpf_func_id helper) { Emit(BPF_JMP | BPF_CALL, Reg::r0, Reg::r0, 0, static_cast<int32_t>(helper)); }
  void Exit() { Emit(BPF_JMP | BPF_EXIT, Reg::r0, Reg::r0, 0, 0); }

  // The program, its jumps resolved. Empty when a jump leads to a label that was never bound, or backwards.
  std::vector<bpf_insn> Finish();

 private:
  struct Fixup {
    size_t at;
    Label target;
  };

  void Emit(int code, Reg to, Reg from, int offset, int32_t value);
  void EmitJump(int code, Reg left, Reg right, int32_t value, Label target);
  void Load(int size, Reg to, Reg base, size_t offset) {
    Emit(BPF_LDX | BPF_MEM | size, to, base, static_cast<int>(offset), 0);
  }

  std::vector<bpf_insn> code_;
  std::vector<size_t> labels_;
  std::vector<Fixup> fixups_;
};

// 0 or a positive errno, the descriptor in `out`. All descriptors are closed on exec.

int CreateHashMap(uint32_t key_bytes, uint32_t value_bytes, uint32_t max_entries, UniqueFd& out);
int UpdateElement(int map_fd, const void* key, const void* value);
// What is not there counts as deleted.
int DeleteElement(int map_fd, const void* key);

struct ProgramKind {
  bpf_prog_type type;
  bpf_attach_type attach_type;
};

// `complaint` gets the verifier's last words when it refuses.
int LoadProgram(const ProgramKind& kind, std::span<const bpf_insn> code, UniqueFd& out, std::string& complaint);
// Attached as long as `out` (the link) is open, beside what others attach.
int AttachToCgroup(int program_fd, int cgroup_fd, bpf_attach_type attach_type, UniqueFd& out);

}  // namespace mgmd::bpf
