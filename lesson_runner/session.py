"""Shared by the plugin and its items. Light to import, as the plugin has to be."""

import pytest

NEXT_ITEM = pytest.StashKey["pytest.Item | None"]()
"""The item that runs after the present one."""


def required_languages(config: pytest.Config) -> list[str]:
    return [name for name in config.getoption("--require-languages").split(",") if name]
