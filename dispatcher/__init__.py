"""Keeps the table suffix → edge: which edge holds which shard of the UP numbers.

    app.py            puts the service together
    settings.py       what it can be told
    shard_table.py    the rule: a table and an event give a table and its moves (pure)
    shard_draft.py    a table while one event changes it (pure)
    load_rule.py      the rule for load: full edges split, halves come together again (pure)
    load_draft.py     a table while load changes it (pure)
    given_back.py     what an edge that was silent and comes back with its clients gets back (pure)
    load_shares.py    what edges that come and go take and leave while many are connected (pure)
    ranking.py        edges in the order of a figure that changes (pure)
    crowd.py          how many clients each edge has to serve by the table (pure)
    edge_reports.py   what the edges last said, and which have fallen silent (pure)
    log_clock.py      time that passes only while the log can be written and read (pure)
    term.py           what a leader knows and decides (pure)
    leadership.py     who leads, and for how long
    leading.py        one term: reads reports, publishes tables
    keep_leader.py    the group's rule: who leads goes on leading
    published.py      the table as it stands in the log
    routes.py         what operators can ask on the ops port: the table, wishes, and the page in page/
    shown.py          what they are shown (pure)
    wishes.py         what they ask for: written to the log, granted by the table

It touches Kafka only, and no client waits for it: gateways and edges follow the table that it publishes.
"""
