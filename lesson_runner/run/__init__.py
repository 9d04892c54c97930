"""What happens: blocks → kernels → what happened. The only edge to Jupyter and processes."""

from lesson_runner.run.slow_imports import defer_iri_grammar

defer_iri_grammar()  # before anything of this package brings jsonschema
