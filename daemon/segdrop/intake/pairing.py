"""Requests and the inputs that they belong to. Pure.

Windows and macOS know one name where Linux knows several, and people type it in either. So names are compared without
case; but where several fit, a guess could train for hours on the wrong settings: then the input waits until people say.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from segdrop.intake import names


@dataclass(frozen=True, slots=True)
class Pairing:
    """Tells which request belongs to which input, and which to none."""

    requests: dict[str, str] = field(default_factory=dict)  #: input → its request
    uncertain: dict[str, str] = field(default_factory=dict)  #: input → why it is not certain which request it has
    left: dict[str, str] = field(default_factory=dict)  #: request → why it was passed over
    alone: tuple[str, ...] = ()  #: requests whose input is yet to come, as it should
    by_key: dict[str, list[str]] = field(default_factory=dict)  #: all requests, by what their names are compared by

    def fitting(self, name: str) -> list[str]:
        """Returns the request of an input, or those among which it is not certain; none where it goes without."""
        if name in self.requests:
            return [self.requests[name]]
        return self.by_key.get(names.input_key(name), []) if name in self.uncertain else []

    def meant_for_earlier(self, claimed: Iterable[str]) -> set[str]:
        """Returns the requests that fit ZIPs which are gone at least as well as the one they lie beside now."""
        if not (claimed := list(claimed)):
            return set()
        beside = {request: archive for archive, request in self.requests.items()}
        return {
            request
            for archive in claimed
            for request in self.by_key.get(names.input_key(archive), ())
            if (distance := _distance(archive, request)) < len(_FORMS)
            and (request not in beside or distance <= _distance(beside[request], request))
        }


def _as_written(name: str) -> tuple[str, bool, bool]:
    """Returns a form in which ``a.json`` belongs to ``a.zip`` sooner than to ``a.ZIP``."""
    stem, _, suffix = name.rpartition(".")
    return stem, suffix.isupper(), suffix.islower()


def _but_for_the_suffix(name: str) -> str:
    return name.rpartition(".")[0]


#: The closest match wins.
_FORMS: tuple[Callable[[str], object], ...] = (_as_written, _but_for_the_suffix, names.stem, names.key)


def _compared(name: str) -> str:
    """Returns the name of an input as it is compared with those of requests: ``a.request.json`` for ``a.json``."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.request.{suffix}" if suffix.lower() == "json" else name


def _distance(name: str, request: str) -> int:
    """Returns how far an input and a request are apart by their names, ``len(_FORMS)`` where they have nothing to do
    with each other.
    """
    compared = _compared(name)
    same = (number for number, form in enumerate(_FORMS) if form(compared) == form(request))
    return next(same, len(_FORMS))


def pair(inputs: Iterable[str], requests: Iterable[str]) -> Pairing:
    """Give each input its request. Where several are equally close nothing is given: all of them have to wait."""
    inputs, wishes = sorted(inputs), sorted(requests)
    by_key: defaultdict[str, list[str]] = defaultdict(list)
    for wish in wishes:
        by_key[names.key(wish)].append(wish)
    paired: dict[str, str] = {}
    uncertain: dict[str, str] = {}
    left: dict[str, str] = {}
    for form in _FORMS:
        for some, fitting in _groups(form, inputs, wishes):
            if len(some) == len(fitting) == 1:
                paired[some[0]] = fitting[0]
            else:
                uncertain |= {name: _uncertainty(some, fitting, name) for name in some}
                left |= dict.fromkeys(fitting, _fits_several(some, fitting))
        inputs = [name for name in inputs if name not in paired and name not in uncertain]
        taken = {*paired.values(), *left}
        wishes = [name for name in wishes if name not in taken]
    unwanted = _unwanted(wishes, paired)
    alone = tuple(wish for wish in wishes if wish not in unwanted)
    return Pairing(paired, uncertain, left | unwanted, alone, dict(by_key))


def _groups(
    form: Callable[[str], object], inputs: list[str], wishes: list[str]
) -> Iterable[tuple[list[str], list[str]]]:
    """Returns inputs and requests of one name, where there are both."""
    found: defaultdict[object, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for wish in wishes:
        found[form(wish)][1].append(wish)
    for name in inputs:
        if (group := found.get(form(_compared(name)))) is not None:
            group[0].append(name)
    return [(some, fitting) for some, fitting in found.values() if some]


def _uncertainty(some: list[str], fitting: list[str], name: str) -> str:
    """Returns why it is not certain which request an input has, and what to do."""
    proper = names.request_name(name)
    if len(some) == 1:
        return f"has several requests, {_listed(fitting)}: keep one of them, or call it {proper}"
    if any(names.request_name(other) == proper for other in some if other != name):
        return f"its request is not certain: {_fits_several(some, fitting)}; give one of them another name"
    return f"its request is not certain: {_fits_several(some, fitting)}; call the right one {proper}"


def _fits_several(some: list[str], fitting: list[str]) -> str:
    verb = "fits" if len(fitting) == 1 else "fit"
    return f"{_listed(fitting)} {verb} {_listed(some)}{' alike' if len(some) > 1 else ''}"


def _unwanted(wishes: list[str], paired: Mapping[str, str]) -> dict[str, str]:
    """Returns requests that no input is yet to come for, with the reasons."""
    others = {names.input_key(name): f"a second request beside {request}" for name, request in paired.items()}
    reasons = {wish: others.get(names.key(wish)) or names.order_advice(wish) for wish in wishes}
    return {wish: reason for wish, reason in reasons.items() if reason}


def _listed(some: list[str]) -> str:
    return " and ".join(some)
