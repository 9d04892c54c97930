"""The practice proxy as a process of its own: `python practice_process.py PORT`.

It prints its address on a line. Each line of its standard input is the alias of a key, as JSON;
the answer is a line with the key. It ends with its standard input: also when the runner is killed.
"""

import contextlib
import json
import os
import sys

if __name__ == "__main__":
    # Python put the folder of this file first; what it imports is found one folder up.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


def main(preferred_port: int) -> None:
    from mock_proxy import running

    with contextlib.ExitStack() as stack:
        try:
            proxy = stack.enter_context(running(port=preferred_port))
        except OSError:
            if not preferred_port:
                raise
            proxy = stack.enter_context(running())
        with contextlib.suppress(BrokenPipeError):
            print(proxy.url, flush=True)
            for line in sys.stdin:
                print(proxy.new_key(alias=json.loads(line), is_admin=True), flush=True)
        os._exit(0)  # nobody waits for the answers that it may still be giving


if __name__ == "__main__":
    main(int(sys.argv[1]))
