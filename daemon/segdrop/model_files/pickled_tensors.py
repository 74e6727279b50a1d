"""Reads what a model.pth says about itself, without torch and without unpickling it.

``torch.save`` writes a ZIP whose member ``data.pkl`` is a pickle: a program for a stack machine. Here its opcodes are
walked, and only those that build plain values do anything: a name of a class or function is never looked up, and
nothing is called. Tensors become :data:`TENSOR`. A name that no file of tensors needs is an :class:`UnsafeError`.
"""

import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from segdrop.model_files import places

_MOST_PICKLE_BYTES = 32 << 20
#: what a file of tensors names: how tensors are built, their storages and types, and the dictionary they are in
_HARMLESS = re.compile(
    r"torch\._utils _rebuild_(?:tensor|tensor_v2|parameter)|torch\._tensor _rebuild_from_type_v2|torch (?:\w+Storage"
    r"|Size|device|b?float\d*|half|double|u?int\d*|long|bool)|torch\.storage \w*Storage|collections OrderedDict"
)


class UnsafeError(ValueError):
    """The pickle names something that tensors and plain values have no need of; the message says what."""


class _Tensor:
    """Stands for a tensor, or a part of one."""


TENSOR = _Tensor()
_MARK = object()


def read(source: Path | IO[bytes]) -> object:
    """Returns the values in a file of ``torch.save``, with :data:`TENSOR` for every tensor.

    Raises ``UnsafeError``, ``ValueError`` where it is no such file, ``DataError`` (``model.invalid``) where its ZIP is
    damaged, and ``OSError`` as open(2) does.
    """
    with places.open_zip(source) as archive:
        names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(names) != 1 or archive.getinfo(names[0]).file_size > _MOST_PICKLE_BYTES:
            raise ValueError("it is no file of torch.save")
        if any(name.rpartition("/")[2] == "constants.pkl" for name in archive.namelist()):
            raise ValueError("it is a TorchScript model, which is a program")
        try:
            content = archive.read(names[0])
        except zipfile.BadZipFile as error:
            raise ValueError(f"it is damaged: {error}") from error
    return plain_values(content)


def plain_values(content: bytes) -> object:
    """Returns what a pickle builds; raises ``UnsafeError``, or ``ValueError`` where it is damaged or builds more."""
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escape sequences in a text that is refused anyway
            for opcode, argument, _position in pickletools.genops(content):
                machine.do(opcode.name, argument)
        return machine.stack[-1]
    except UnsafeError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"its pickle is damaged, or of another kind ({type(error).__name__})") from error


class _Machine:
    """The stack and the memo of a pickle, for plain values. Opcodes: CPython's ``pickletools.py``."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def do(self, opcode: str, argument: Any) -> None:  # noqa: ANN401  (whatever the opcode has)
        """Carries out one opcode; raises ``UnsafeError`` or ``ValueError`` for one that plain values do not need."""
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _IGNORED:
            pass
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        else:
            raise ValueError(opcode)

    def name(self, argument: str) -> None:
        if not _HARMLESS.fullmatch(argument):
            raise UnsafeError(f"it names {argument.replace(' ', '.', 1)[:100]}")
        self.stack.append(dict if argument == "collections OrderedDict" else TENSOR)

    def stack_name(self, _argument: None) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self.name(f"{module} {attribute}")

    def call(self, _argument: None) -> None:
        """Puts an empty dictionary, or a tensor, in the place of a call's result. The call is not made."""
        self.stack.pop()
        self.stack[-1] = {} if self.stack[-1] is dict else TENSOR

    def drop_state(self, _argument: None) -> None:
        self.stack.pop()

    def persistent(self, _argument: None) -> None:
        self.stack[-1] = TENSOR

    def put(self, argument: int) -> None:
        self._memo[argument] = self.stack[-1]

    def memoize(self, _argument: None) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def get(self, argument: int) -> None:
        self.stack.append(self._memo[argument])

    def tuple_of(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def since_mark(self) -> list[Any]:
        position = len(self.stack) - 1
        while self.stack[position] is not _MARK:
            position -= 1
        values = self.stack[position + 1 :]
        del self.stack[position:]
        return values

    def marked_tuple(self, _argument: None) -> None:
        self.stack.append(tuple(self.since_mark()))

    def append(self, _argument: None) -> None:
        value = self.stack.pop()
        self.stack[-1].append(value)

    def extend(self, _argument: None) -> None:
        values = self.since_mark()
        self.stack[-1].extend(values)

    def set_item(self, _argument: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][key] = value

    def set_items(self, _argument: None) -> None:
        values = self.since_mark()
        self.stack[-1].update(zip(values[::2], values[1::2], strict=True))


_LITERALS = frozenset(
    {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINFLOAT", "FLOAT"}
    | {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1"}
)
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.drop_state,
    "BINPERSID": _Machine.persistent,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": _Machine.marked_tuple,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
}
