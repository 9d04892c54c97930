"""What learners take home: pages → notebooks and documents."""

from lesson_runner.run.slow_imports import defer_iri_grammar

defer_iri_grammar()  # before anything of this package brings jsonschema
