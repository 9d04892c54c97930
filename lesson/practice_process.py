"""The practice proxy as a process of its own: `python practice_process.py PORT`.

It prints its address on a line, and requests wait there until it answers. Each line of its standard
input is a key with its alias, as JSON. When it is ready it prints `ready`, answers after the line
`go`, and from then on acknowledges each key with an empty line: a key is known before anybody can
use it. Models that have a recording answer nothing else: what a page shows of them is what they
answered. It ends with its standard input: also when the runner is killed.
"""

import json
import os
import socket
import sys

if __name__ == "__main__":
    # Python put the folder of this file first; what it imports is found one folder up.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

from mock_proxy.server.listener import listen, url

HOST = "127.0.0.1"


def main(preferred_port: int) -> None:
    listener = bound(preferred_port)
    say(url(HOST, listener.getsockname()[1]))
    from mock_proxy import key_store, practice, running

    config = practice()
    keys = key_store(config, HOST)

    def read() -> str:
        line = sys.stdin.readline().rstrip("\n")
        if not line:
            os._exit(0)  # nobody waits for the answers that it may still be giving
        return line

    def know(line: str) -> None:
        text, alias = json.loads(line)
        keys.add(text, key_alias=alias, is_admin=True)

    say("ready")
    while (line := read()) != "go":
        know(line)
    with running(config, keys=keys, listener=listener, only_recorded=True):
        while True:
            know(read())
            say("")


def say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os._exit(0)


def bound(preferred_port: int) -> socket.socket:
    try:
        return listen(HOST, preferred_port)
    except OSError:
        if not preferred_port:
            raise
        return listen(HOST, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
