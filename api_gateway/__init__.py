"""The front door for REST: locations, history, groups and users, the web client and the docs.

    app.py               starts the parts and opens the ports
    parts.py             builds the parts
    settings.py          its settings
    routing.py           one row a route: wiring and OpenAPI both come from it
    public_routes.py     the rows of the public API
    internal_routes.py   the rows of the solution-internal API
    answers.py           the outermost layer: refusals, request ids, CORS, metrics
    traced_requests.py   a span for each request, where traces are wanted
    ready_response.py    an answer, whole, in one write
    held_bytes.py        how many bytes all callers, and each, may make the gateway hold (pure)
    unread_answers.py    limits of answers that clients have not read yet
    bodies.py            limits of bodies that are being read
    access.py            who is calling
    members.py           what members may do, and who may become one
    location.py          which edge a student connects to
    history.py           reading messages
    reading_turns.py     limits of concurrent reads
    posting.py           writing a message in a student's name
    groups.py            creating, joining and leaving groups, and showing them
    group_directory.py   names and creators of groups, folded from the log
    users.py             names and presence of users
    log_writer.py        writes to Kafka within bounds
    fallen_behind.py     detects that this gateway no longer follows the log of members
    stored_progress.py   up to which offset MongoDB holds the log, and waiting for it
    topic_configs.py     detects topics that were changed while services run
    store_reads.py       reads from MongoDB within bounds
    openapi.py           rows to OpenAPI 3.1
    asyncapi_page.py     the events and topics as a page
    pages.py             files for browsers: the web client and Swagger UI

It writes only to Kafka, reads MongoDB, and holds no chat socket.
"""
