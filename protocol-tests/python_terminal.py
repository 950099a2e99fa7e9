"""Runs a program at a terminal of its own and answers its questions: `python_terminal.py ANSWERS PROGRAM ARGS…`, ANSWERS being JSON,
a list of [question, what is typed]. Nothing is typed before the terminal has stopped showing it. Prints what a person would have seen,
how the program ended, and whether the terminal shows what is typed again, as JSON."""

import json
import os
import pty
import sys
import termios
import time

answers, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)


def shows_input():
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


seen = b""


def read():
    """More of what is shown; false: the program has ended."""
    global seen
    try:
        piece = os.read(terminal, 4096)
    except OSError:  # Linux' way to say that nobody has the other end
        return False
    seen += piece
    return bool(piece)


for question, typed in json.loads(answers):
    asked = len(seen)
    while question.encode() not in seen[asked:] and read():
        pass
    while shows_input():
        time.sleep(0.002)  # there is no event for it
    os.write(terminal, typed.encode())
while read():
    pass
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({"seen": seen.decode(), "status": status, "shows_input": shows_input()}))
