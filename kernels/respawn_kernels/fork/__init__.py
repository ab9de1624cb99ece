"""The held child: forked before a cell, asleep, saving itself when it is wanted, within a budget of memory.

No `wait()` of the notebook sees it. It knows neither namespaces nor pickles: what it writes is a callable.
"""
