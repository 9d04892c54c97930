"""Answers of another OpenAI-compatible server, and their recording."""
