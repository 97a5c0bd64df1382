"""
Strangers on both links of the router, for bench/hostile.mjs: "WORD {arguments as JSON}" a line on standard input, one JSON line for each
on standard output. Writes frames with AF_PACKET, so that any address can speak. Shares nothing with mgmd. Every word is bounded in time.
"""
import json, random, select, socket, struct, sys, time

TO_EX, ALLOW = 4, 5
ALL_V3 = '224.0.0.22'


def checksum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def number(address):
    return struct.unpack('!I', socket.inet_aton(address))[0]


def frame(source, destination, protocol, payload, ttl=1, options=b''):
    """Of an IPv4 packet to a group; addresses as numbers."""
    mac = b'\x01\x00\x5e' + struct.pack('!I', destination & 0x7FFFFF)[1:]
    words = 5 + len(options) // 4
    head = struct.pack('!BBHHHBBHII', 0x40 | words, 0xC0, words * 4 + len(payload), 0, 0, ttl, protocol, 0, source, destination)
    sum_ = checksum(head + options)
    return mac + b'\x02\0\0\0\0\x09\x08\0' + head[:10] + struct.pack('!H', sum_) + head[12:] + options + payload


def report(source, *records):
    """A v3 report; a record is (type, group, sources), all numbers."""
    body = b''.join(struct.pack('!BBHI%dI' % len(list_), kind, 0, len(list_), group, *list_) for kind, group, list_ in records)
    head = struct.pack('!BBHHH', 0x22, 0, 0, 0, len(records))
    sum_ = checksum(head + body)
    payload = head[:2] + struct.pack('!H', sum_) + head[4:] + body
    return frame(source, number(ALL_V3), 2, payload, options=b'\x94\x04\0\0')


def data(source, group, ttl=8):
    return frame(source, group, 17, struct.pack('!HHHH', 9, 9, 16, 0) + b'datadata', ttl=ttl)


class Wire:
    def __init__(self):
        self.links = {name: self.open(name) for name in ('s0', 'h0')}

    def open(self, name):
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        link.bind((name, 0x0800))
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        return link

    def paced(self, frames, per_second, seconds):
        """Sends (link, frame) pairs at a rate until they or the time end."""
        started, sent = time.monotonic(), 0
        for link, packet in frames:
            self.links[link].send(packet)
            sent += 1
            if sent % 32 == 0:
                now = time.monotonic() - started
                if now > seconds:
                    break
                if sent / per_second > now:
                    time.sleep(sent / per_second - now)
        return {'sent': sent, 'seconds': time.monotonic() - started}

    def sources(self, reports, perReport, groups, hosts, rate, seconds):
        """A1: reports that name ever new sources of `groups` groups, on both links, from `hosts` addresses each."""

        def frames():
            for n in range(reports):
                group, part = 0xEF010000 + n % groups, n // groups
                list_ = [0xC6120000 + part * perReport + k for k in range(perReport)]
                for link, net in (('s0', 0x0A010000), ('h0', 0x0A020000)):
                    yield link, report(net + 10 + n % hosts, (ALLOW, group, list_))

        return self.paced(frames(), rate, seconds)

    def joins(self, link, net, groups, rate, seconds, base=0xEF010000):
        """One host joins many groups."""
        host = number(net) + 9
        parts = [range(at, min(at + 64, groups)) for at in range(0, groups, 64)]
        frames = ((link, report(host, *((TO_EX, base + n, []) for n in part))) for part in parts)
        return self.paced(frames, rate, seconds)

    def random(self, packets, rate, seconds):
        """A2: data to random groups."""
        chance = random.Random(7)
        source = number('10.1.0.50')
        return self.paced((('s0', data(source, 0xEF000000 + chance.getrandbits(24))) for _ in range(packets)), rate, seconds)

    def flows(self, packets, sources, rate, seconds):
        """Data of many sources to one group each."""
        return self.paced((('s0', data(0x0A010200 + n % sources, 0xEF200000 + n // sources)) for n in range(packets)), rate, seconds)

    def first(self, group, seconds):
        """From the first packet of a wanted stream to its arrival on the other link, in milliseconds; null: none came."""
        wanted = number(group)
        self.drain('h0')
        started = time.monotonic()
        packet = data(number('10.1.0.77'), wanted)
        self.links['s0'].send(packet)
        while (left := started + seconds - time.monotonic()) > 0:
            if not select.select([self.links['h0']], [], [], left)[0]:
                break
            if self.links['h0'].recv(64)[30:34] == struct.pack('!I', wanted):
                return {'ms': (time.monotonic() - started) * 1000}
        return {'ms': None}

    def drain(self, link):
        while select.select([self.links[link]], [], [], 0)[0]:
            self.links[link].recv(64)


wire = Wire()
print('{}', flush=True)
for line in sys.stdin:
    word, _, arguments = line.strip().partition(' ')
    print(json.dumps(getattr(wire, word)(**json.loads(arguments or '{}'))), flush=True)
