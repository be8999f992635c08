"""The whole system on one machine, with students in it: `make demo`, and the replay of real chat logs.

    local_system.py      every service a process, on real backing services; tests use it too
    service_process.py   one of them, and when it is ready
    environment.py       (pure) what each service is told
    edge_count.py        (pure) when one more edge is started, and when one is stopped
    edge_scaling.py      does so, as the dispatcher wants
    fill.py              groups, memberships and names, written through the internal API
    university.py        (pure) a small university, the same for the same seed
    small_talk.py        (pure) what students say, and when
    campus.py            `make demo`: students who chat, and one line a second
    figures.py           (pure) the services' metrics as that line
    replay_plan.py       (pure) logs as groups, students, and who says what when
    replay.py            `make demo REPLAY=`: says it all, then reads it all back
    verdict.py           (pure) what was sent, acked, received and stored: is it right?
    progress_bar.py      how far the replay is, on a terminal and in a file

Services are started and spoken to as anybody else would; none is imported.
"""
