# python3 table-breaker.py WORD ARGUMENT...  Another program with CAP_NET_ADMIN changes the multicast routing table that mgmd owns.
#   del-vif NUMBER... | add-vif NUMBER DEVICE | mode OPTION VALUE | modes | done PID
# "modes" prints MRT_ASSERT and MRT_PIM; "done" gives the table up through a copy of the owner's socket.
import ctypes
import os
import socket
import struct
import sys

ADD_VIF, DEL_VIF, DONE, ASSERT, PIM = 202, 203, 201, 207, 208
MRT_VERSION = 206
PIDFD_GETFD = 438


def vif(number, ifindex=0):
    return struct.pack('=HBBIiI', number, 8, 1, 0, ifindex, 0)


def sockets_of(pid):
    pidfd = os.pidfd_open(pid)
    for fd in os.listdir(f'/proc/{pid}/fd'):
        if not os.readlink(f'/proc/{pid}/fd/{fd}').startswith('socket:'):
            continue
        copy = ctypes.CDLL(None).syscall(PIDFD_GETFD, pidfd, int(fd), 0)
        if copy >= 0:
            yield socket.socket(fileno=copy)


def give_up(pid):
    for copy in sockets_of(pid):
        try:
            copy.getsockopt(0, MRT_VERSION)
            copy.setsockopt(0, DONE, struct.pack('i', 1))
            return
        except OSError:
            continue
    sys.exit('no socket of the process owns the table')


word, *words = sys.argv[1:]
own = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
if word == 'del-vif':
    for number in words:
        own.setsockopt(0, DEL_VIF, vif(int(number)))
elif word == 'add-vif':
    own.setsockopt(0, ADD_VIF, vif(int(words[0]), socket.if_nametoindex(words[1])))
elif word == 'mode':
    own.setsockopt(0, {'assert': ASSERT, 'pim': PIM}[words[0]], struct.pack('i', int(words[1])))
elif word == 'modes':
    print(own.getsockopt(0, ASSERT), own.getsockopt(0, PIM))
elif word == 'done':
    give_up(int(words[0]))
