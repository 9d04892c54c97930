"""What the plugin and its items share. Light to import, as the plugin has to be."""

import pytest

NEXT_ITEM = pytest.StashKey["pytest.Item | None"]()
"""What runs after the present item."""


def required_languages(config: pytest.Config) -> list[str]:
    return [name for name in config.getoption("--require-languages").split(",") if name]
