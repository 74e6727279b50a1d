"""Whether two jobs ask the same question: the same bytes, asked for the same, from the same weights, by one recipe.

The fingerprint is computed twice. The check computes the one that a job wants, by what is there at that moment; the
training publishes the one of what it truly used. A result answers a job if both are equal.

What a result depends on besides is left out on purpose: the number format where it is chosen by the host, the number of
threads, the processor and the version of torch. They change the last digits and not what was asked for; a machine that
gets more cores would otherwise train everything anew. The result states them under ``environment``.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: Version of the recipe: raise it with every change by which the same request on the same data comes out as another
#: model (a default that ``auto`` stands for, an augmentation, a schedule, the order of the images, how masks are read),
#: and not for what is only faster. It stands here and not in ``training`` because the check needs it, which has no
#: torch. Without it, people who ask again after an upgrade would be sent to what the old recipe made.
RECIPE_VERSION = 2
#: Request keys that are no part of the question: when a job runs; and what ``pretrained`` and ``model`` led to is
#: compared instead.
_NOT_COMPARED = frozenset({"priority", "force", "pretrained", "model"})


def of(input_sha256: str, request: Mapping[str, Any], start: str | None) -> str:
    """Returns the fingerprint of a resolved request on an input, in hexadecimal.

    ``start`` tells what a training starts from, or which model is used: the SHA-256 of a file,
    ``pretrained.model_identity`` of an earlier model's that a training starts from, None for random weights.
    ``request`` is as it was asked for, before a batch was halved: asked again, it would meet the same want of memory,
    and the same result.
    """
    compared = {key: value for key, value in request.items() if key not in _NOT_COMPARED}
    parts = [RECIPE_VERSION, input_sha256, compared, start]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
