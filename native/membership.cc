#include "membership.h"

#include <netinet/in.h>

#include <array>
#include <cstring>

#include "socket.h"

namespace mgmd {

namespace {

constexpr SocketKind kUdp{AF_INET, SOCK_DGRAM, IPPROTO_UDP};
constexpr size_t kFilterHead = offsetof(group_filter, gf_slist);

uint64_t Key(int ifindex, uint32_t group) { return (uint64_t{static_cast<uint32_t>(ifindex)} << 32) | group; }

sockaddr_storage Address(uint32_t address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(address);
  sockaddr_storage storage{};
  std::memcpy(&storage, &in, sizeof in);
  return storage;
}

ip_mreqn Request(int ifindex, uint32_t group) {
  ip_mreqn request{};
  request.imr_multiaddr.s_addr = htonl(group);
  request.imr_ifindex = ifindex;
  return request;
}

int SourceCall(int fd, int option, int ifindex, uint32_t group, uint32_t source) {
  group_source_req request{};
  request.gsr_interface = static_cast<uint32_t>(ifindex);
  request.gsr_group = Address(group);
  request.gsr_source = Address(source);
  return SetOption(fd, IPPROTO_IP, option, request);
}

// Whether this socket holds the membership: the kernel answers EADDRNOTAVAIL otherwise.
bool Holds(int fd, int ifindex, uint32_t group) {
  group_filter filter{};
  filter.gf_interface = static_cast<uint32_t>(ifindex);
  filter.gf_group = Address(group);
  socklen_t length = kFilterHead;
  return ::getsockopt(fd, IPPROTO_IP, MCAST_MSFILTER, &filter, &length) == 0;
}

}  // namespace

int MembershipPool::Open(int adopt_fd, uint32_t mark) {
  open_ = true;
  mark_ = mark;
  if (adopt_fd < 0) return Grow();
  std::vector<UniqueFd> found;
  UniqueFd single;
  if (AdoptSocket(kUdp, adopt_fd, single) == 0) {
    found.push_back(std::move(single));
  } else {
    DescriptorBag bag;
    if (const int error = DescriptorBag::Adopt(adopt_fd, bag)) return error;
    bag_.emplace(std::move(bag));
    if (const int error = bag_->List(found)) return error;
  }
  for (UniqueFd& fd : found) sockets_.push_back({.fd = std::move(fd), .full = false, .held = 0});
  adopted_ = sockets_.size();
  return sockets_.empty() ? Grow() : 0;
}

int MembershipPool::Grow() {
  UniqueFd fd;
  if (const int error = OpenSocket(kUdp, fd)) return error;
  if (mark_ != 0) {
    if (const int error = SetOption(fd.get(), SOL_SOCKET, SO_MARK, mark_)) return error;
  }
  if (bag_) {
    int error = bag_->Add(fd.get());
    if (error == EAGAIN) {
      std::vector<int> all;
      for (const Member& member : sockets_) all.push_back(member.fd.get());
      all.push_back(fd.get());
      error = bag_->Repack(all);
    }
    if (error != 0) return error;
  }
  sockets_.push_back({.fd = std::move(fd), .full = false, .held = 0});
  return 0;
}

std::optional<size_t> MembershipPool::Find(uint64_t key, int ifindex, uint32_t group) {
  if (const auto known = socket_of_.find(key); known != socket_of_.end()) return known->second;
  for (size_t i = 0; i < adopted_; i++) {
    if (!Holds(sockets_[i].fd.get(), ifindex, group)) continue;
    socket_of_.emplace(key, i);
    sockets_[i].held++;
    return i;
  }
  return std::nullopt;
}

void MembershipPool::Forget(uint64_t key, size_t socket) {
  socket_of_.erase(key);
  sockets_[socket].held--;
  sockets_[socket].full = false;
}

// Makes a new membership on the newest socket that has room, on a new socket when none has.
template <typename Call>
int MembershipPool::AddNew(uint64_t key, Call call) {
  for (size_t i = sockets_.size(); i-- > 0;) {
    if (sockets_[i].full) continue;
    const int error = call(sockets_[i].fd.get());
    if (error == 0) {
      socket_of_.emplace(key, i);
      sockets_[i].held++;
      return 0;
    }
    if (error != ENOBUFS) return error;
    // An empty socket that has no room says that there is no room at all, so another one would not help.
    if (sockets_[i].held == 0 && i >= adopted_) return error;
    sockets_[i].full = true;
  }
  if (const int error = Grow()) return error;
  const size_t last = sockets_.size() - 1;
  const int error = call(sockets_[last].fd.get());
  if (error != 0) return error;
  socket_of_.emplace(key, last);
  sockets_[last].held++;
  return 0;
}

int MembershipPool::Join(int ifindex, uint32_t group) {
  if (!open_) return EBADF;
  const uint64_t key = Key(ifindex, group);
  if (Find(key, ifindex, group)) return EADDRINUSE;
  return AddNew(key, [&](int fd) { return SetOption(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, Request(ifindex, group)); });
}

int MembershipPool::Leave(int ifindex, uint32_t group) {
  if (!open_) return EBADF;
  const uint64_t key = Key(ifindex, group);
  const auto at = Find(key, ifindex, group);
  if (!at) return EADDRNOTAVAIL;
  const int error = SetOption(sockets_[*at].fd.get(), IPPROTO_IP, IP_DROP_MEMBERSHIP, Request(ifindex, group));
  if (error == 0 || error == EADDRNOTAVAIL) Forget(key, *at);
  return error;
}

int MembershipPool::JoinSource(int ifindex, uint32_t group, uint32_t source) {
  if (!open_) return EBADF;
  const uint64_t key = Key(ifindex, group);
  const auto call = [&](int fd) { return SourceCall(fd, MCAST_JOIN_SOURCE_GROUP, ifindex, group, source); };
  if (const auto at = Find(key, ifindex, group)) return call(sockets_[*at].fd.get());
  return AddNew(key, call);
}

int MembershipPool::LeaveSource(int ifindex, uint32_t group, uint32_t source) {
  if (!open_) return EBADF;
  const uint64_t key = Key(ifindex, group);
  const auto at = Find(key, ifindex, group);
  if (!at) return EINVAL;
  const int fd = sockets_[*at].fd.get();
  const int error = SourceCall(fd, MCAST_LEAVE_SOURCE_GROUP, ifindex, group, source);
  if (error == 0 && !Holds(fd, ifindex, group)) Forget(key, *at);  // that was the last source
  return error;
}

int MembershipPool::SetFilter(int ifindex, uint32_t group, bool include, std::span<const uint32_t> sources) {
  if (!open_) return EBADF;
  const uint64_t key = Key(ifindex, group);
  const auto at = Find(key, ifindex, group);
  if (!at) return EINVAL;
  // The default limit of the kernel, igmp_max_msf, is 10: that much fits on the stack.
  constexpr size_t kOnStack = 16;
  alignas(group_filter) std::array<std::byte, kFilterHead + kOnStack * sizeof(sockaddr_storage)> stack;
  std::vector<std::byte> heap;
  const size_t bytes = kFilterHead + sources.size() * sizeof(sockaddr_storage);
  if (bytes > stack.size()) heap.resize(bytes);
  std::byte* const filter = heap.empty() ? stack.data() : heap.data();
  group_filter head{};
  head.gf_interface = static_cast<uint32_t>(ifindex);
  head.gf_group = Address(group);
  head.gf_fmode = include ? MCAST_INCLUDE : MCAST_EXCLUDE;
  head.gf_numsrc = static_cast<uint32_t>(sources.size());
  std::memcpy(filter, &head, kFilterHead);
  for (size_t i = 0; i < sources.size(); i++) {
    const sockaddr_storage source = Address(sources[i]);
    std::memcpy(filter + kFilterHead + i * sizeof source, &source, sizeof source);
  }
  const int fd = sockets_[*at].fd.get();
  if (::setsockopt(fd, IPPROTO_IP, MCAST_MSFILTER, filter, static_cast<socklen_t>(bytes)) != 0) return errno;
  if (include && sources.empty()) Forget(key, *at);
  return 0;
}

int MembershipPool::Duplicate() {
  if (!open_) return -EBADF;
  if (!bag_) {
    DescriptorBag bag;
    if (const int error = DescriptorBag::Create(bag)) return -error;
    std::vector<int> all;
    for (const Member& member : sockets_) all.push_back(member.fd.get());
    if (const int error = bag.Repack(all)) return -error;
    bag_.emplace(std::move(bag));
  }
  return mgmd::Duplicate(bag_->get());
}

void MembershipPool::Close() {
  open_ = false;
  socket_of_.clear();
  // Newest first: the kernel's list of an interface is searched from its newest entry.
  while (!sockets_.empty()) sockets_.pop_back();
  bag_.reset();
}

}  // namespace mgmd
