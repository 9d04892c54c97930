"""The application, its description, and starting and stopping it."""
