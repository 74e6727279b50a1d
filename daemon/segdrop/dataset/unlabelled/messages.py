"""What the decoding child tells its parent: one line of JSON for each message, on the child's standard output."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from segdrop.errors import Issue
from segdrop.record import Record


class _Message(Record):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Opened(_Message):
    """The input is open. The first message."""

    message: Literal["opened"] = "opened"
    count: int | None  #: number of images as promised; None where nothing is


class Begun(_Message):
    """An image is about to be decoded: where the child dies next, it died of this one."""

    message: Literal["begun"] = "begun"
    index: int
    name: str


class Decoded(_Message):
    """An image is in the memory of a slot: (height, width, 3) uint8, then its truth, if any, (height, width) uint8."""

    message: Literal["decoded"] = "decoded"
    index: int
    name: str
    stem: str
    slot: int
    height: int
    width: int
    has_truth: bool = False
    seconds: float | None = None


class Skipped(_Message):
    """An image cannot be read, and is left out."""

    message: Literal["skipped"] = "skipped"
    index: int
    name: str
    issue: Issue


class Ended(_Message):
    """There are no more images. The last message."""

    message: Literal["ended"] = "ended"
    issues: tuple[Issue, ...]  #: about the input as a whole


Message = Opened | Begun | Decoded | Skipped | Ended
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="message")])


def written(message: Message) -> bytes:
    """Returns the line of a message, with its end."""
    return message.model_dump_json().encode() + b"\n"


def read(line: bytes) -> Message:
    """Returns the message in a line. Raises ``ValueError`` where there is none."""
    return _ADAPTER.validate_json(line)
