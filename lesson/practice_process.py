"""The practice proxy as a process of its own: `python practice_process.py PORT`.

It prints its address on a line, and requests wait there until it answers. Each line of its standard
input is a key with its alias, as JSON. It ends with its standard input: also when the runner is
killed.
"""

import json
import os
import queue
import socket
import sys
import threading

if __name__ == "__main__":
    # Python put the folder of this file first; what it imports is found one folder up.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

from mock_proxy.server.listener import listen, url

HOST = "127.0.0.1"


def main(preferred_port: int) -> None:
    listener = bound(preferred_port)
    # Read from the start: keys that come while the proxy is imported are known when it answers.
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=read, args=(lines,), daemon=True).start()
    try:
        print(url(HOST, listener.getsockname()[1]), flush=True)
    except BrokenPipeError:
        os._exit(0)
    from mock_proxy import key_store, practice, running

    config = practice()
    keys = key_store(config, HOST)

    def know(line: str) -> None:
        if not line:
            os._exit(0)  # nobody waits for the answers that it may still be giving
        text, alias = json.loads(line)
        keys.add(text, key_alias=alias, is_admin=True)

    while not lines.empty():
        know(lines.get())
    with running(config, keys=keys, listener=listener):
        while True:
            know(lines.get())


def bound(preferred_port: int) -> socket.socket:
    try:
        return listen(HOST, preferred_port)
    except OSError:
        if not preferred_port:
            raise
        return listen(HOST, 0)


def read(lines: "queue.SimpleQueue[str]") -> None:
    for line in sys.stdin:
        lines.put(line)
    lines.put("")


if __name__ == "__main__":
    main(int(sys.argv[1]))
