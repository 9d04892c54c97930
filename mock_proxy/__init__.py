"""A practice proxy that answers on the wire as LiteLLM 1.106.2 does, by small readable rules."""
