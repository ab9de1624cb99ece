"""Random notebooks, what their variables really are, and processes that run, store and restore them."""
