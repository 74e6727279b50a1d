"""The command line. The list of commands is :mod:`segdrop.cli.commands`.

Nothing is imported here before :func:`main` runs: until then, Ctrl-C would end in a traceback.
"""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line to the end of the process; whatever goes wrong becomes one line and an exit code.

    Importing takes half a second. Until that is done, Ctrl-C ends the process as it ends any program that does not look
    after signals: at once, and without a word.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as with nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from segdrop.cli import commands, edge  # noqa: PLC0415  (see above)

    edge.run(commands.app)
