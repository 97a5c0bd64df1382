"""
Both ends of streams of numbered packets, and a witness of a wire. Every flow has a number of its own, and every packet of it
carries the flow's number and its own (both u32). `numbered.py ROLE JSON`; one JSON object a line on stdin, one line as the answer.

source {"from", "port", "ratePerSec", "flows": [[FLOW, GROUP], ...]}
  {"sent": true} -> {FLOW: numbers sent so far, ...}
host {"address", "port"}: what its kernel delivers
  {"join": GROUP, "source"?} -> {}
wire {"device", "port"}: what passes the cable towards it, whoever asked for it
  {"igmp": true} -> [{"at": ms since start, "from", "type", "records": [[TYPE, GROUP, SOURCES], ...]}, ...] since the last time
host and wire
  {"count": {FLOW: [FROM, TO], ...}} -> {"lost", "duplicated", "gaps": {FLOW: [[FIRST, MISSING], ...]}}, numbers below TO
"""
import json
import select
import socket
import struct
import sys
import time

SO_RCVBUFFORCE, PER_SOCKET = 33, 20  # net.ipv4.igmp_max_memberships
ETH_P_IP, PACKET_OUTGOING, IGMP, UDP = 0x0800, 4, 2, 17
IP_ADD_SOURCE_MEMBERSHIP = 39
REPORT_V3 = 0x22
#: The flow, and the packet's number in it.
NUMBERED = struct.Struct(">II")
START = time.monotonic()


class Source:
    TICK_SEC = 0.01

    def __init__(self, options):
        self.flows, self.port, self.rate = options["flows"], options["port"], options["ratePerSec"]
        self.next = {flow: 0 for flow, _ in self.flows}
        self.total, self.begin = 0, time.monotonic()
        self.sending = [self.connected(options["from"], group) for _, group in self.flows]

    def connected(self, address, group):
        sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sending.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 16)
        sending.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        sending.bind((address, 0))
        sending.connect((group, self.port))
        return sending

    def pause(self):
        return self.TICK_SEC

    def turn(self):
        """After a moment without the processor it goes on where it was, and does not make up for it in one burst."""
        due = int((time.monotonic() - self.begin) * self.rate)
        if due - self.total > self.rate * 10 * self.TICK_SEC:
            self.begin += (due - self.total) / self.rate
            due = self.total
        while self.total < due:
            which = self.total % len(self.flows)
            flow = self.flows[which][0]
            self.sending[which].send(NUMBERED.pack(flow, self.next[flow]))
            self.next[flow] += 1
            self.total += 1

    def obey(self, command):
        return self.next


class Counter:
    """How often each number came, one byte for each."""

    def __init__(self):
        self.seen = {}

    def add(self, flow, number):
        seen = self.seen.setdefault(flow, bytearray())
        if number >= len(seen):
            seen.extend(bytes(number + 1024 - len(seen)))
        seen[number] += 1

    def count(self, wanted):
        lost, duplicated, gaps = 0, 0, {}
        for flow, (first, end) in wanted.items():
            seen = self.seen.get(int(flow), bytearray())
            part = seen[first:end].ljust(end - first, b"\0")
            missing = part.count(0)
            lost += missing
            duplicated += sum(part) - (len(part) - missing)
            if missing:
                gaps[flow] = holes(part, first)
        return {"lost": lost, "duplicated": duplicated, "gaps": gaps}


def holes(part, first):
    found, at = [], part.find(0)
    while at >= 0:
        end = at
        while end < len(part) and part[end] == 0:
            end += 1
        found.append([first + at, end - at])
        at = part.find(0, end)
    return found


class Receiver:
    """Looks every few milliseconds; the buffer holds seconds."""

    def __init__(self, receiving):
        self.counter, self.receiving = Counter(), receiving
        self.buffer = bytearray(65536)
        receiving.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        receiving.setblocking(False)

    def pause(self):
        return 0.02

    def turn(self):
        try:
            while True:
                self.packet(*self.receiving.recvfrom_into(self.buffer))
        except BlockingIOError:
            pass


class Host(Receiver):
    def __init__(self, options):
        super().__init__(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.address, self.holders = options["address"], []
        self.receiving.bind(("", options["port"]))

    def packet(self, _length, _peer):
        self.counter.add(*NUMBERED.unpack_from(self.buffer))

    def join(self, group, source):
        if not self.holders or self.holders[-1][1] == PER_SOCKET:
            self.holders.append([socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0])
        holder = self.holders[-1]
        holder[1] += 1
        request = socket.inet_aton(group) + socket.inet_aton(self.address)
        option = socket.IP_ADD_MEMBERSHIP
        if source:
            option, request = IP_ADD_SOURCE_MEMBERSHIP, request + socket.inet_aton(source)
        holder[0].setsockopt(socket.IPPROTO_IP, option, request)

    def obey(self, command):
        if "join" in command:
            self.join(command["join"], command.get("source"))
            return {}
        return self.counter.count(command["count"])


class Wire(Receiver):
    def __init__(self, options):
        super().__init__(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))
        self.port, self.messages = options["port"], []
        self.receiving.bind((options["device"], ETH_P_IP))

    def packet(self, length, address):
        if address[2] == PACKET_OUTGOING:
            return
        packet = self.buffer
        header = (packet[0] & 15) * 4
        if packet[9] == IGMP:
            self.messages.append(igmp(bytes(packet[:length]), header))
        elif packet[9] == UDP and 224 <= packet[16] <= 239:
            if struct.unpack_from(">H", packet, header + 2)[0] == self.port:
                self.counter.add(*NUMBERED.unpack_from(packet, header + 8))

    def obey(self, command):
        if "igmp" in command:
            messages, self.messages = self.messages, []
            return messages
        return self.counter.count(command["count"])


def igmp(packet, header):
    kind, records = packet[header], []
    if kind == REPORT_V3:
        at = header + 8
        for _ in range(struct.unpack_from(">H", packet, header + 6)[0]):
            record, words, count = struct.unpack_from(">BBH", packet, at)
            addresses = [socket.inet_ntoa(packet[at + 4 + 4 * n : at + 8 + 4 * n]) for n in range(count + 1)]
            records.append([record, addresses[0], addresses[1:]])
            at += 8 + 4 * count + 4 * words
    else:
        records.append([0, socket.inet_ntoa(packet[header + 4 : header + 8]), []])
    at_ms = round((time.monotonic() - START) * 1000)
    return {"at": at_ms, "from": socket.inet_ntoa(packet[12:16]), "type": kind, "records": records}


role = {"source": Source, "host": Host, "wire": Wire}[sys.argv[1]](json.loads(sys.argv[2]))
print(json.dumps({"ready": True}), flush=True)
pending = b""
while True:
    readable, _, _ = select.select([sys.stdin.buffer], [], [], role.pause())
    role.turn()
    if not readable:
        continue
    chunk = sys.stdin.buffer.read1(65536)
    if not chunk:
        break
    *lines, pending = (pending + chunk).split(b"\n")
    for line in lines:
        try:
            answer = role.obey(json.loads(line))
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
