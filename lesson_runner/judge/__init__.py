"""Whether what the page shows and what happened agree."""
