"""The gateway's decisions, without Kafka and MongoDB."""
