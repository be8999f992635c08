"""The edge: holds the clients' sockets, writes what they send to the log, hands on what stands in the log.

app.py opens the ports, parts.py puts the parts together, settings.py says what an edge can be told. The way
of a message through the others:

    socket_server.py     python-socketio, and what we change of it
    engine_requests.py   a request as the library wants to see it
    engine.py            engine.io's server, and what we change of it
    pings.py             (pure) when clients are pinged, and who has not answered
    polls.py             a session polls: one request at a time, within bounds
    packet_queue.py      what the library has for a client that polls
    websockets.py        a websocket is accepted
    direct_websocket.py  frames come in, and no task waits
    coming_over.py       a client that polls comes over to its websocket
    unfinished.py        how much of a message may be read before it ends
    reading.py           whether a connection is read
    write_through.py     and what is written to it
    arrivals.py          who may begin to connect, and who has taken too long
    handshake.py         a connection becomes a client: who its user is, and not too often
    joining.py           clients come into rooms, and get what they have missed
    sessions.py          clients come and go
    socket_events.py     an event becomes a call, a refusal becomes an ack; messages go past the libraries
    publish.py           a message goes to the log; its sender is told when its turn has come
    message_writer.py    messages are written in batches, one of a partition on its way at a time
    log_order.py         (pure) whose turn it is: acks and consumed records become one order
    delivery.py          a record's turn: retries are noticed, the window remembers, rooms get it
    recent_log.py        (pure) the bounded window of the newest records
    fan_out.py           one message, framed once, written to every member's transport
    frames.py            (pure) how an event looks on the wire

Who belongs to another edge goes there:

    elsewhere.py         where clients belong, as the newest table says
    moves.py             (pure) who is told when, and who has stayed too long
    moving.py            tells them, and closes those who stay
    drain.py             whether all have to go: this edge stops, or an operator asked for it
    cut_off.py           or the log does not answer: then they are closed, once

Beside it: clients.py and rooms.py (who is here, and in which room), catch_up.py (what a room's joiner has
missed), another_log.py (cursors that this log never gave), presence.py (who is shown as online),
token_expiry.py, status_report.py (tells the dispatcher how full we are).
"""
