"""The practice proxy as the environment of a lesson's code."""

import contextlib
from collections.abc import Iterator

from lesson_runner.verify import EnvironmentFor
from mock_proxy.server import running


@contextlib.contextmanager
def practice_environment() -> Iterator[EnvironmentFor]:
    """One proxy on a free port; a fresh key, with counters of its own, for every notebook.

    Whoever practises alone holds the practice proxy's master key, and may make further keys;
    so may the notebooks' keys.

    A master key that the caller's environment holds is not read: it belongs to another proxy.
    """
    with running() as proxy:

        def environment(path: str, language: str) -> dict[str, str]:
            key = proxy.new_key(alias=f"{path} {language}", is_admin=True)
            return {"LITELLM_BASE_URL": proxy.url, "LITELLM_API_KEY": key}

        yield environment
