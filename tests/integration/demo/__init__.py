"""The local runner, the demo and the replay, with every service a real process."""
