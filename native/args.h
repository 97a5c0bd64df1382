// Checked reading of JavaScript arguments. A wrong one is the caller's mistake: it throws TypeError and reads as 0 or
// empty; the binding asks ok() before it makes its system call. Results leave as numbers.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace mgmd {

class Args {
 public:
  explicit Args(const Napi::CallbackInfo& info) : info_(info) {}

  [[nodiscard]] bool ok() const { return ok_; }

  // Integers are checked, not truncated: 65536 must not become vif 0.
  uint32_t U32(size_t i) { return static_cast<uint32_t>(Integer(i, std::numeric_limits<uint32_t>::max())); }
  uint16_t U16(size_t i) { return static_cast<uint16_t>(Integer(i, std::numeric_limits<uint16_t>::max())); }
  int NonNegativeInt(size_t i) { return static_cast<int>(Integer(i, std::numeric_limits<int>::max())); }

  bool Bool(size_t i) {
    if (!info_[i].IsBoolean()) return Fail(i, "a boolean"), false;
    return info_[i].As<Napi::Boolean>().Value();
  }

  std::string String(size_t i) {
    if (!info_[i].IsString()) return Fail(i, "a string"), std::string();
    return info_[i].As<Napi::String>().Utf8Value();
  }

  Napi::Function Function(size_t i) {
    if (!info_[i].IsFunction()) return Fail(i, "a function"), Napi::Function();
    return info_[i].As<Napi::Function>();
  }

  // The bytes stay JavaScript's: valid during the call only.
  std::span<const std::byte> Bytes(size_t i) { return std::as_bytes(Array<uint8_t>(i, napi_uint8_array)); }
  std::span<uint8_t> Uint8(size_t i) { return Array<uint8_t>(i, napi_uint8_array); }
  std::span<uint32_t> Uint32(size_t i) { return Array<uint32_t>(i, napi_uint32_array); }
  std::span<int32_t> Int32(size_t i) { return Array<int32_t>(i, napi_int32_array); }
  std::span<double> Float64(size_t i) { return Array<double>(i, napi_float64_array); }

  // Says that argument `i` is not what was expected.
  void Fail(size_t i, const char* expected) {
    if (!ok_) return;  // the first mistake is the one to tell
    ok_ = false;
    Napi::TypeError::New(info_.Env(), "argument " + std::to_string(i + 1) + " must be " + expected)
        .ThrowAsJavaScriptException();
  }

  Napi::Value Number(double value) { return Napi::Number::New(info_.Env(), value); }

 private:
  double Integer(size_t i, double max) {
    const Napi::Value value = info_[i];
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (number >= 0 && number <= max && std::trunc(number) == number) return number;
    Fail(i, max == std::numeric_limits<uint16_t>::max() ? "an integer 0..65535" : "a non-negative integer");
    return 0;
  }

  template <typename T>
  std::span<T> Array(size_t i, napi_typedarray_type type) {
    const Napi::Value value = info_[i];
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
      Fail(i, "a typed array of the documented type");
      return {};
    }
    auto array = value.As<Napi::TypedArrayOf<T>>();
    return {array.Data(), array.ElementLength()};
  }

  const Napi::CallbackInfo& info_;
  bool ok_ = true;
};

}  // namespace mgmd
