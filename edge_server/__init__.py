"""The edge: holds the clients' connections, writes their messages to the log, and delivers the log to them.

app.py opens the ports, parts.py puts the parts together, settings.py has the settings. The other files, in
the order of a message's path:

    gate.py              refuses requests past the bounds, before anything is done for them
    socket_server.py     python-socketio, and what we change of it
    engine_requests.py   a request in the form that engine.io reads
    engine.py            engine.io's server, and what we change of it
    pings.py             (pure) when clients are pinged, and who has not answered
    polls.py             sessions that poll: one request at a time, within bounds
    packet_queue.py      engine.io's queue of a client that polls
    websockets.py        accepts websockets
    direct_websocket.py  reads a websocket, without a waiting task
    coming_over.py       switches a client that polls over to its websocket
    unfinished.py        bounds how much of a message is read before it ends
    reading.py           pauses and resumes reading
    write_through.py     writes engine.io's packets to a websocket
    arrivals.py          bounds the connections before login, in number and time
    handshake.py         logs a client in: checks its token, and its user's rate of connects
    joining.py           joins clients to their rooms, and sends what they have missed
    sessions.py          connect, disconnect and close
    socket_events.py     handles events: the result or the refusal becomes the ack
    publish.py           writes a message to the log; acks its sender when its turn has come
    message_writer.py    writes messages in batches, one of a partition at a time
    log_order.py         (pure) merges acks and consumed records into one order
    delivery.py          gives each record its turn: deduplicates, remembers, delivers
    recent_log.py        (pure) the bounded window of the newest records
    fan_out.py           writes a message, framed once, to every member's transport
    frames.py            (pure) events as bytes on the wire

Clients that belong to another edge are moved there:

    elsewhere.py         where clients belong, by the newest table
    moves.py             (pure) which clients are told to move, when, and which are closed
    moving.py            tells them, and closes those that stay
    drain.py             whether this edge drains: it stops, an operator asked for it, or it is deaf
    cut_off.py           closes all clients, once, if the log does not answer

Beside it: clients.py and rooms.py (the connected clients, and their rooms), catch_up.py (what a room's joiner
has missed), another_log.py (cursors of another log), presence.py (who is shown as online), token_expiry.py,
status_report.py (reports to the dispatcher).
"""
