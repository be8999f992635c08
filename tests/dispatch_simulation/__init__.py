"""``python -m tests.dispatch_simulation``: the leader's own code over edges and people that are numbers only.

    population.py   where people stand on the circle
    fleet.py        edges: who is connected to which, and what they report
    scenarios.py    what happens, second by second
    run.py          one scenario: reports in, tables out, figures of each second
    curve.py        how long a decision takes by the number of edges
    picture.py      the figures, drawn

It starts nothing and touches nothing but its report. Times are CPU times of this process.
"""
