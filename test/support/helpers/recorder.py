"""
A host that receives one UDP stream: recorder.py ADDRESS GROUP PORT. Each line on stdin is a command, each answer a JSON line:
"count" tells how many bytes have come; "record FILE" writes what comes from now on; "stop" ends that.
"""
import json
import select
import socket
import sys

address, group, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
stream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    stream.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
except PermissionError:  # in a user namespace: as much as anybody gets
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
stream.bind((group, port))
stream.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(address))

received, file = 0, None
print(json.dumps({"ready": True}), flush=True)
while True:
    readable, _, _ = select.select([stream, sys.stdin], [], [])
    if stream in readable:
        datagram = stream.recv(65536)
        received += len(datagram)
        if file:
            file.write(datagram)
        continue
    words = sys.stdin.readline().split()
    if not words:
        break
    if words[0] == "record":
        file = open(words[1], "wb")
    if words[0] == "stop":
        file.close()
        file = None
    print(json.dumps({"received": received}), flush=True)
