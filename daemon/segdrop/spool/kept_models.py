"""The models of earlier trainings: each on record in ``done/<job>/model.json``, and stored in ``outbox/<job>.zip``.

The outbox is a folder of the share. So what is in it is believed only as far as the daemon's own record goes, which
lies where nobody else may write: the SHA-256 of ``model.pth``, written down when it was packed. A result without such
a record, as those of versions that wrote none, has no model here: to record whatever the outbox holds by now would
vouch for a file that anybody may have exchanged.
"""

import difflib
import io
import json
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from segdrop import regular_files, weights_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.record import Record
from segdrop.spool.job import is_job_id
from segdrop.spool.layout import KEPT_MODEL_NAME, RootLayout

#: name of the model in a result ZIP, where it is stored uncompressed
MODEL_NAME = "model.pth"
_SPLIT_NAME = "split.json"
_MOST_SPLIT_BYTES = 64 << 20
_MOST_ANSWER_BYTES = 32 << 20
_MOST_RECORD_BYTES = 4 << 20
#: a local file header before its two texts, and where in it their lengths stand (APPNOTE.TXT, 4.3.7)
_HEADER_BYTES = 30
_NAME_LENGTH, _EXTRA_LENGTH = slice(26, 28), slice(28, 30)
_BLOCK_BYTES = 1 << 20
_MOST_GUESSES = 3


class KeptModel(Record):
    """``done/<job>/model.json``: the model that a training has delivered, as it was packed."""

    job: str
    sha256: str  #: of model.pth, in hexadecimal
    bytes: int  #: of model.pth
    architecture: str
    classes: list[str]  #: by class id
    input_key: str  #: see :func:`input_key`
    owner_uid: int | None  #: the user whose file the input was in the inbox; ``None`` where it was not noted
    finished_at: float  #: seconds since the epoch
    is_sanity: bool = False  #: whether it knows one image alone (``mode: sanity``)


def input_key(input_name: str) -> str:
    """Returns the name of an input less its suffix, in the form in which names are compared.

    Letters are as Unicode's canonical caseless matching has them (D145), as where a request is found for its input.
    """
    folded = unicodedata.normalize("NFD", input_name.rpartition(".")[0]).casefold()
    return unicodedata.normalize("NFC", folded)


def is_record(path: Path) -> bool:
    """Whether a file in ``done/<job>/`` is the record of a model, and not a request that has the same name."""
    if path.name != KEPT_MODEL_NAME:
        return False
    try:
        return _read(path).job == path.parent.name
    except (ValueError, regular_files.NotRegularError):
        return False


def _read(path: Path) -> KeptModel:
    """Returns a record; raises ``ValueError`` where it is none, and what :mod:`segdrop.regular_files` does."""
    with regular_files.open_binary(path) as stream:
        return KeptModel.model_validate_json(stream.read(_MOST_RECORD_BYTES))


@dataclass(frozen=True, slots=True)
class KeptModels:
    """The models of one root. Every method reads the folders anew."""

    outbox: Path
    done: Path

    @classmethod
    def of(cls, layout: RootLayout) -> "KeptModels":
        """Returns the models of a root."""
        return cls(layout.outbox, layout.done)

    @classmethod
    def at(cls, outbox: Path | None, done: Path | None) -> "KeptModels | None":
        """Returns the models of two folders as a spec names them; ``None`` where it names none."""
        return cls(outbox, done) if outbox and done else None

    def find(self, job_id: str) -> KeptModel:
        """Returns the model of a job whose result is in the outbox.

        Raises ``DataError`` (``model.not_found``) with the reason where there is none, and ``OSError`` where a folder
        cannot be read. The model itself is looked at by :meth:`opened` alone.
        """
        model = self._recorded(job_id)
        if model is None or not self.holds(job_id):
            raise DataError([self._missing(job_id, model)])
        return model

    def newest(self, input_name: str, owner_uid: int | None) -> tuple[KeptModel | None, list[str]]:
        """Returns the newest model of an input of that name and owner, and the newer jobs that were passed over.

        Passed over are those whose result is not in the outbox any more: who removes a result withdraws it, and the
        next training goes on from the one before. Runs on one image (``mode: sanity``) do not count as trainings, and
        an input without a known owner has no earlier ones. Raises ``OSError`` where a folder cannot be read.
        """
        sender = (input_key(input_name), owner_uid)
        alike = [model for model in self._all() if (model.input_key, model.owner_uid) == sender]
        withdrawn: list[str] = []
        for model in sorted(alike, key=lambda each: (each.finished_at, each.job), reverse=True):
            if owner_uid is None or model.is_sanity:
                continue
            if self.holds(model.job):
                return model, withdrawn
            withdrawn.append(model.job)
        return None, withdrawn

    @contextmanager
    def opened(self, model: KeptModel) -> Iterator[BinaryIO]:
        """Yields the bytes of a model, made sure of, as a stream that can be sought in.

        Raises ``DataError``: ``model.not_found`` where the result is gone, ``model.changed`` where what is there is not
        what was packed. It is one open file throughout, although another may get its name meanwhile.
        """
        with ExitStack() as stack:
            try:
                member = _stored_member(stack.enter_context(self._result(model.job)), model)
            except FileNotFoundError:
                raise DataError([self._missing(model.job, model)]) from None
            except (zipfile.BadZipFile, KeyError, regular_files.NotRegularError, _ChangedError) as error:
                raise DataError([_changed(model, str(error))]) from error
            if (digest := weights_files.sha256_of(member)) != model.sha256:
                raise DataError([_changed(model, f"its SHA-256 is {digest}, and {model.sha256} is on record")])
            member.seek(0)
            yield member

    def trained_on(self, model: KeptModel) -> frozenset[str]:
        """Returns the names of the images that a model was trained on, by what its result says; empty if it does not.

        Nothing is made sure of: it is good for a warning, and for no more.
        """
        try:
            with self._result(model.job) as stream, zipfile.ZipFile(stream) as archive:
                if archive.getinfo(_SPLIT_NAME).file_size > _MOST_SPLIT_BYTES:
                    return frozenset()
                return frozenset(map(str, json.loads(archive.read(_SPLIT_NAME))["train"]))
        except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError, RecursionError):
            return frozenset()

    def nearest(self, name: str) -> list[str]:
        """Returns the jobs with a result whose ids are most like a name, the best first; at most three."""
        jobs = [path.stem for path in self.outbox.glob("*.zip") if is_job_id(path.stem)]
        by_lower = {job.lower(): job for job in jobs}
        return [by_lower[found] for found in difflib.get_close_matches(name.lower(), list(by_lower), _MOST_GUESSES)]

    def holds(self, job_id: str) -> bool:
        """Whether a job's result ZIP is in the outbox."""
        return self._zip(job_id).is_file()

    # how it is found

    def _zip(self, job_id: str) -> Path:
        return self.outbox / f"{job_id}.zip"

    def _result(self, job_id: str) -> BinaryIO:
        return regular_files.open_binary(self._zip(job_id))

    def _all(self) -> Iterator[KeptModel]:
        for folder in self.done.iterdir():
            if is_job_id(folder.name) and (model := self._recorded(folder.name)):
                yield model

    def _recorded(self, job_id: str) -> KeptModel | None:
        """Returns the record of a job's model; ``None`` where there is none, or none that can be understood."""
        try:
            model = _read(self.done / job_id / KEPT_MODEL_NAME)
        except (FileNotFoundError, NotADirectoryError, regular_files.NotRegularError, ValueError):
            return None
        return model if model.job == job_id else None

    # why it is not found

    def _missing(self, job_id: str, model: KeptModel | None) -> Issue:
        """Returns an issue that says why a job has no model to start from."""
        answer = self._answer(job_id)
        if model is not None:
            message = f"the result of job {job_id} is not in outbox/ any more"
            return Issue.of(Code.MODEL_NOT_FOUND, message, files=[job_id])
        if answer is None:
            return self._unknown(job_id)
        if answer.get("status") != "succeeded":
            return _without_model(job_id, answer)
        if (self.done / job_id).is_dir():
            reason = "it was made by a version that kept no record of its models"
        else:
            reason = "its record in done/ was removed (`retention.done_days`)"
        return Issue.of(
            Code.MODEL_NOT_FOUND,
            f"whether the model of job {job_id} is still the one that was trained cannot be told: {reason}",
            files=[job_id],
            fix="If you trust its result: the operator can put its model.pth into models/, to be named there.",
        )

    def _unknown(self, job_id: str) -> Issue:
        guesses = self.nearest(job_id)
        hint = f"the nearest are {', '.join(guesses)}" if guesses else "and none of a similar name"
        message = f"there is no result of a job {job_id} in outbox/: {hint}"
        fix = f"Name {guesses[0]}, if that is what is meant." if guesses else None
        return Issue.of(Code.MODEL_NOT_FOUND, message, files=[job_id], fix=fix)

    def _answer(self, job_id: str) -> dict[str, Any] | None:
        """Returns what the outbox says about a job; ``None`` where there is nothing, or nothing of ours."""
        try:
            with regular_files.open_binary(self.outbox / f"{job_id}.json") as stream:
                answer = json.loads(stream.read(_MOST_ANSWER_BYTES))
        except (FileNotFoundError, regular_files.NotRegularError, ValueError, RecursionError):
            return None
        return answer if isinstance(answer, dict) and answer.get("job") == job_id else None


def _without_model(job_id: str, answer: dict[str, Any]) -> Issue:
    """Returns an issue about a job that has ended without a model of its own."""
    message = f"job {job_id} has no model: it is {str(answer.get('status'))[:20]}"
    earlier = answer.get("duplicate_of")
    if not isinstance(earlier, str) or not is_job_id(earlier):
        return Issue.of(Code.MODEL_NOT_FOUND, message, files=[job_id])
    return Issue.of(Code.MODEL_NOT_FOUND, f"{message} of {earlier}", files=[job_id], fix=f"Name {earlier}.")


def _changed(model: KeptModel, reason: str) -> Issue:
    message = f"{model.job}.zip does not hold the model that was delivered: {reason}"
    return Issue.of(Code.MODEL_CHANGED, message, files=[f"{model.job}.zip"])


class _ChangedError(Exception):
    """A result ZIP is not as we pack one."""


class _Part(io.RawIOBase):
    """A part of a file as a file of its own: a member of a ZIP that is stored as it is."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._stream, self._start, self._size, self._position = stream, start, size, 0

    def readable(self) -> bool:
        """Returns that it can be read."""
        return True

    def seekable(self) -> bool:
        """Returns that positions in it can be chosen."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Goes to a position, and returns it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  (typeshed's WriteableBuffer)
        """Reads as many bytes as the buffer takes, or as are left, and returns how many they were."""
        count = max(0, min(len(buffer), self._size - self._position))
        self._stream.seek(self._start + self._position)
        content = self._stream.read(count)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _stored_member(stream: BinaryIO, model: KeptModel) -> BinaryIO:
    """Returns the model in a result ZIP, in place: nothing is copied.

    Raises ``_ChangedError``, or what zipfile does, where it cannot be the one that was packed.
    """
    with zipfile.ZipFile(stream) as archive:
        member = archive.getinfo(MODEL_NAME)
    if (member.compress_type, member.file_size) != (zipfile.ZIP_STORED, model.bytes):
        raise _ChangedError(f"{MODEL_NAME} has {member.file_size} bytes, and {model.bytes} are on record")
    stream.seek(member.header_offset)
    header = stream.read(_HEADER_BYTES)
    texts = sum(int.from_bytes(header[length], "little") for length in (_NAME_LENGTH, _EXTRA_LENGTH))
    part = _Part(stream, member.header_offset + _HEADER_BYTES + texts, model.bytes)
    return io.BufferedReader(part, _BLOCK_BYTES)
