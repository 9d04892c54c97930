"""A practice proxy for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from proxy_client import Client

from mock_proxy.server import RunningProxy, running


@pytest.fixture(scope="session")
def proxy() -> Iterator[RunningProxy]:
    with running() as running_proxy:
        yield running_proxy


@pytest.fixture
def client(proxy: RunningProxy) -> Iterator[Client]:
    """A client with a fresh key."""
    with Client(proxy.url, proxy.new_key()) as session:
        yield session


@pytest.fixture
def anonymous(proxy: RunningProxy) -> Iterator[Client]:
    """A client without a key."""
    with Client(proxy.url) as session:
        yield session
