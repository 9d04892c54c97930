"""A port for a program that a test starts."""

import socket


def free_port() -> int:
    """A port that nothing listens on. JupyterLab, left to itself, looks for one and listens later:
    two that start at a time find the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
