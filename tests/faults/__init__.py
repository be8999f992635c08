"""The promises under faults: many recorded clients, real processes that are disturbed, and a judge.

history.py          what clients said and saw, and what the store holds in the end: plain data
checker.py          (pure) which promises that history breaks
counterexample.py   (pure) the smallest broken case, as text
"""
