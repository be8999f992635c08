"""Students as programs: load tests of any deployment, and what replays and the demo use of them.

A schedule plans what is sent when, clients send it, and a memory judges what is received.

    __main__.py       the commands
    arguments.py      their arguments
    run_command.py    a run as one of them: prints a line a second and the result, and keeps it
    scenario.py       a load test as data; the ready ones lie in scenarios/
    crowd.py          (pure) the students and groups
    schedule.py       (pure) the plan: who connects and sends what when
    live_crowd.py     the clients of one process's students
    memory.py         (pure) what was sent, acked and received, and its faults
    shared_batches.py (pure) batches that many students receive, counted together
    stored_check.py   whether history has all of it
    crowd_run.py      one run of one process's students
    crowd_process.py  such a process: reads its job, and reports each second
    news.py           (pure) the messages between it and its starter
    crew.py           starts such processes, and adds up their seconds
    server_side.py    CPU and memory of the servers meanwhile
    run.py            a run, from scenario to result
    latency.py        (pure) latencies as counts in buckets
    collector.py      (pure) collects seconds and samples into the result
    results.py        (pure) the result, and whether objectives held
    report.py         the HTML page, framed by report.html
    plots.py          (pure) its plots
    keeping.py        writes results atomically
    fitness.py        (pure) the documented fitness functions, and what more students would need
    fitness_run.py    measures them
    probe.py          checks every few seconds whether a student can chat
    availability.py   (pure) uptime, MTBF and MTRS from its checks
    tokens.py         where students' tokens come from

    irc_logs.py       real chat logs as messages
    websocket.py      (pure) the client's side of RFC 6455, as far as a Socket.IO client needs it
    seen_frames.py    (pure) frames that were parsed for one student are cached for all
    outbox.py         (pure) unacked messages, and when they are sent again
    connection.py     one Socket.IO connection by websocket
    rest.py           the public REST API
    open_files.py     raises the limit of open files
    chat_client.py    a student: connects where the location says, resumes, sends until acked
    students.py       many of them, connected at a bounded rate

Only the public contracts are touched: HTTP, Socket.IO, and `schemas` for their shapes.
"""
