"""The `lesson` command: a module per subcommand; it joins `lesson_runner` and `mock_proxy`."""
