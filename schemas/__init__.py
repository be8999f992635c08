"""The words that services share: records, events, requests, documents and refusals, as models.

    up_number.py      UP numbers, and the point in [0, 1) that each stands for
    ids.py            the shapes of group and message ids
    refusals.py       the one table of errors
    topics.py         the topics: names, retention, partitions
    log_records.py    what stands in Kafka, and how it is encoded
    assignments.py    the dispatcher's table: which edge holds which shard
    client_events.py  what clients and edges say to each other over Socket.IO
    api.py            what the REST APIs accept and answer
    json_schema.py    models as JSON Schema, for these documents
    asyncapi.py       events and records as an AsyncAPI document
    documents.py      what stands in MongoDB

Nothing here does I/O, and nothing here imports another package of the project.
"""
