{
  "variables": {
    "core_sources": [
      "native/bpf.cc",
      "native/cgroup.cc",
      "native/descriptor_bag.cc",
      "native/handover.cc",
      "native/igmp_socket.cc",
      "native/membership.cc",
      "native/mroute.cc",
      "native/netlink.cc",
      "native/output.cc",
      "native/packet_watch.cc",
      "native/pause_gate.cc",
      "native/peer.cc",
      "native/socket.cc"
    ],
    "addon_sources": [
      "native/addon.cc",
      "native/igmp_binding.cc",
      "native/membership_binding.cc",
      "native/mroute_binding.cc",
      "native/netlink_binding.cc",
      "native/packet_watch_binding.cc",
      "native/pause_gate_binding.cc",
      "native/poll.cc"
    ]
  }
}
