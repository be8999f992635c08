"""Benchmarks that compare side by side, in one run: what we built, and the bare thing that it is built on.

    __main__.py            which benchmarks, how large; the order of a run
    rounds.py              ours and the reference in turns, so that a noisy machine disturbs both alike
    table.py               (pure) rows, and how they are shown
    processes.py           servers as processes, and the CPU time that each has used
    socket_clients.py      connections that cost the client little
    polling_students.py    students who begin by polling, as the usual clients do
    http_load.py           requests over connections that stay open
    reference_socketio.py  python-socketio alone, as a server
    reference_http.py      an empty aiohttp handler, as a server
    reference_writes.py    a bare loop of writes, as a server

    fan_out.py        CPU a delivery
    message_in.py     a message in, and its ack
    skimming.py       a record for nobody here
    latency.py        from sending to receiving on another edge
    loaded.py         two edges whose members all talk
    store_rate.py     how fast the persister drains a backlog
    history_pages.py  pages of history
    location.py       where to connect
    connecting.py     a connect, and an idle connection
    peer.py           beside centrifuge

Real processes, a real broker and a real store. Nothing here judges: it prints figures.
"""
