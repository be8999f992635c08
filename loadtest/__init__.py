"""Students as programs: load tests of any deployment, and what replays and the demo use of them.

A student has a mind (what and when), a body (how) and a memory (what came, and whether it is right).

    __main__.py       the commands
    arguments.py      what they are told
    run_command.py    a run as one of them: a line a second, and what came of it, printed and kept
    scenario.py       a load test as data; the ready ones lie in scenarios/
    crowd.py          (pure) who takes part, in which groups
    schedule.py       (pure) the mind: who says what when
    live_crowd.py     the bodies of one process's students
    memory.py         (pure) what was said, acked and received, and what was wrong with it
    shared_batches.py (pure) the messages that many students read at once, counted together
    stored_check.py   whether history has all of it
    crowd_run.py      one run of one process's students
    crowd_process.py  such a process: takes its job, and says how it goes
    news.py           (pure) what it and its starter tell each other
    crew.py           starts such processes, and adds up what they say
    server_side.py    what the servers use meanwhile
    run.py            a run, from scenario to result
    latency.py        (pure) times as counts in buckets
    collector.py      (pure) what processes and servers say becomes the result
    results.py        (pure) the result, and whether objectives held
    report.py         the HTML page, framed by report.html
    plots.py          (pure) its plots
    keeping.py        writes results, whole or not at all
    fitness.py        (pure) the documented fitness functions, and what more students would need
    fitness_run.py    measures them
    probe.py          looks every few seconds whether a student can chat
    availability.py   (pure) uptime, MTBF and MTRS of what it saw
    tokens.py         where students' tokens come from

    irc_logs.py       real chat logs as messages
    websocket.py      (pure) the client's side of RFC 6455, as far as a Socket.IO client needs it
    seen_frames.py    (pure) a frame that was parsed for one student is known for all others
    outbox.py         (pure) what a student has yet to get acked, and when it is tried again
    connection.py     one Socket.IO connection by websocket
    rest.py           the public REST API
    open_files.py     as many sockets as that takes
    chat_client.py    a student: connects where the location says, resumes, sends until acked
    students.py       many of them, connected at a bounded rate

Only the public contracts are touched: HTTP, Socket.IO, and `schemas` for their shapes.
"""
