"""Makes the table suffix → edge: which edge holds which shard of the UP numbers.

    app.py            puts the service together
    settings.py       the settings
    shard_table.py    the rule: a table and an event give a table and its moves (pure)
    shard_draft.py    a table while one event changes it (pure)
    load_rule.py      the rule for load: full edges give parts away, calm ones join them again (pure)
    load_draft.py     a table while load changes it (pure)
    given_back.py     the parts that a silent edge which comes back with its clients gets back (pure)
    load_shares.py    shares for edges that join and leave, by clients, once many are connected (pure)
    ranking.py        edges ordered by a number that changes (pure)
    crowd.py          how many clients each edge has to serve by the table (pure)
    edge_reports.py   the edges' last reports, and which edges are dead (pure)
    log_clock.py      time that passes only while the log can be written and read (pure)
    term.py           a leader's state and decisions (pure)
    leadership.py     takes part in the group: stands by or leads
    leading.py        one term: reads reports, publishes tables
    keep_leader.py    the group's assignor: the leader stays the leader
    ownership.py      whether the group's partition is ours, and where reading it continues
    published.py      the newest table in the log
    routes.py         the operators' routes on the ops port: the table, wishes, and the page in page/
    shown.py          what operators are shown (pure)
    wishes.py         operators' wishes: written to the log, granted by the table

It touches Kafka only, and no client waits for it: gateways and edges follow the table that it publishes.
"""
