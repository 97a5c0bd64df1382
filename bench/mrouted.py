"""
MGMD_MROUTED=/path/to/mrouted python3 bench/mrouted.py [DIRECTORY]

As root, by hand: a line of four namespaces, S - R1 - R2 - H, with mgmd and a real mrouted in both orders. A stream, a join, a leave, a join,
the end of mrouted and its return, the end of mgmd. Prints what H got, and writes what both sent on the link in the middle to
DIRECTORY (default .), in the form of test/fixtures/packets/mrouted-4.6-*.hex. Takes two minutes; docs/tested-with.md tells what was seen.
"""
import json, os, re, signal, socket, struct, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HELPERS = os.path.join(ROOT, 'test/support/helpers')
GROUP, DVMRP = '239.5.5.5', 0x13
LINE = [('s', 'eth0', '10.1.0.2', 'r1', 'lan', '10.1.0.1'), ('r1', 'mid', '10.9.0.1', 'r2', 'mid', '10.9.0.2'),
        ('r2', 'lan', '10.2.0.1', 'h', 'eth0', '10.2.0.2')]
PREPARE = ('for k in all default; do echo 0 > /proc/sys/net/ipv4/conf/$k/rp_filter; '
           'echo 1 > /proc/sys/net/ipv6/conf/$k/disable_ipv6; done; echo 1 > /proc/sys/net/ipv4/ip_forward')
MGMD = 'control: { socket: %s }\ninterfaces:\n  lan: { owner: dvmrp, igmp: true }\n  mid: { owner: dvmrp, igmp: true }\n'


def refuse(why):
    sys.exit('bench/mrouted.py: ' + why)


class Line:
    def __init__(self, mrouted, folder):
        self.mrouted, self.folder, self.children, self.done = mrouted, folder, [], []
        self.names = {node: 'mrouted-%d-%s' % (os.getpid(), node) for node in ('s', 'r1', 'r2', 'h')}
        for name in self.names.values():
            self.ip('netns', 'add', name)
            self.ip('netns', 'exec', name, 'sh', '-c', PREPARE)
            self.ip('-n', name, 'link', 'set', 'lo', 'up')
        for near, device, address, far, there, other in LINE:
            self.ip('-n', self.names[near], 'link', 'add', device, 'type', 'veth', 'peer', 'name', there, 'netns', self.names[far])
            for node, name, own in ((near, device, address), (far, there, other)):
                self.ip('-n', self.names[node], 'address', 'add', own + '/24', 'dev', name)
                self.ip('-n', self.names[node], 'link', 'set', name, 'up')
        for node, gateway in (('s', '10.1.0.1'), ('h', '10.2.0.1')):
            self.ip('-n', self.names[node], 'route', 'add', 'default', 'via', gateway)

    def ip(self, *words):
        subprocess.run(['ip', *words], check=True)

    def spawn(self, node, *words, **options):
        child = subprocess.Popen(['ip', 'netns', 'exec', self.names[node], *words], **options)
        self.children.append(child)
        return child

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, what, node):
        log = open(self.path(what + '.log'), 'a')
        if what == 'mgmd':
            with open(self.path('mgmd.yaml'), 'w') as file:
                file.write(MGMD % self.path('mgmd.sock'))
            words = ['node', os.path.join(ROOT, 'dist/daemon/main.js'), '--config', self.path('mgmd.yaml')]
        else:
            with open(self.path('mrouted.conf'), 'w') as file:
                file.write('phyint lo disable\n')
            words = [self.mrouted, '-n', '-f', self.path('mrouted.conf'), '-p', self.path('pid'), '-u', self.path('mrouted.sock')]
        return self.spawn(node, *words, stdout=log, stderr=log)

    def does(self, what):
        self.done.append((time.time(), what))
        print('  ' + what, flush=True)

    def program(self, node, name, **settings):
        words = ['node', os.path.join(HELPERS, name), json.dumps({'port': 5000, **settings})]
        child = self.spawn(node, *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        return child

    def close(self):
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
            child.wait()
        for name in self.names.values():
            self.ip('netns', 'delete', name)


def converse(line, first, second):
    nodes = {first: 'r1', second: 'r2'}
    line.spawn('r1', 'tcpdump', '-i', 'mid', '-U', '--immediate-mode', '-Z', 'root', '-w', line.path('pcap'), 'igmp', stderr=subprocess.DEVNULL)
    time.sleep(1)
    running = {what: line.start(what, node) for what, node in nodes.items()}
    time.sleep(16)
    host = line.program('h', 'receiver.mjs', address='10.2.0.2')

    def tell(command, rest=0):
        host.stdin.write(json.dumps(command) + '\n')
        host.stdin.flush()
        answer = host.stdout.readline().strip()
        time.sleep(rest)
        return answer

    def report():
        print('    H: ' + tell({'report': True}))

    line.does('S sends')
    line.program('s', 'sender.mjs', **{'from': '10.1.0.2', 'groups': [GROUP], 'ratePerSec': 50})
    time.sleep(4)
    for what, command, rest in (('H joins', {'join': GROUP}, 3), ('H leaves', {'leave': GROUP}, 6), ('H joins again', {'join': GROUP}, 3)):
        line.does(what)
        tell(command, rest)
        report()
    line.does('mrouted stops')
    running['mrouted'].send_signal(signal.SIGTERM)
    running['mrouted'].wait()
    time.sleep(3)
    line.does('mrouted starts')
    line.start('mrouted', nodes['mrouted'])
    time.sleep(16)
    report()
    line.does('mgmd stops')
    running['mgmd'].send_signal(signal.SIGTERM)
    running['mgmd'].wait()
    time.sleep(3)


def messages(file):
    """(time, IP packet) of the DVMRP messages in a capture."""
    data = open(file, 'rb').read()
    at = 24
    while at < len(data):
        sec, usec, length, _ = struct.unpack('<IIII', data[at : at + 16])
        packet = data[at + 30 : at + 16 + length]
        at += 16 + length
        if packet[0] >> 4 == 4 and packet[(packet[0] & 15) * 4] == DVMRP:
            yield sec + usec / 1e6, packet[: struct.unpack('!H', packet[2:4])[0]]


def write(line, mrouted_at, version, target):
    seen = list(messages(line.path('pcap')))
    start = seen[0][0]
    who = lambda packet: 'mrouted' if socket.inet_ntoa(packet[12:16]) == mrouted_at else 'mgmd'
    rows = [(at, '%s %s' % (who(packet), packet.hex())) for at, packet in seen] + [(at, '# ' + what) for at, what in line.done]
    with open(target, 'w') as file:
        file.write('# %s, %s, whole IP packets\n# seconds, sender, packet; or seconds, "#", what was done then\n' % (version, time.strftime('%Y-%m-%d')))
        for at, row in sorted(rows):
            file.write('%.3f %s\n' % (max(0, at - start), row))
    print('  written: ' + target)


def main():
    mrouted = os.environ.get('MGMD_MROUTED', '')
    if not os.access(mrouted, os.X_OK):
        refuse('MGMD_MROUTED does not name a program; Debian has no mrouted, so build it (4.6 was used) and say where it is')
    if os.getuid() != 0:
        refuse('only root may run mrouted and make namespaces; run it as root')
    version = re.search(r'mrouted version \S+', subprocess.run([mrouted, '-v'], capture_output=True, text=True).stdout)
    target = sys.argv[1] if len(sys.argv) > 1 else '.'
    for first, second, place, address in (('mgmd', 'mrouted', 'downstream', '10.9.0.2'), ('mrouted', 'mgmd', 'upstream', '10.9.0.1')):
        print('%s - %s' % (first, second))
        with tempfile.TemporaryDirectory() as folder:
            line = Line(mrouted, folder)
            try:
                converse(line, first, second)
            finally:
                line.close()
            write(line, address, version.group() if version else 'mrouted', os.path.join(target, 'mrouted-%s.hex' % place))


main()
