"""Backing services and processes on one machine, for the demo, the tests and developers.

backing.py          Kafka and the store, each by the first way that works here
ways.py             (pure) the four ways, and which is the first
service.py          what may be done to a backing service, and one that is a process of ours
given.py            one that somebody else runs
containers.py       both as containers
kafka_native.py     Kafka's own brokers as processes
kafka_classes.py    lets them start sooner
kafka_in_memory.py  a broker that keeps nothing
kafka_probe.py      whether a broker serves clients
store_process.py    a store as a process
processes.py        child processes that can be stopped, killed and frozen, and never outlive us
die_with_parent.py  sees to the last
restartable.py      such a process as a part of the system: started once it is ready
ports.py            free ports
http_get.py         asks what listens there
signals.py          what ends a command of this machine
run_folder.py       a folder for the length of a run
"""
