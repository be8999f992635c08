"""The documented fitness functions, and any load test, on a system that is started here for them.

    __main__.py      `make fitness` and `make loadtest`
    local_target.py  a local system as a target of `loadtest`
    growth.py        what a delivery costs as groups and edges grow

`loadtest` measures and judges; this package only starts a system for it.
"""
