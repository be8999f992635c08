"""Code that every service needs, and nothing else.

    settings.py        the settings that services share
    read_settings.py   how settings are read, and shown by --help
    service.py         start, supervised background work, signals, stop within a deadline
    open_files.py      raises and checks the limit of open files
    bounded_runner.py  a web server with a bounded number of connections
    bounded_parser.py  bounds the heads of requests
    bodies.py          reads bodies, and writes answers, within a time
    health.py          /healthz, /readyz and /metrics on the ops port
    logs.py            the log files and the lines on stdout
    stdout_lines.py    writes the latter, without waiting for their reader
    access_log.py      one line a request, written in batches
    metrics.py         every metric of the system, one row each
    budgets.py         rate limits with a burst, also for requests to the log (pure)
    bearer.py          the token in an Authorization header
    tokens.py          verifies tokens: who their bearer is
    kafka.py           Kafka clients, and which partition a key has
    aiokafka_mends.py  what we mend in the Kafka client
    kafka_tls.py       certificates for connections to the brokers
    kafka_topics.py    creates missing topics, and checks existing ones
    log_reader.py      reads a whole topic, without a consumer group
    log_folds.py       reads records of compacted topics, and skips bad ones
    memberships.py     who is in which group, folded from the log
    assignments.py     which edge holds which shard: the newest table in the log
    refusing.py        makes a refusal's answer, log line and count
    tracing.py         turns traces on
    spans.py           spans: the only place that knows OpenTelemetry
    mongo.py           the store: no other file of a service knows the MongoDB driver

It imports `schemas` and no service.
"""
