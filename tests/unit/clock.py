"""Time that only a test lets pass."""


class Clock:
    """A clock that stands still, but for who sleeps by it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
