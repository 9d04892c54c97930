"""The practice proxy as the environment of a lesson's code.

Light to import: pytest imports this with the lesson's `conftest.py`, also where no page runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lesson_runner.verify import EnvironmentFor


@contextlib.contextmanager
def practice_environment(preferred_port: int = 0) -> Iterator[EnvironmentFor]:
    """One proxy on a free port; a fresh key, with counters of its own, for every notebook.

    The preferred port is taken if it is free: outputs then show an address that people know.

    Whoever practises alone holds the practice proxy's master key, and may make further keys;
    so may the notebooks' keys.

    A master key that the caller's environment holds is not read: it belongs to another proxy.
    """
    from mock_proxy import running

    with contextlib.ExitStack() as stack:
        try:
            proxy = stack.enter_context(running(port=preferred_port))
        except OSError:
            if not preferred_port:
                raise
            proxy = stack.enter_context(running())

        def environment(path: str, language: str) -> dict[str, str]:
            key = proxy.new_key(alias=f"{path} {language}", is_admin=True)
            return {"LITELLM_BASE_URL": proxy.url, "LITELLM_API_KEY": key}

        yield environment
