"""Virtual keys: what they may use, what they have spent, and the file that keeps them."""
