#include "netlink.h"

#include <linux/netlink.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "check.h"

namespace {

using Bytes = std::vector<std::byte>;

constexpr uint32_t kSeq = 42;
constexpr uint16_t kNewRoute = 24;

// One message of this type; `body` bytes of payload that begin with `error`.
Bytes Message(uint16_t type, uint16_t flags, uint32_t seq = kSeq, int32_t error = 0, size_t body = 4) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + body);
  header.nlmsg_type = type;
  header.nlmsg_flags = flags;
  header.nlmsg_seq = seq;
  Bytes bytes(NLMSG_ALIGN(header.nlmsg_len));
  std::memcpy(bytes.data(), &header, sizeof header);
  if (body >= sizeof error) std::memcpy(bytes.data() + NLMSG_HDRLEN, &error, sizeof error);
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool Is(const Bytes& datagram, bool has_end_mark, mgmd::Answer state, int error = 0) {
  const mgmd::AnswerScan scan = mgmd::ScanAnswers(datagram, kSeq, has_end_mark);
  return scan.state == state && scan.error == error;
}

using mgmd::Answer;

}  // namespace

TEST_CASE("a dump goes on until NLMSG_DONE") {
  const Bytes parts = Message(kNewRoute, NLM_F_MULTI) + Message(kNewRoute, NLM_F_MULTI);
  CHECK(Is(parts, true, Answer::kMore));
  CHECK(Is(parts + Message(NLMSG_DONE, NLM_F_MULTI), true, Answer::kDone));
}

TEST_CASE("a message on its own is the whole answer, unless an acknowledgement is still to come") {
  CHECK(Is(Message(kNewRoute, 0), false, Answer::kDone));
  CHECK(Is(Message(kNewRoute, 0), true, Answer::kMore));
  CHECK(Is(Message(kNewRoute, 0) + Message(NLMSG_ERROR, 0), true, Answer::kDone));
}

TEST_CASE("errors are told as positive errno, of NLMSG_ERROR and of a dump's NLMSG_DONE") {
  CHECK(Is(Message(NLMSG_ERROR, 0, kSeq, -ENOENT, 20), false, Answer::kError, ENOENT));
  CHECK(Is(Message(NLMSG_DONE, NLM_F_MULTI, kSeq, -EINTR), true, Answer::kError, EINTR));
  CHECK(Is(Message(NLMSG_DONE, NLM_F_MULTI, kSeq, 0, 0), true, Answer::kDone));
}

TEST_CASE("answers to another request are passed over") {
  CHECK(Is(Message(NLMSG_ERROR, 0, 41, -EPERM, 20), false, Answer::kMore));
  CHECK(Is(Message(NLMSG_DONE, 0, 41) + Message(kNewRoute, 0), false, Answer::kDone));
}

TEST_CASE("payloads that are no multiple of 4 are stepped over with their padding") {
  CHECK(Is(Message(kNewRoute, NLM_F_MULTI, kSeq, 0, 5) + Message(NLMSG_DONE, NLM_F_MULTI), true, Answer::kDone));
}

TEST_CASE("lengths that cannot be are an error, not an endless loop") {
  for (const uint32_t length : {0U, 15U, 21U, 0xffff'ffffU}) {
    CAPTURE(length);
    Bytes bytes = Message(kNewRoute, NLM_F_MULTI);
    std::memcpy(bytes.data(), &length, sizeof length);
    CHECK(Is(bytes, true, Answer::kError, EBADMSG));
  }
}

TEST_CASE("less than a header is nothing") {
  Bytes bytes = Message(kNewRoute, 0);
  bytes.resize(15);
  CHECK(Is(bytes, false, Answer::kMore));
  CHECK(Is({}, false, Answer::kMore));
}

TEST_CASE("the kernel answers a dump of the links, and refuses an unknown message type") {
  mgmd::UniqueFd fd;
  REQUIRE(mgmd::OpenNetlink(fd) == 0);
  Bytes request = Message(18 /* RTM_GETLINK */, NLM_F_REQUEST | NLM_F_DUMP, kSeq, 0, 16);
  Bytes answers;
  CHECK(mgmd::RequestNetlink(fd.get(), request, 1000, answers) == 0);
  CHECK(answers.size() > 32);
  request = Message(0x7ff0, NLM_F_REQUEST | NLM_F_ACK);
  CHECK(mgmd::RequestNetlink(fd.get(), request, 1000, answers) == EOPNOTSUPP);
}

TEST_CASE("a request that nobody answers ends after its time") {
  mgmd::UniqueFd fd;
  REQUIRE(mgmd::OpenNetlink(fd) == 0);
  Bytes answers;
  // without NLM_F_REQUEST the kernel skips the message
  CHECK(mgmd::RequestNetlink(fd.get(), Message(18, 0), 20, answers) == ETIMEDOUT);
  CHECK(mgmd::RequestNetlink(fd.get(), Bytes(15), 20, answers) == EINVAL);
}
