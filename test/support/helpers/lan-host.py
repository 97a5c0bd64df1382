"""A host of a LAN that answers only as it is told: python3 lan-host.py DEVICE ADDRESS GROUP DEAF.

It reports GROUP in version 2 when it starts and to each general query; of the group-specific ones it does not hear the first
DEAF (their answers are lost). It counts the numbered packets of sender.mjs. A line on stdin is answered by a line of JSON.
"""
import json
import os
import select
import socket
import struct
import sys

device, address, group, deaf = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
wire.bind((device, 0x0800))
speak = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
speak.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex('94040000'))
speak.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
speak.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
speak.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
wanted = socket.inet_aton(group)
seen = {'generalQueries': 0, 'groupQueries': 0, 'answered': 0, 'received': 0, 'lost': 0}
last = None


def report():
    words = struct.unpack('!HH', wanted)
    total = 0x1600 + sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    speak.sendto(struct.pack('!BBH', 0x16, 0, ~total & 0xFFFF) + wanted, (group, 0))


def hear(packet):
    global last
    body = packet[(packet[0] & 15) * 4 :]
    if packet[9] == 2 and body[0] == 0x11:
        general = body[4:8] == bytes(4)
        seen['generalQueries' if general else 'groupQueries'] += 1
        if general or (body[4:8] == wanted and seen['groupQueries'] > deaf):
            seen['answered'] += 0 if general else 1
            report()
    elif packet[9] == 17 and packet[16:20] == wanted:
        (number,) = struct.unpack('!I', body[12:16])
        seen['received'] += 1
        if last is not None:
            seen['lost'] += max(0, number - last - 1)
        last = number


report()
print('{"ready":true}', flush=True)
told = b''
while True:
    for ready in select.select([wire, 0], [], [])[0]:
        if ready is wire:
            packet, where = wire.recvfrom(2048)
            if where[2] != socket.PACKET_OUTGOING:
                hear(packet)
            continue
        more = os.read(0, 4096)
        if not more:
            sys.exit(0)
        told += more
        for _ in range(told.count(b'\n')):
            print(json.dumps(seen), flush=True)
        told = told[told.rfind(b'\n') + 1 :]
