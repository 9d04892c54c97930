"""LiteLLM's own forms: bodies, headers, error texts, tokens and prices."""
