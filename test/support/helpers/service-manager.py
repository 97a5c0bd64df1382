"""
A service manager in small, as systemd is one for a Type=notify service: keeps the descriptors that the service stores
(FDSTORE=1), starts it again when it ends and passes them on. One command a line on stdin (`start`, `forge`, or the name of a signal,
after which the service is started again when it has ended; `SIGHUP`, `SIGSTOP` and `SIGCONT` do not wait for an end; `quit`), one line of JSON
on stdout for each notification and each end.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys


PR_SET_PDEATHSIG = 1


class Manager:
    def __init__(self, path, command):
        self.command = command
        self.path = path
        self.stored = []
        self.pid = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)

    def start(self):
        self.pid = os.fork()
        if self.pid:
            return
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # Out of the way first: a stored descriptor may have a number that another one is to get.
        high = [os.dup2(fd, 200 + i) for i, (_, fd) in enumerate(self.stored)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i, inheritable=True)
            os.close(fd)
        names = ":".join(name for name, _ in self.stored)
        passing = {"LISTEN_FDS": str(len(high)), "LISTEN_FDNAMES": names, "LISTEN_PID": str(os.getpid())} if high else {}
        os.execvpe(self.command[0], self.command, {**os.environ, "NOTIFY_SOCKET": self.path, **passing})

    def notified(self):
        text, fds, _, _ = socket.recv_fds(self.socket, 65536, 16)
        fields = dict(line.split("=", 1) for line in text.decode().splitlines() if "=" in line)
        if "FDSTORE" in fields:
            self.stored += [(fields.get("FDNAME", "stored"), fd) for fd in fds]
        if "FDSTOREREMOVE" in fields:
            for name, fd in [one for one in self.stored if one[0] == fields.get("FDNAME")]:
                self.stored.remove((name, fd))
                os.close(fd)
        say({**fields, "stored": [name for name, _ in self.stored]})

    def ended(self):
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return False
        self.pid = 0
        say({"ended": os.waitstatus_to_exitcode(status)})
        return True


def say(fields):
    os.write(1, (json.dumps(fields) + "\n").encode())  # in one piece: the service writes there as well


def main():
    manager = Manager(sys.argv[1], sys.argv[2:])
    awaited = False
    commands = ""
    while True:
        readable, _, _ = select.select([manager.socket, 0], [], [], 0.02)
        if manager.socket in readable:
            manager.notified()
            continue
        if manager.pid and manager.ended() and awaited:
            awaited = False
            manager.start()
        if 0 not in readable:
            continue
        read = os.read(0, 4096).decode()
        commands += read or "quit\n"
        while "\n" in commands:
            word, commands = commands.split("\n", 1)
            if word == "start":
                manager.start()
            elif word == "forge":
                for _, fd in manager.stored:
                    os.close(fd)
                manager.stored = [(name, os.open("/dev/null", os.O_RDONLY)) for name, _ in manager.stored]
                say({"forged": len(manager.stored)})
            elif word == "quit":
                if manager.pid:
                    os.kill(manager.pid, signal.SIGKILL)
                    os.waitpid(manager.pid, 0)
                return
            else:
                awaited = awaited or word not in ("SIGHUP", "SIGSTOP", "SIGCONT")
                os.kill(manager.pid, getattr(signal, word))


main()
