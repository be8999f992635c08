"""The log becomes MongoDB's documents: batched, each record once, in the log's order.

    app.py            puts the parts together
    settings.py       what a persister can be told
    pipeline.py       the steps in their order: read the guarantee there
    group_reader.py   consume: one membership in the consumer group, and its commits
    positions.py      where reading a partition begins (pure)
    read_records.py   a record becomes a document, a change or a poison record (pure)
    batch.py          what is written in one go (pure)
    handover.py       where reading and writing meet, and memory is bounded
    batch_writer.py   write: messages, folds, and dead letters for what can't be written
    dead_letters.py   poison records go to their topic
    letters.py        the operators' command that lists them and sends them again
    grow.py           the operators' command that gives the log more partitions
    growing_topics.py what that does to Kafka
    erase.py          the operators' command that takes messages and students out of history
    stalls.py         whether reading has stopped (pure)
    outage.py         the same write again, for as long as the store is away
    progress.py       how far the store has got, for the gateway; then the commit

It imports `schemas` and `runtime`, and no other service.
"""
