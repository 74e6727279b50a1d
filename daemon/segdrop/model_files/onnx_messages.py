"""Reads of an ONNX file what has to be known before it is run: its operators, external data, inputs, and metadata.

The file is a protobuf message, walked here field by field; weights are stepped over, so that a model of gigabytes
costs no memory. Field numbers: ONNX 1.23, ``onnx/onnx.proto``; wire format: protobuf's "Encoding".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_TEXT_BYTES = 1 << 20
_MOST_VARINT_BITS = 64
_MOST_NESTING = 32
_EXTERNAL = 1


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of the graph. Sides of the shape that are not fixed are None."""

    name: str
    element: int  #: ``TensorProto.DataType``
    shape: tuple[int | None, ...] | None


@dataclass(slots=True)
class Summary:
    """What an ONNX file says, without its weights."""

    metadata: dict[str, str] = field(default_factory=dict)
    operators: set[tuple[str, str]] = field(default_factory=set)  #: domain and name; of all graphs and functions
    functions: set[tuple[str, str]] = field(default_factory=set)  #: operators that the file defines by other ones
    external: list[str | None] = field(default_factory=list)  #: places of tensors' data; None where none is named
    producers: dict[str, str] = field(default_factory=dict)  #: value → operator that gives it, in the main graph
    inputs: list[Value] = field(default_factory=list)  #: less those that have a value in the file
    outputs: list[Value] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int


def read(stream: IO[bytes]) -> Summary:
    """Returns what an ONNX file says; raises ``ValueError`` where it is none."""
    summary = Summary()
    walker = _Walker(stream, summary)
    end = stream.seek(0, 2)
    stream.seek(0)
    graphs = 0
    for number, value in walker.fields(_Span(0, end)):
        match number, value:
            case 7, _Span():
                graphs += 1
                walker.graph(value, depth=0)
            case 14, _Span():
                walker.metadata(value)
            case 20, _Span():
                raise ValueError("it is a training graph")
            case 25, _Span():
                walker.function(value)
    if graphs != 1:
        raise ValueError(f"it has {graphs} graphs instead of one: it is no ONNX model, or not all of it")
    return summary


class _Walker:
    def __init__(self, stream: IO[bytes], summary: Summary) -> None:
        self._stream = stream
        self._summary = summary

    def fields(self, span: _Span) -> Iterator[tuple[int, int | _Span]]:
        """Yields number and value of each field of a message. Between two, the stream may be moved."""
        position = span.start
        while position < span.end:
            self._stream.seek(position)
            key = self._varint()
            value: int | _Span = 0
            match key & 7:
                case 0:
                    value = self._varint()
                    position = self._stream.tell()
                case 2:
                    size = self._varint()
                    value = _Span(self._stream.tell(), self._stream.tell() + size)
                    position = value.end
                case 1 | 5 as wire:
                    position = self._stream.tell() + (8 if wire == _FIXED64 else 4)
                case _:
                    raise ValueError("it is no protobuf message")
            if position > span.end:
                raise ValueError("it ends in the middle of a message")
            yield key >> 3, value

    def _varint(self) -> int:
        value = 0
        for shift in range(0, _MOST_VARINT_BITS + 6, 7):
            byte = self._stream.read(1)
            if not byte:
                raise ValueError("it ends in the middle of a number")
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:  # noqa: PLR2004  (the bit that says that more follow)
                return value
        raise ValueError("it is no protobuf message")

    def _text(self, span: _Span) -> str:
        if span.end - span.start > _MOST_TEXT_BYTES:
            raise ValueError("it has a text of more than a megabyte")
        self._stream.seek(span.start)
        return self._stream.read(span.end - span.start).decode("utf-8", "replace")

    def _texts(self, span: _Span, *numbers: int) -> list[str]:
        """Returns the texts of a message's fields, empty where there is none."""
        found = dict.fromkeys(numbers, "")
        for number, value in self.fields(span):
            if number in found and isinstance(value, _Span):
                found[number] = self._text(value)
        return [found[number] for number in numbers]

    def metadata(self, span: _Span) -> None:
        key, value = self._texts(span, 1, 2)
        self._summary.metadata[key] = value

    def function(self, span: _Span) -> None:
        name, domain = self._texts(span, 1, 10)
        self._summary.functions.add((domain, name))
        for number, value in self.fields(span):
            if number == 7 and isinstance(value, _Span):  # noqa: PLR2004
                self._node(value, depth=1)

    def graph(self, span: _Span, depth: int) -> None:
        """Takes note of a graph, and of those inside it (the branches of If, the body of Loop)."""
        if depth > _MOST_NESTING:
            raise ValueError("its graphs are nested too deeply")
        inputs: list[Value] = []
        constants: set[str] = set()
        for number, value in self.fields(span):
            match number, value:
                case 1, _Span():
                    self._node(value, depth)
                case 5, _Span():
                    constants.add(self._tensor(value))
                case 15, _Span():
                    constants.update(self._sparse_tensor(value))
                case 11, _Span() if depth == 0:
                    inputs.append(self._value(value))
                case 12, _Span() if depth == 0:
                    self._summary.outputs.append(self._value(value))
        self._summary.inputs += [value for value in inputs if value.name not in constants]

    def _node(self, span: _Span, depth: int) -> None:
        operator, domain = self._texts(span, 4, 7)
        self._summary.operators.add((domain, operator))
        for number, value in self.fields(span):
            match number, value:
                case 2, _Span() if depth == 0:
                    self._summary.producers[self._text(value)] = operator
                case 5, _Span():
                    self._attribute(value, depth)

    def _attribute(self, span: _Span, depth: int) -> None:
        for number, value in self.fields(span):
            match number, value:
                case ((5 | 10), _Span()):
                    self._tensor(value)
                case ((6 | 11), _Span()):
                    self.graph(value, depth + 1)
                case ((22 | 23), _Span()):
                    self._sparse_tensor(value)

    def _sparse_tensor(self, span: _Span) -> list[str]:
        return [self._tensor(value) for n, value in self.fields(span) if n in (1, 2) and isinstance(value, _Span)]

    def _tensor(self, span: _Span) -> str:
        """Takes note of where a tensor's data are, and returns its name."""
        name, is_external, location = "", False, None
        for number, value in self.fields(span):
            match number, value:
                case 8, _Span():
                    name = self._text(value)
                case 13, _Span():
                    is_external = True
                    key, text = self._texts(value, 1, 2)
                    location = text if key == "location" else location
                case 14, int():
                    is_external = is_external or value == _EXTERNAL
        if is_external:
            self._summary.external.append(location)
        return name

    def _value(self, span: _Span) -> Value:
        name, element, shape = "", 0, None
        for number, value in self.fields(span):
            match number, value:
                case 1, _Span():
                    name = self._text(value)
                case 2, _Span():
                    for kind, tensor in self.fields(value):
                        if kind == 1 and isinstance(tensor, _Span):
                            element, shape = self._tensor_type(tensor)
        return Value(name, element, shape)

    def _tensor_type(self, span: _Span) -> tuple[int, tuple[int | None, ...] | None]:
        element, shape = 0, None
        for number, value in self.fields(span):
            match number, value:
                case 1, int():
                    element = value
                case 2, _Span():
                    sides = [side for n, side in self.fields(value) if n == 1 and isinstance(side, _Span)]
                    shape = tuple(self._side(side) for side in sides)
        return element, shape

    def _side(self, span: _Span) -> int | None:
        """Returns a side of a shape; None where it is free: a name, or a number that is none (0, -1)."""
        for number, value in self.fields(span):
            if number == 1 and isinstance(value, int):
                return value if 0 < value < 1 << 31 else None
        return None
