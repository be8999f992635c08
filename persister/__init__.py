"""The log becomes MongoDB's documents: batched, each record once, in the log's order.

    app.py            puts the parts together
    settings.py       its settings
    pipeline.py       the steps in their order, and the guarantee
    group_reader.py   consume: one membership in the consumer group, and its commits
    positions.py      where reading a partition starts (pure)
    read_records.py   a record becomes a document, a change or a poison record (pure)
    batch.py          what is written in one go (pure)
    handover.py       one batch fills while another is written: bounds memory
    batch_writer.py   write: messages, folds, and dead letters for what can't be written
    dead_letters.py   poison records go to their topic
    letters.py        the operators' command that lists them and sends them again
    grow.py           the operators' command that gives the log more partitions
    growing_topics.py how it changes Kafka
    erase.py          the operators' command that takes messages and students out of history
    stalls.py         detects that reading has stopped (pure)
    outage.py         retries a write for as long as the store is away
    progress.py       up to which offset is stored, for the gateway; before the commit

It imports `schemas` and `runtime`, and no other service.
"""
