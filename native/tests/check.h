// The few words the native tests need, in the manner of doctest, so that they run wherever g++ does.
// TEST_CASE registers a test; CHECK reports and goes on; REQUIRE reports and leaves the test; CAPTURE adds a value to reports.
#pragma once

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace check {

struct Case {
  const char* title;
  void (*body)();
};

struct Run {
  std::vector<Case> cases;
  int failures = 0;
  std::string captured;
};

inline Run& TheRun() {
  static Run run;
  return run;
}

struct Register {
  Register(const char* title, void (*body)()) { TheRun().cases.push_back({title, body}); }
};

inline void Fail(const char* file, int line, const char* expression) {
  TheRun().failures++;
  std::printf("%s:%d: %s does not hold%s\n", file, line, expression, TheRun().captured.c_str());
}

template <typename T>
void Capture(const char* name, const T& value) {
  std::ostringstream text;
  text << " (" << name << " = " << value << ")";
  TheRun().captured = text.str();
}

// Runs every test; prints "N passed, N failed"; 0 when all passed.
inline int Main() {
  int failed = 0;
  for (const Case& test : TheRun().cases) {
    const int before = TheRun().failures;
    TheRun().captured.clear();
    test.body();
    if (TheRun().failures == before) continue;
    failed++;
    std::printf("FAILED: %s\n", test.title);
  }
  std::printf("native: %d passed, %d failed\n", static_cast<int>(TheRun().cases.size()) - failed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace check

#define CHECK_JOIN2(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN2(a, b)
#define TEST_CASE(title)                                                                               \
  static void CHECK_JOIN(TestBody, __LINE__)();                                                        \
  static const check::Register CHECK_JOIN(test_entry, __LINE__)(title, &CHECK_JOIN(TestBody, __LINE__)); \
  static void CHECK_JOIN(TestBody, __LINE__)()
#define CHECK(...)                                                        \
  do {                                                                    \
    if (!(__VA_ARGS__)) check::Fail(__FILE__, __LINE__, #__VA_ARGS__);    \
  } while (false)
#define CHECK_FALSE(...) CHECK(!(__VA_ARGS__))
#define REQUIRE(...)                                     \
  do {                                                   \
    if (!(__VA_ARGS__)) {                                \
      check::Fail(__FILE__, __LINE__, #__VA_ARGS__);     \
      return;                                            \
    }                                                    \
  } while (false)
#define CAPTURE(value) check::Capture(#value, value)
