"""What every service needs, and nothing else.

    settings.py        the settings that services share
    read_settings.py   how settings are read, and shown by --help
    service.py         start, supervised background work, signals, stop within a deadline
    open_files.py      as many as the machine allows, and whether that is enough
    bounded_runner.py  a web server that holds only so many connections
    bodies.py          bodies are read, and taken by clients, in time
    health.py          /healthz, /readyz and /metrics on the ops port
    logs.py            the log files and the lines on stdout
    access_log.py      a line a request, written together
    metrics.py         every metric of the system, one row each
    budgets.py         so many a second, and so many at once, also requests to the log (pure)
    bearer.py          what an Authorization header bears
    tokens.py          who a token says that its bearer is
    kafka.py           producers, and which partition a key has
    kafka_tls.py       certificates for the way to the brokers
    kafka_topics.py    topics are made where they are missing, and checked where they exist
    log_reader.py      reading a topic whole, without a consumer group
    log_folds.py       reading records of compacted topics, but for those that cannot be read
    memberships.py     who is in which group, folded from the log
    assignments.py     which edge holds which shard: the newest table of the log
    refusing.py        a refusal becomes an answer, a log line and a count
    tracing.py         whether traces are made
    spans.py           what they are made of: the only place that knows OpenTelemetry
    mongo.py           the only place that knows the MongoDB driver

It imports `schemas` and no service.
"""
