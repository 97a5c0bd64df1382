"""
Two DVMRP neighbours of one router, by hand: A on s0 (10.1.0.2) tells networks, B on h0 (10.2.0.2) depends on them. Words on standard
input, one JSON line for each on standard output. Shares nothing with mgmd.
"""
import json, os, select, socket, struct, sys, time

ALL, GROUP = '224.0.0.4', '239.5.5.5'
PROBE, REPORT, PRUNE, GRAFT = 1, 2, 7, 8
ENTRIES_PER_REPORT = 126


def checksum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def message(code, body, capabilities=0):
    head = struct.pack('!BBHBBBB', 0x13, code, 0, 0, capabilities, 255, 3)
    return head[:2] + struct.pack('!H', checksum(head + body)) + head[4:] + body


class Peer:
    def __init__(self, device, own, router):
        self.own, self.router = own, router
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        ways = socket.inet_aton(ALL) + socket.inet_aton(own)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, ways)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        self.data = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.data.bind((device, 0x0800))

    def say(self, code, body, capabilities=0, to=ALL):
        self.socket.sendto(message(code, body, capabilities), (to, 0))

    def probe(self):
        self.say(PROBE, struct.pack('!I', 7) + socket.inet_aton(self.router), 0x2E)

    def tell(self, networks, metric):
        for at in range(0, len(networks), ENTRIES_PER_REPORT):
            part = networks[at : at + ENTRIES_PER_REPORT]
            pairs = [struct.pack('!I', network)[:3] + bytes([metric]) for network in part]
            pairs[-1] = pairs[-1][:3] + bytes([metric | 0x80])
            self.say(REPORT, b'\xff\xff\0' + b''.join(pairs))

    def hears(self, seconds):
        """Networks of /24 in the next Report, with their metrics; empty for another message, None when time is up."""
        if not select.select([self.socket], [], [], max(0, seconds))[0]:
            return None
        packet = self.socket.recv(0x10000)
        body = packet[(packet[0] & 15) * 4 :]
        found = {}
        if body[0] != 0x13 or body[1] != REPORT or packet[12:16] == socket.inet_aton(self.own):
            return found
        at, data = 8, body
        while at + 3 < len(data):
            width, at = (3 if data[at + 1] == 255 and data[at] == 255 else 1), at + 3
            last = False
            while not last and at + width < len(data):
                metric = data[at + width]
                last = metric >= 128
                found[int.from_bytes(data[at : at + width], 'big')] = metric & 127
                at += width + 1
        return found


class Bench:
    def __init__(self, count):
        self.a = Peer('s0', '10.1.0.2', '10.1.0.1')
        self.b = Peer('h0', '10.2.0.2', '10.2.0.1')
        self.networks = [(0x14000000 + (n << 8)) for n in range(count)]
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b's0')

    def probe(self):
        self.a.probe()
        self.b.probe()

    def until_all(self, fits, seconds=60):
        """Milliseconds until B has heard of every network in the way that fits."""
        started, left = time.perf_counter(), {network >> 8 for network in self.networks}
        while left:
            rest = started + seconds - time.perf_counter()
            told = self.b.hears(rest)
            if told is None:
                raise SystemExit('B did not hear of %d networks' % len(left))
            left -= {network for network, metric in told.items() if fits(metric)}
        return (time.perf_counter() - started) * 1000

    def converge(self):
        self.a.tell(self.networks, 3)
        return {'ms': self.until_all(lambda metric: metric < 32)}

    def again(self):
        self.a.tell(self.networks, 3)

    def depend(self):
        self.b.tell(self.networks, 36)

    def withdraw(self):
        self.a.tell(self.networks, 32)
        return {'ms': self.until_all(lambda metric: metric == 32)}

    def packet(self, network):
        total = 28 + 8
        udp = struct.pack('!HHHH', 5000, 5000, 16, 0) + bytes(8)
        head = struct.pack('!BBHHHBBH', 0x45, 0, total, 0, 0, 8, 17, 0)
        addresses = struct.pack('!I', network + 9) + socket.inet_aton(GROUP)
        self.raw.sendto(head + addresses + udp, (GROUP, 0))

    def flows(self):
        """One packet of each network."""
        for n, network in enumerate(self.networks):
            self.packet(network)
            if n % 50 == 49:
                time.sleep(0.01)

    def sources(self, count=20_000):
        """One packet of each of many sources to one group."""
        for n in range(count):
            self.packet(self.networks[n % len(self.networks)] + n // len(self.networks))
            if n % 50 == 49:
                time.sleep(0.01)

    def prune_of(self, n, count=20_000):
        """Of a single source, with a host mask."""
        at = n * 37 % count
        source = self.networks[at % len(self.networks)] + at // len(self.networks) + 9
        return struct.pack('!I', source) + socket.inet_aton(GROUP) + struct.pack('!II', 7200, 0xFFFFFFFF)

    def prunes(self, seconds=8, per_second=50):
        """B prunes one source after the other."""
        for n in range(seconds * per_second):
            self.b.say(PRUNE, self.prune_of(n), to='10.2.0.1')
            time.sleep(1 / per_second)
        return {'sent': seconds * per_second}

    def strange(self, seconds=8, per_second=50):
        """Two hundred others on B's link say the same, who are nobody's neighbours."""
        for n in range(seconds * per_second):
            body = message(PRUNE, self.prune_of(n))
            head = struct.pack('!BBHHHBBH', 0x45, 0xC0, 20 + len(body), 0, 0, 1, 2, 0)
            addresses = socket.inet_aton('10.2.0.%d' % (20 + n % 200)) + socket.inet_aton(ALL)
            sum_ = struct.pack('!H', checksum(head + addresses))
            self.b.data.sendto(head[:10] + sum_ + addresses + body, ('h0', 0x0800, 0, 0, b'\x01\0\x5e\0\0\x04'))
            time.sleep(1 / per_second)
        return {'sent': seconds * per_second}

    def flapping(self, seconds=8, per_second=280):
        """A tells all networks again and again, each time with another metric than before."""
        started, sent = time.perf_counter(), 0
        per_round = -(-len(self.networks) // ENTRIES_PER_REPORT)
        rounds = seconds * per_second // per_round
        for told in range(rounds):
            for at in range(0, len(self.networks), ENTRIES_PER_REPORT):
                self.a.tell(self.networks[at : at + ENTRIES_PER_REPORT], 3 + (told + 1) % 2)
                sent += 1
                time.sleep(max(0, started + sent / per_second - time.perf_counter()))
        return {'sent': sent, 'metric': 3 + rounds % 2}

    def arrived(self, seconds):
        limit = time.perf_counter() + seconds
        while select.select([self.b.data], [], [], max(0, limit - time.perf_counter()))[0]:
            if self.b.data.recv(2048)[16:20] == socket.inet_aton(GROUP):
                return True
        return False

    def graft(self, rounds=200):
        """B prunes and grafts one flow of a packet each 100 us: microseconds to its first packet, and how many never came."""
        if os.fork() == 0:
            limit = time.perf_counter() + 60
            while os.getppid() != 1 and time.perf_counter() < limit:
                self.packet(self.networks[0])
                time.sleep(0.0001)
            os._exit(0)
        source = struct.pack('!I', self.networks[0] + 9) + socket.inet_aton(GROUP)
        self.arrived(1)
        times, failed = [], 0
        for _ in range(rounds):
            self.b.say(PRUNE, source + struct.pack('!I', 7200), to='10.2.0.1')
            while self.arrived(0.02):
                pass
            started = time.perf_counter()
            self.b.say(GRAFT, source, to='10.2.0.1')
            if self.arrived(1):
                times.append((time.perf_counter() - started) * 1e6)
            else:
                failed += 1
        times.sort()
        return {'p50_us': times[len(times) // 2], 'p99_us': times[len(times) * 99 // 100], 'failed': failed}


bench = Bench(int(sys.argv[1]))
bench.probe()
print('{}', flush=True)
for line in sys.stdin:
    print(json.dumps(getattr(bench, line.strip())() or {}), flush=True)
