"""What a request's ``pretrained`` leads to: random weights, a file of weights, or an earlier job's model. No torch.

A job is named by its id, or is the ``previous`` one: the newest that trained on an input of the same name and owner.
Which one that is, is found out when a training starts; the result says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segdrop import weights_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.spool.job import is_job_id
from segdrop.spool.kept_models import KeptModel, KeptModels

PREVIOUS = "previous"
_NOWHERE = "there is no outbox/ and done/ here that it could be in, or they are closed to this user"


@dataclass(frozen=True, slots=True)
class Start:
    """What a training starts from."""

    pretrained: str  #: a job's id; where ``model`` is ``None``, ``auto``, ``none``, or the name of a weights file
    model: KeptModel | None = None
    issues: tuple[Issue, ...] = ()

    def identity(self, architecture: str, weights_dirs: Sequence[Path]) -> str | None:
        """Returns what tells this start from any other, for the fingerprint; ``None`` for random weights.

        Raises ``OSError`` where a file of weights cannot be read.
        """
        if self.model is not None:
            return model_identity(self.model.sha256)
        return weights_files.resolve(self.pretrained, architecture, weights_dirs)


@dataclass(frozen=True, slots=True)
class Sender:
    """Tells whose input it is, by which its ``previous`` training is found."""

    input_name: str  #: as people named it
    owner_uid: int | None


def model_identity(sha256: str) -> str:
    """Returns what tells the start from an earlier model: the same file among the weights is another start."""
    return f"model {sha256}"


def names_job(pretrained: str) -> bool:
    """Whether a request names a job's model, and not a file: no file of weights is called like a job."""
    return is_job_id(pretrained)


def resolve(pretrained: str, architecture: str, earlier: KeptModels | None, sender: Sender | None) -> Start:
    """Returns what a request's ``pretrained`` leads to at this moment.

    Without a previous training, ``previous`` is ``auto``, so that the first input of a series needs no other request.
    Raises ``DataError`` (``model.not_found``, ``model.mismatch``) for an earlier model that cannot be started from, and
    ``OSError`` where a folder cannot be read.
    """
    if pretrained == PREVIOUS:
        return _previous(architecture, earlier, sender)
    if not names_job(pretrained):
        return Start(pretrained)
    if earlier is None:
        raise DataError([Issue.of(Code.MODEL_NOT_FOUND, f"`pretrained` is {pretrained}: {_NOWHERE}")])
    return _from(earlier.find(pretrained), architecture)


def _previous(architecture: str, earlier: KeptModels | None, sender: Sender | None) -> Start:
    if earlier is None or sender is None:
        issue = Issue.of(Code.MODEL_NO_PREVIOUS, f"`pretrained` is previous: {_NOWHERE}: this is as with `auto`")
        return Start("auto", issues=(issue,))
    model, withdrawn = earlier.newest(sender.input_name, sender.owner_uid)
    gone = f" (not in outbox/ any more: {', '.join(withdrawn[:3])})" if withdrawn else ""
    if model is None:
        message = f"no earlier training of this name and owner has its result in outbox/{gone}: this is as with `auto`"
        return Start("auto", issues=(Issue.of(Code.MODEL_NO_PREVIOUS, message),))
    return _from(model, architecture)


def _from(model: KeptModel, architecture: str) -> Start:
    if model.architecture != architecture:
        message = f"the model of job {model.job} is a {model.architecture}, and {architecture} is asked for"
        raise DataError([Issue.of(Code.MODEL_MISMATCH, message, files=[model.job])])
    return Start(model.job, model)


def issues(pretrained: str, architecture: str, models_dir: Path, earlier: KeptModels | None) -> list[Issue]:
    """Returns what is plainly wrong with a request's ``pretrained``, before anything is resolved.

    Which training ``previous`` is may change until this one starts, so there is nothing to be said about it yet.
    Raises ``OSError`` where a folder cannot be read.
    """
    if pretrained in ("auto", "none", PREVIOUS):
        return []
    if names_job(pretrained):
        try:
            resolve(pretrained, architecture, earlier, None)
        except DataError as error:
            return error.issues
        return []
    if weights_files.find(pretrained, [models_dir]) is not None:
        return []
    guesses = earlier.nearest(pretrained) if earlier else []
    hint = f"; jobs with a similar name: {', '.join(guesses)}" if guesses else ""
    message = f"`pretrained` is '{pretrained}', and models/ has no such file{hint}"
    return [Issue.of(Code.REQUEST_WEIGHTS_NOT_FOUND, message)]


def state(pretrained: str, architecture: str, weights_dirs: Sequence[Path], earlier: KeptModels | None) -> str | None:
    """Returns a mark of all that :func:`resolve` and the weights files say, which is another after any change of them.

    Cheap: no file of weights is opened. ``None`` where the start cannot be told, or not before it is made
    (``previous``). Raises ``OSError`` where a folder cannot be looked into.
    """
    if pretrained == PREVIOUS:
        return None
    if not names_job(pretrained):
        return weights_files.state(pretrained, architecture, weights_dirs)
    try:
        start = resolve(pretrained, architecture, earlier, None)
    except DataError:
        return None
    return start.identity(architecture, weights_dirs)
