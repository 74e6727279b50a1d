"""``python driver.py run|once|train …``: the real command line, with the stand-ins as children.

Two things are changed, and nothing else: which modules the children run, and how long a pause lasts.
"""

import functools

from segdrop import cli, service
from segdrop.pipeline import Modules

if __name__ == "__main__":
    modules = Modules(check="held_check", training="standin")
    cli.serve.Service = functools.partial(service.Service, modules=modules)  # type: ignore[misc,assignment]
    service._PAUSE_SECONDS = 1.0
    cli.main()
