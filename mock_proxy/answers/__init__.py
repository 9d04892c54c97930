"""Answers made by small readable rules."""
