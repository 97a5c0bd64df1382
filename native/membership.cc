#include "membership.h"

#include <netinet/in.h>
#include <sys/resource.h>

#include <algorithm>
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

// Descriptors that memberships leave to others; those of the link's own groups, by which routers hear at all, may use them.
constexpr rlim_t kReserve = 128;
bool IsOfTheLink(uint32_t group) { return group >> 8 == 0xe00000; }  // 224.0.0.0/24
constexpr size_t kSpareInBag = 16;

// Descriptors are numbered from the lowest that is free, so a high number says that few are left.
bool IsReserved(int fd) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return false;
  return static_cast<rlim_t>(fd) >= limit.rlim_cur - std::min(kReserve, limit.rlim_cur / 4);
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
  for (UniqueFd& fd : found) {
    room_.insert(sockets_.size());
    sockets_.push_back({.fd = std::move(fd)});
  }
  adopted_ = sockets_.size();
  in_bag_ = bag_ ? adopted_ : 0;
  return sockets_.empty() ? Grow() : 0;
}

int MembershipPool::Grow(bool from_reserve) {
  UniqueFd fd;
  if (const int error = OpenSocket(kUdp, fd)) return error;
  // The last descriptors of the process are for everything else: files, control connections, netlink.
  if (!from_reserve && IsReserved(fd.get())) return EMFILE;
  if (mark_ != 0) {
    if (const int error = SetOption(fd.get(), SOL_SOCKET, SO_MARK, mark_)) return error;
  }
  if (bag_) {
    if (const int error = PutIntoBag(fd.get())) return error;
  }
  const size_t at = vacant_.empty() ? sockets_.size() : *vacant_.begin();
  if (at == sockets_.size()) sockets_.emplace_back();
  sockets_[at] = {.fd = std::move(fd)};
  vacant_.erase(at);
  room_.insert(at);
  return 0;
}

int MembershipPool::PutIntoBag(int fd) {
  in_bag_++;
  const int error = bag_->Add(fd);
  if (error != EAGAIN) return error;
  std::vector<int> all = OpenSockets();
  all.push_back(fd);
  in_bag_ = all.size();
  return bag_->Repack(all);
}

std::vector<int> MembershipPool::OpenSockets() const {
  std::vector<int> all;
  for (const Member& member : sockets_) {
    if (member.fd.get() >= 0) all.push_back(member.fd.get());
  }
  return all;
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
  room_.insert(socket);
  if (--sockets_[socket].held == 0 && socket >= adopted_) GiveBack(socket);
}

// Closes an empty socket when there is room on another one, so that a group that comes and goes opens none each time.
void MembershipPool::GiveBack(size_t socket) {
  if (room_.size() < 2) return;
  room_.erase(socket);
  vacant_.insert(socket);
  sockets_[socket].fd = UniqueFd();
  // The bag keeps what it holds open: it is packed anew when more than half of that has been given back.
  const size_t open = socket_count();
  if (!bag_ || in_bag_ <= 2 * open + kSpareInBag) return;
  // A refusal costs nothing but the kernel's memory, and it is tried again with the next one.
  if (bag_->Repack(OpenSockets()) == 0) in_bag_ = open;
}

// Makes a new membership on the first socket that has room, on a new socket when none has: so the later ones become empty.
template <typename Call>
int MembershipPool::AddNew(uint64_t key, Call call, bool from_reserve) {
  for (;;) {
    const bool opened = room_.empty();
    if (opened) {
      if (const int error = Grow(from_reserve)) return error;
    }
    const size_t i = *room_.begin();
    const int error = call(sockets_[i].fd.get());
    if (error == 0) {
      socket_of_.emplace(key, i);
      sockets_[i].held++;
      return 0;
    }
    // An empty socket that has no room says that there is no room at all, so another one would not help.
    if (error != ENOBUFS || (sockets_[i].held == 0 && i >= adopted_)) return error;
    room_.erase(i);
  }
}

int MembershipPool::Join(int ifindex, uint32_t group) {
  if (!open_) return EBADF;
  const uint64_t key = Key(ifindex, group);
  if (Find(key, ifindex, group)) return EADDRINUSE;
  const auto call = [&](int fd) { return SetOption(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, Request(ifindex, group)); };
  return AddNew(key, call, IsOfTheLink(group));
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
    const std::vector<int> all = OpenSockets();
    if (const int error = bag.Repack(all)) return -error;
    bag_.emplace(std::move(bag));
    in_bag_ = all.size();
  }
  return mgmd::Duplicate(bag_->get());
}

void MembershipPool::Close() {
  open_ = false;
  socket_of_.clear();
  // Newest first: the kernel's list of an interface is searched from its newest entry.
  while (!sockets_.empty()) sockets_.pop_back();
  room_.clear();
  vacant_.clear();
  bag_.reset();
}

}  // namespace mgmd
