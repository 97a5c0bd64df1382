"""
A host with source filters, and a witness of what reaches its cable whatever it has filtered. One JSON object a line on
stdin, one JSON line as the answer: {"join": G, "source"?}, {"leave": G, "source"?}, {"block": G, "source": S},
{"unblock": G, "source": S}, {"exclude": G, "sources": [S, ...]}, {"igmp": HEX, "to": GROUP}, {"report": true}.
"""
import json
import select
import socket
import struct
import sys

ADDRESS, DEVICE = sys.argv[1], sys.argv[2]
ETH_P_IP, PACKET_OUTGOING, UDP = 0x0800, 4, 17
IP_MSFILTER, MCAST_EXCLUDE = 41, 0
#: level IPPROTO_IP: without a source, with one
OPTION = {
    "join": (socket.IP_ADD_MEMBERSHIP, 39),
    "leave": (socket.IP_DROP_MEMBERSHIP, 40),
    "block": (None, 38),
    "unblock": (None, 37),
}

wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
wire.bind((DEVICE, ETH_P_IP))
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
sockets, flows = {}, {}


def inet(address):
    return socket.inet_aton(address)


def member_of(group):
    """Filters belong to a socket and a group; one socket for each group has room for all of them."""
    if group not in sockets:
        sockets[group] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return sockets[group]


def change(what, group, source):
    plain, with_source = OPTION[what]
    request = inet(group) + inet(ADDRESS) + (inet(source) if source else b"")
    member_of(group).setsockopt(socket.IPPROTO_IP, with_source if source else plain, request)


def exclude(group, sources):
    head = inet(group) + inet(ADDRESS) + struct.pack("=II", MCAST_EXCLUDE, len(sources))
    member_of(group).setsockopt(socket.IPPROTO_IP, IP_MSFILTER, head + b"".join(map(inet, sources)))


def say(message, to):
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex("94040000"))
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, inet(ADDRESS))
    raw.sendto(bytes.fromhex(message), (to, 0))
    raw.close()


def obey(command):
    for what in OPTION:
        if what in command:
            change(what, command[what], command.get("source"))
    if "exclude" in command:
        exclude(command["exclude"], command["sources"])
    if "igmp" in command:
        say(command["igmp"], command["to"])
    if "report" in command:
        look()
        return flows
    return {}


def look():
    """Reads all packets that are there. Payload of helpers/sender.mjs: flow and number."""
    while select.select([wire], [], [], 0)[0]:
        packet, (_, _, kind, _, _) = wire.recvfrom(65536)
        header = (packet[0] & 15) * 4
        if kind == PACKET_OUTGOING or packet[9] != UDP or not 224 <= packet[16] <= 239:
            continue
        key = "%s %s" % (socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]))
        (number,) = struct.unpack_from(">I", packet, header + 8 + 4)
        flow = flows.setdefault(key, {"received": 0, "lost": 0, "duplicated": 0, "last": number - 1})
        flow["received"] += 1
        if number <= flow["last"]:
            flow["duplicated"] += 1
        else:
            flow["lost"] += number - flow["last"] - 1
            flow["last"] = number


print(json.dumps({"ready": True}), flush=True)
pending = b""
while True:
    readable, _, _ = select.select([wire, sys.stdin.buffer], [], [])
    if wire in readable:
        look()
    if sys.stdin.buffer in readable:
        chunk = sys.stdin.buffer.read1(65536)
        if not chunk:
            break
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            try:
                answer = obey(json.loads(line))
            except OSError as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)
