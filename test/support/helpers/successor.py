"""A successor that dies: `successor.py PATH STEP`, where it gets as far as "connect", "ask", "receive", "take" or "wait"."""
import socket
import sys

path, step = sys.argv[1:]
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
connection.connect(path)
if step != "connect":
    connection.sendall(b"take\n")
if step in ("receive", "take", "wait"):
    names, fds, _, _ = socket.recv_fds(connection, 16384, 253)
    assert len(fds) == len(names.decode().split(":")), names
if step in ("take", "wait"):
    connection.sendall(b"taken\n")
if step == "wait":
    print(connection.recv(4096).decode().split()[0])
