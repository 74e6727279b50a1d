"""Tell systemd how we are: sd_notify(3) is one datagram, and needs no library. Silent without systemd."""

import os
import socket


class Notifier:
    """Sends messages to the service manager named in ``$NOTIFY_SOCKET``."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")
        self._ready = False

    def alive(self, status: str) -> None:
        """Tells that the daemon is ready (once), the status line, and a sign of life for the watchdog."""
        message = [f"STATUS={_one_line(status)}", "WATCHDOG=1"]
        if not self._ready:
            message.insert(0, "READY=1")
        self._ready = self._send("\n".join(message)) or self._ready

    def stopping(self, extend_seconds: float) -> None:
        """Tells that the daemon stops, and how much time that may still take."""
        self._send(f"STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC={int(extend_seconds * 1e6)}")

    def _send(self, message: str) -> bool:
        """Whether it was taken. A service manager that does not listen for a moment hears the next one."""
        if not self._address:
            return False
        # a leading @ stands for the abstract namespace
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto(message.encode("utf-8", "replace"), socket.MSG_DONTWAIT, address)
        except OSError:
            return False
        return True


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
