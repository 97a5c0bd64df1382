"""
A host that speaks through scapy: one JSON object a line on stdin, one JSON line as the answer.
{"send": EXPRESSION} evaluates to one message or a list, each made by to() below, and sends it on eth0;
{"dissect": FILE} tells what scapy makes of every IGMP packet in a capture.
"""
import json
import sys

from scapy.all import IP, Ether, IPOption_Router_Alert, Padding, Raw, fragment, get_if_hwaddr, rdpcap, sendp
from scapy.utils import checksum
from scapy.config import conf
from scapy.contrib.igmp import IGMP
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3gr, IGMPv3mq, IGMPv3mr

conf.verb = 0
DEVICE = "eth0"
ME = sys.argv[1]


def mac_of(destination):
    a, b, c, d = (int(x) for x in destination.split("."))
    if a < 224:
        return "ff:ff:ff:ff:ff:ff"  # whoever has that address
    return "01:00:5e:%02x:%02x:%02x" % (b & 127, c, d)


def to(destination, message, alert=True, ttl=1, source=ME):
    options = [IPOption_Router_Alert()] if alert else []
    header = IP(src=source, dst=destination, ttl=ttl, tos=0xC0, proto=2, options=options)
    return Ether(src=get_if_hwaddr(DEVICE), dst=mac_of(destination)) / header / message


def vector(text):
    return Raw(bytes.fromhex(text.replace(" ", "")))


def report(*records):
    return IGMPv3(type=0x22, mrcode=0) / IGMPv3mr(numgrp=len(records), records=list(records))


def with_auxiliary(record, *words):
    """scapy knows the length field and builds no data."""
    record.auxdlen = len(words)
    return Raw(bytes(record) + b"".join(word.to_bytes(4, "big") for word in words))


def cut(message, length):
    """The first bytes with a checksum that is right for them."""
    return Raw(with_checksum(bytes(message)[:length]))


def with_checksum(message):
    bare = message[:2] + b"\0\0" + message[4:]
    return bare[:2] + checksum(bare).to_bytes(2, "big") + bare[4:]


def told(packet):
    """The fields of all IGMP layers, whether scapy's own checksums agree, and what it could not make sense of."""
    ip = packet[IP]
    fields = {}
    layer = ip.payload
    while layer and not isinstance(layer, (Raw, Padding)):
        fields.update({name: layer.getfieldval(name) for name in layer.default_fields})
        layer = layer.payload
    again = ip.copy()
    del again.chksum
    rebuilt = IP(bytes(again))
    body = bytes(ip.payload)[: ip.len - 4 * ip.ihl]
    return {
        "layers": [one.__name__ for one in ip.layers()[1:]],
        "fields": {name: str(value) if isinstance(value, bytes) else value for name, value in fields.items()},
        "leftover": bytes(packet[Raw]).hex() if Raw in packet else "",
        "checksumsGood": rebuilt.chksum == ip.chksum and with_checksum(body) == body,
        "alert": any(isinstance(option, IPOption_Router_Alert) for option in ip.options),
        "destination": ip.dst,
        "ttl": ip.ttl,
    }


def obey(command):
    if "dissect" in command:
        return {"packets": [told(packet) for packet in rdpcap(command["dissect"]) if packet[IP].proto == 2]}
    made = eval(command["send"])
    sendp(made, iface=DEVICE)
    return {}


print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    try:
        answer = obey(json.loads(line))
    except Exception as error:
        answer = {"error": "%s: %s" % (type(error).__name__, error)}
    print(json.dumps(answer, default=str), flush=True)
