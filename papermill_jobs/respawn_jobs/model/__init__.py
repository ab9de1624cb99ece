"""The words of Respawn as types: what the store keeps, the API answers and the command prints.

It validates and bounds what comes in. It decides nothing and reads no store.

A cell's `index` is its place in the *executed* notebook, counted from 0 over all cells, with the
`injected-parameters` cell that papermill adds (when parameters were given) counted too.
Times are aware UTC datetimes. A `digest` is the BLAKE3 address of a blob (64 hex digits).
"""
