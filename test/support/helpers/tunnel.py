"""
An IP-IP tunnel (RFC 2003) without the kernel's driver: what leaves by a tun device goes to the far end as protocol 4, and back.
argv: name of the device, local address, remote address. Prints "ready"; ends with its process.
"""
import fcntl, os, select, socket, struct, sys

TUNSETIFF, IFF_TUN, IFF_NO_PI, IPIP = 0x400454CA, 0x0001, 0x1000, 4
name, local, remote = sys.argv[1:]
device = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(device, TUNSETIFF, struct.pack('16sH', name.encode(), IFF_TUN | IFF_NO_PI))
outer = socket.socket(socket.AF_INET, socket.SOCK_RAW, IPIP)
outer.bind((local, 0))
outer.connect((remote, 0))
print('ready', flush=True)
while True:
    for ready in select.select([device, outer], [], [])[0]:
        if ready == device:
            packet = os.read(device, 0x10000)
            if packet[0] >> 4 == 4:
                outer.send(packet)
        else:
            packet = outer.recv(0x10000)
            os.write(device, packet[(packet[0] & 15) * 4:])
