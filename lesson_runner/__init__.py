"""Verify that the code of a Carpentries Workbench lesson runs and prints what its pages show.

Data flows one way: page → `Episode` → notebook → `Execution` → `Result` → report.
"""
