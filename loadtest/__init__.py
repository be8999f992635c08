"""Students as programs: what load tests, replays and the demo use to behave like many clients.

    irc_logs.py      (pure) real chat logs as messages
    websocket.py     (pure) the client's side of RFC 6455, as far as a Socket.IO client needs it
    seen_frames.py   (pure) a frame that was parsed for one student is known for all others
    outbox.py        (pure) what a student has yet to get acked, and when it is tried again
    connection.py    one Socket.IO connection by websocket
    rest.py          the public REST API
    chat_client.py   a student: connects where the location says, resumes, sends until acked

Only the public contracts are touched: HTTP, Socket.IO, and `schemas` for their shapes.
"""
