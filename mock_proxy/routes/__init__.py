"""The proxy's routes: who may enter, and what each answers."""
