// The assembler against instructions written out by hand (Documentation/bpf/standardization/instruction-set.rst).
#include "bpf.h"

#include "check.h"

namespace {

using mgmd::bpf::Assembler;
using mgmd::bpf::If;
using enum mgmd::bpf::Reg;

bool Is(const bpf_insn& have, uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  return have.code == code && have.dst_reg == to && have.src_reg == from && have.off == offset && have.imm == value;
}

}  // namespace

TEST_CASE("moves, loads, stores and calls are encoded as the instruction set says") {
  Assembler code;
  code.Move(r6, r1);
  code.Set(r0, -11);
  code.Add(r2, 8);
  code.Load32(r2, r6, 24);
  code.Load64(r8, r6, 8);
  code.Store32(r10, -8, r3);
  code.Store64(r10, -16, r0);
  code.Call(BPF_FUNC_map_lookup_elem);
  code.Exit();
  const auto program = code.Finish();
  REQUIRE(program.size() == 9);
  CHECK(Is(program[0], 0xbf, 6, 1, 0, 0));
  CHECK(Is(program[1], 0xb7, 0, 0, 0, -11));
  CHECK(Is(program[2], 0x07, 2, 0, 0, 8));
  CHECK(Is(program[3], 0x61, 2, 6, 24, 0));
  CHECK(Is(program[4], 0x79, 8, 6, 8, 0));
  CHECK(Is(program[5], 0x63, 10, 3, -8, 0));
  CHECK(Is(program[6], 0x7b, 10, 0, -16, 0));
  CHECK(Is(program[7], 0x85, 0, 0, 0, 1));
  CHECK(Is(program[8], 0x95, 0, 0, 0, 0));
}

TEST_CASE("a map takes two instructions, and a jump over it counts both") {
  Assembler code;
  const auto end = code.NewLabel();
  code.Jump32(If::not_equal, r2, 7, end);
  code.LoadMap(r1, 5);
  code.Bind(end);
  code.Exit();
  const auto program = code.Finish();
  REQUIRE(program.size() == 4);
  CHECK(Is(program[0], 0x56, 2, 0, 2, 7));
  CHECK(Is(program[1], 0x18, 1, 1, 0, 5));
  CHECK(Is(program[2], 0, 0, 0, 0, 0));
}

TEST_CASE("jumps compare in 32 or 64 bits, with a number or a register") {
  Assembler code;
  const auto end = code.NewLabel();
  code.Jump64(If::equal, r0, 0, end);
  code.Jump32(If::s_at_most, r1, 4096, end);
  code.Jump(If::above, r2, r9, end);
  code.Jump(end);
  code.Bind(end);
  code.Exit();
  const auto program = code.Finish();
  REQUIRE(program.size() == 5);
  CHECK(Is(program[0], 0x15, 0, 0, 3, 0));
  CHECK(Is(program[1], 0xd6, 1, 0, 2, 4096));
  CHECK(Is(program[2], 0x2d, 2, 9, 1, 0));
  CHECK(Is(program[3], 0x05, 0, 0, 0, 0));
}

TEST_CASE("a jump to nowhere or backwards makes no program") {
  Assembler nowhere;
  nowhere.Jump(nowhere.NewLabel());
  nowhere.Exit();
  CHECK(nowhere.Finish().empty());

  Assembler backwards;
  const auto start = backwards.NewLabel();
  backwards.Bind(start);
  backwards.Jump(start);
  CHECK(backwards.Finish().empty());
}
