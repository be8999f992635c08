"""The whole system on one machine, with students in it: `make demo`, and the replay of real chat logs.

    local_system.py      every service a process, on real backing services; tests use it too
    service_process.py   one of them, and when it is ready
    environment.py       (pure) the environment variables of each service
    edge_count.py        (pure) when one more edge is started, and when one is stopped
    edge_scaling.py      does so, as the dispatcher wants
    fill.py              groups, memberships and names, written through the internal API
    university.py        (pure) a small university, the same for the same seed
    small_talk.py        (pure) messages of students, and when they are sent
    campus.py            `make demo`: students who chat, and one line a second
    figures.py           (pure) the services' metrics as that line
    replay_plan.py       (pure) logs as groups, students and planned messages
    replay.py            `make demo REPLAY=`: sends them all, then checks history
    verdict.py           (pure) compares what was sent, acked, received and stored
    progress_bar.py      progress of the replay, on a terminal and in a file

Services are started and called as from outside; none is imported.
"""
