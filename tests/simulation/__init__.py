"""The whole system in one event loop over a simulated log, store, network and clock, driven by one seed.

    python -m tests.simulation --seeds 1000        look for a seed that breaks a promise
    python -m tests.simulation --seed 17           run one seed again, and say what happens in it

`world.py` puts the parts together, `storm.py` hurts them, and `verdict.py` says which promises were kept.
What decides is production code; what is simulated is what it stands on: `simulated_loop.py`,
`simulated_log.py`, `simulated_producer.py`, `simulated_store.py`, `network.py`.
"""
