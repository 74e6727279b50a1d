"""A clock that goes when it is told to."""


class Clock:
    """Monotonic seconds: ``clock.now += 1.0``."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
