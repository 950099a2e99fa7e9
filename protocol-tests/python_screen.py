"""Runs a program at a terminal of its own: `python_screen.py ROWS COLUMNS PROGRAM ARGS…`. What it shows goes to standard output as it
comes. From standard input come orders, JSON, one a line: {"type": TEXT} types, {"secret": TEXT} too, as soon as the terminal does
not show what is typed, {"resize": [ROWS, COLUMNS]} makes the terminal another
size, {"signal": NUMBER} sends a signal. At its end `ended STATUS` is printed, and whether the terminal shows what is typed."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

rows, columns, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    # Not before the terminal has its size.
    sys.stdin.buffer.read1(1)
    os.execv(command[0], command)


def shows_input():
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def resize(rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(int(rows), int(columns))
os.write(terminal, b"\n")
sources = [sys.stdin.fileno(), terminal]
orders = b""
while True:
    ready, _, _ = select.select(sources, [], [])
    if terminal in ready:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux' way to say that nobody has the other end
            break
        os.write(sys.stdout.fileno(), piece)
    if sys.stdin.fileno() in ready:
        piece = os.read(sys.stdin.fileno(), 4096)
        if not piece:
            sources.remove(sys.stdin.fileno())
        *whole, orders = (orders + piece).split(b"\n")
        for order in map(json.loads, whole):
            if "secret" in order:
                while shows_input():
                    time.sleep(0.002)  # there is no event for it
                os.write(terminal, order["secret"].encode())
            elif "type" in order:
                os.write(terminal, order["type"].encode())
            elif "resize" in order:
                resize(*order["resize"])
            else:
                os.kill(pid, order["signal"])
echoes = shows_input()
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(f"\nended {status} {echoes}", flush=True)
