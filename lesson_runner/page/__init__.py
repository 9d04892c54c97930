"""What a page says: Markdown text → episode and blocks. Pure."""
