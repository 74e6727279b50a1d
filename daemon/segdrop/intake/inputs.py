"""The inputs among the files of the inbox, each with its request; and the files beside them that are none. Pure.

A ZIP is an input whatever lies beside it. An image or a video is taken only with a request for a prediction beside it,
or where the operator has named a model for those that come without one: else a folder of a dataset that somebody
unpacks in the inbox would be eaten photo by photo. For the same reason a file beside an image that is no request,
such as the annotations that LabelMe keeps in ``photo.json``, keeps that image where it is, whatever the operator has
named. A JSON file of images in base64 is an input by itself; its request is ``NAME.request.json``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from segdrop import input_kinds
from segdrop.input_kinds import InputKind
from segdrop.intake import names, near_misses
from segdrop.intake.json_top import JsonReading, JsonRole
from segdrop.intake.listing import ListedNames
from segdrop.intake.pairing import Pairing, pair

_WITHOUT_ZIP = "a request without its ZIP"
_WITHOUT_INPUT = "a request without its image, video or ZIP"
_KINDS = {InputKind.IMAGE: "an image", InputKind.VIDEO: "a video", InputKind.JSON: "images in JSON"}
_PROPER = {InputKind.JSON: "NAME.request.json"}
_WAITING = {
    kind: f'{words}: put {_PROPER.get(kind, "NAME.json")} with {{"task": "predict", "model": "..."}} beside it'
    for kind, words in _KINDS.items()
}
#: Tasks of ours that are done with ZIPs alone: a request for one of them was meant for us.
_TASKS_OF_ZIPS = frozenset({"train", "evaluate", "compare"})


@dataclass(frozen=True, slots=True)
class Inputs:
    """Tells which files are inputs, which requests they have, and why other files are left alone."""

    kinds: dict[str, InputKind] = field(default_factory=dict)  #: the inputs, by name
    pairing: Pairing = field(default_factory=Pairing)
    left: dict[str, str] = field(default_factory=dict)  #: name → why it stays; there may be thousands
    addressed: dict[str, str] = field(default_factory=dict)  #: likewise, of what was meant for us


def assign(listed: ListedNames, readings: Mapping[str, JsonReading], *, has_default_model: bool = False) -> Inputs:
    """Returns what the files of a listing are. ``readings`` has the JSON files that have been read so far."""
    beside = {names.key(name) for name in (*listed.archives, *listed.media)}
    own = [name for name in listed.requests if _is_input(name, readings.get(name), beside)]
    own_names = frozenset(own)
    wishes = [name for name in listed.requests if name not in own_names]
    found = Inputs(pairing=pair([*listed.archives, *listed.media, *own], wishes))
    found.kinds.update(dict.fromkeys(listed.archives, InputKind.ARCHIVE))
    for name in (*listed.media, *own):
        _judge(found, name, listed, readings, has_default_model=has_default_model)
    for wish in found.pairing.alone:
        found.left[wish] = _why_alone(readings.get(wish))
    return found


def _is_input(name: str, reading: JsonReading | None, beside: Iterable[str]) -> bool:
    """Whether a JSON file is an input by itself. One that may be anything stays with the input of its name."""
    if reading is None:
        return False
    return reading.role is JsonRole.IMAGES or (reading.role is JsonRole.LARGE and names.key(name) not in beside)


def _judge(
    found: Inputs, name: str, listed: ListedNames, readings: Mapping[str, JsonReading], *, has_default_model: bool
) -> None:
    """Take an image, a video or a JSON file of images for an input, or note why it stays."""
    kind = input_kinds.by_name(name) or InputKind.IMAGE
    requests = found.pairing.fitting(name)
    if not requests:
        if has_default_model:
            found.kinds[name] = kind
        else:
            _leave_without_request(found, name, kind, listed, readings)
    elif any(request in listed.irregular or _predicts(readings.get(request)) for request in requests):
        found.kinds[name] = kind
    else:
        _leave_with_others(found, name, requests[0], readings.get(requests[0]))


def _predicts(reading: JsonReading | None) -> bool:
    return reading is not None and reading.predicts


def _leave_without_request(
    found: Inputs, name: str, kind: InputKind, listed: ListedNames, readings: Mapping[str, JsonReading]
) -> None:
    """Note that an input waits for its request, and which file may have been meant as that."""
    found.left[name] = _WAITING[kind]
    for other in listed.like_requests.get(near_misses.core(names.stem(name)), []):
        if other == name:
            continue
        wanted = names.request_name(name)
        reading = readings.get(other)
        if _predicts(reading):
            found.addressed[other] = f"{other} is not read: if it is the request of {name}, call it {wanted}"
        if _predicts(reading) or reading is None:
            found.left[name] = f"{_KINDS[kind]} without its request: if {other} is meant, call it {wanted}"


def _leave_with_others(found: Inputs, name: str, request: str, reading: JsonReading | None) -> None:
    """Note why an input stays beside a file that is no request for a prediction, and why that file stays."""
    if reading is None:
        found.left[name] = f"{request} beside it is yet to be read"
        return
    if reading.task in _TASKS_OF_ZIPS:
        why = f'{request} asks for "{reading.task}", which takes a ZIP; with an image or a video it is "predict"'
        found.addressed.update({name: why, request: why})
        return
    what = _what(reading)
    found.left[name] = f"{request} beside it is {what}, and no request for a prediction"
    found.left[request] = f"{what}, and no request for a prediction: pack a dataset as a ZIP"


def _what(reading: JsonReading) -> str:
    """Returns in words what a JSON file is that is no request for a prediction."""
    match reading.role:
        case JsonRole.ANNOTATIONS:
            return reading.detail
        case JsonRole.UNREADABLE:
            return f"unreadable ({reading.detail})"
        case JsonRole.NO_OBJECT:
            return "no JSON object in UTF-8"
        case JsonRole.LARGE | JsonRole.IMAGES:
            return "larger than a request"
        case JsonRole.REQUEST:
            return 'without "task": "predict"'


def _why_alone(reading: JsonReading | None) -> str:
    """Returns why a JSON file stays that no input is there for."""
    if reading is None or reading.role in (JsonRole.REQUEST, JsonRole.NO_OBJECT):
        return _WITHOUT_INPUT if _predicts(reading) else _WITHOUT_ZIP
    return f"{_what(reading)}, and no request: pack a dataset as a ZIP"
