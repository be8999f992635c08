"""The promises under faults: many recorded clients, real processes that are disturbed, and a judge.

    history.py          what clients said and saw, and what the store holds in the end: plain data
    checker.py          (pure) which promises that history breaks
    counterexample.py   (pure) the smallest broken case, as text
    recording.py        students that write down all that happens to them
    crowd.py            many of them, in groups, chatting by a seed
    stage.py            the system that is disturbed: a handle to every process
    tcp_proxy.py        a network between two of them that can be made bad
    dying_persister.py  a persister that dies at a given step
    flooder.py          clients that keep no rules
    service_figures.py  what a service's metrics, and the kernel, say of it
    outcomes.py         (pure) what a fault did, as a row of the report

Each ``test_*.py`` is a fault. `docs/reliability.md` tells what they prove and how to run them.
"""
