"""A child of this machine that its parent talks with, line by line, through pipes.

It lives as long as the thread that started it: the kernel ends it with that thread (prctl(2), PR_SET_PDEATHSIG).
"""

import contextlib
import os
import select
import time
from dataclasses import dataclass, field
from typing import Self

from segdrop.execution.local import LocalChild, Pipes, started
from segdrop.execution.runner import Command, End

_BLOCK_BYTES = 1 << 16
#: a child that has closed its output is given so long to end
_LAST_SECONDS = 10.0


@dataclass(slots=True)
class PipedChild:
    """A running child, the end of the pipe that its standard input comes from, and that which its output goes to."""

    child: LocalChild
    to_child: int
    from_child: int
    _pending: bytearray = field(default_factory=bytearray)

    @classmethod
    def start(cls, command: Command, inherited: tuple[int, ...] = ()) -> Self:
        """Starts a child that inherits the descriptors in ``inherited`` under their numbers.

        Its standard error goes to the log of the command. Raises what ``LocalRunner.submit`` does.
        """
        child_reads, to_child = os.pipe()
        from_child, child_writes = os.pipe()
        try:
            child = started(command, time.monotonic(), Pipes(child_reads, child_writes, inherited))
        except BaseException:
            os.close(to_child)
            os.close(from_child)
            raise
        finally:
            os.close(child_reads)
            os.close(child_writes)
        return cls(child, to_child, from_child)

    def send(self, line: bytes) -> None:
        """Writes to the child. One that has gone is noticed where it is read from."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.to_child, line)

    def receive(self, timeout_seconds: float) -> bytes:
        """Returns the next whole line without its end, and nothing once the child has closed its output.

        Raises TimeoutError where no line comes in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while (end := self._pending.find(b"\n")) < 0:
            if not self._has_more(deadline - time.monotonic()):
                raise TimeoutError
            block = os.read(self.from_child, _BLOCK_BYTES)
            if not block:
                return b""  # what was cut off in the middle of a line says nothing
            self._pending += block
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line

    def _has_more(self, wait_seconds: float) -> bool:
        waiting = select.poll()
        waiting.register(self.from_child, select.POLLIN)
        return wait_seconds > 0 and bool(waiting.poll(wait_seconds * 1000))

    def ended(self) -> End:
        """Returns how a child that has closed its output ended; one that does not end by itself is killed."""
        deadline = time.monotonic() + _LAST_SECONDS
        while (end := self.child.poll()) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        end = end or self.child.kill()
        self._close()
        return end

    def kill(self) -> End:
        """Ends the child with SIGKILL, and waits for its death."""
        end = self.child.kill()
        self._close()
        return end

    def _close(self) -> None:
        os.close(self.to_child)
        os.close(self.from_child)
