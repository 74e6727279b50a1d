"""The commands ``run`` and ``once``: the daemon, with its objects put together."""

import os
import sys
from contextlib import ExitStack

from segdrop import __version__, logs
from segdrop.cli import tables
from segdrop.cli.options import ConfigOption, RootOption, load
from segdrop.errors import Exit
from segdrop.intake import filesystem
from segdrop.intake.watch import Wakeup, watching
from segdrop.service.loop import Service
from segdrop.settings import Settings
from segdrop.spool import permissions
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout


def run(config: ConfigOption = None, root: RootOption = None) -> None:
    """Run the daemon, until SIGTERM or Ctrl-C."""
    sys.exit(serve(load(config, root), until_drained=False))


def once(config: ConfigOption = None, root: RootOption = None) -> None:
    """Process what is in the inbox, then exit: 0 only if every job succeeded and nothing was left there."""
    loaded = load(config, root)
    copied = loaded.intake.model_copy(update={"incomplete_seconds": loaded.intake.settle_seconds})
    sys.exit(serve(loaded.model_copy(update={"intake": copied}), until_drained=True))


def serve(loaded: Settings, *, until_drained: bool, models_root: RootLayout | None = None) -> Exit:
    """Runs the daemon until it is asked to stop or, with ``until_drained``, until nothing is left to do.

    ``models_root`` is the root whose models a request may start from, where that is another than the settings'.
    """
    layout = RootLayout(loaded.root)
    spool_root.open_root(layout, require_sentinel=loaded.service.require_sentinel)
    os.umask(permissions.umask(layout, os.umask(permissions.CLOSED_UMASK)))
    loaded = _suited_to_filesystem(loaded, layout)
    wakeup = Wakeup()
    terminal = tables.terminal(stderr=True)
    with ExitStack() as stack:
        stack.enter_context(spool_root.held(layout))
        stack.enter_context(wakeup.on_signals())
        if loaded.intake.watch:
            stack.enter_context(watching(layout.inbox, wakeup))
        display = None
        if until_drained and terminal.is_terminal:
            display = stack.enter_context(tables.ProgressDisplay(terminal))
        logs.get().info("daemon.started", root=str(loaded.root), pid=os.getpid(), version=__version__)
        return Service(loaded, wakeup, listener=display, models_root=models_root).run(until_drained=until_drained)


def _suited_to_filesystem(loaded: Settings, layout: RootLayout) -> Settings:
    """Network mounts send no file events, and what other machines write there takes longer to settle."""
    found = filesystem.type_of(layout.inbox)
    if not filesystem.is_network(found):
        return loaded
    seconds = max(loaded.intake.settle_seconds, filesystem.NETWORK_SETTLE_SECONDS)
    logs.get().info("inbox.on_network", filesystem=found, watch=False, settle_seconds=seconds)
    intake = loaded.intake.model_copy(update={"watch": False, "settle_seconds": seconds})
    return loaded.model_copy(update={"intake": intake})
