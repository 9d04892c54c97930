"""Verify that the code of a Carpentries Workbench lesson runs and prints what its pages show.

Data flows one way: page → `Episode` → notebook → `Execution` → `Result` → report.
"""

LANGUAGES = ("python", "r", "bash")
"""The languages that run, in the order of every report."""

ALIASES = {"py": "python", "python3": "python", "sh": "bash", "shell": "bash"}
"""Other names of theirs."""

BLOCK_SECONDS = 60
"""How long a block may run unless the call says otherwise."""
