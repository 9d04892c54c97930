"""A practice proxy for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import contract
import pytest
from other_server import OtherServer, other_server
from proxy_client import Client

from mock_proxy.config import load
from mock_proxy.server.run import RunningProxy, running


@pytest.fixture(scope="session")
def proxy() -> Iterator[RunningProxy]:
    with running() as running_proxy:
        yield running_proxy


@pytest.fixture(scope="session")
def older() -> Iterator[RunningProxy]:
    """A practice proxy that answers as LiteLLM 1.106.2."""
    with running(litellm_version="1.106.2") as running_proxy:
        yield running_proxy


@pytest.fixture
def other() -> Iterator[OtherServer]:
    """The server that a proxy hands requests on to."""
    with other_server() as server:
        yield server


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


@pytest.fixture(scope="module")
def recorded_proxy() -> Iterator[RunningProxy]:
    """The mock as the LiteLLM that was recorded, with its configuration and its master key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_MASTER_KEY", contract.MASTER_KEY)
        config = load(contract.DATA / "config.yaml")
    with running(config, litellm_version="1.106.2") as proxy:
        yield proxy
