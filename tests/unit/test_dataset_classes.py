import pytest

from segdrop.dataset.class_names import ClassNames, is_background, is_void
from segdrop.dataset.class_names import requested as requested_names
from segdrop.dataset.classes import legends
from segdrop.dataset.classes.assignment import IGNORE, ClassReading, read_classes
from segdrop.dataset.classes.value_encoding import Encoding, read_values
from segdrop.errors import DataError
from segdrop.request import TrainRequest

CAMVID = [
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
    "Unlabelled",
]


def read(values: list[int], labels: list[str] | None = None, **request: object) -> ClassReading:
    order = TrainRequest.model_validate(request)
    names = requested_names(order) or (ClassNames("labels.txt", ordered=tuple(labels)) if labels else None)
    return read_classes(values, names, order)


@pytest.mark.parametrize(
    ("values", "num_names", "encoding", "ignored"),
    [
        ([0, 1, 2, 3], None, Encoding.INDEX, ()),
        ([0, 1, 2, 255], None, Encoding.INDEX, (255,)),
        ([0, 1, 255], None, Encoding.BINARY, (255,)),
        ([0, 2, 8, 13, 255], None, Encoding.INDEX, (255,)),
        ([0, 3, 40, 255], 150, Encoding.INDEX, (255,)),
        ([0, 255], None, Encoding.BINARY, ()),
        ([0, 255], 2, Encoding.BINARY, ()),
        ([0, 255], 1, Encoding.BINARY, ()),
        ([0, 1], None, Encoding.BINARY, ()),
        ([0, 128, 255], None, Encoding.LEVELS, ()),
        ([0, 127, 254], None, Encoding.LEVELS, ()),
        ([0, 85, 170, 255], 4, Encoding.LEVELS, ()),
        ([0, 64, 128, 191, 255], None, Encoding.LEVELS, ()),
        ([0, 100, 200], 3, Encoding.LEVELS, ()),
        ([0, 100, 200], None, Encoding.INDEX, ()),
        ([0, 100, 255], None, Encoding.INDEX, ()),
        ([0, 65535], None, Encoding.BINARY, ()),
        ([5, 9], None, Encoding.BINARY, ()),
        ([255], None, Encoding.INDEX, (255,)),
    ],
)
def test_encoding_is_decided_by_the_set_of_values(
    values: list[int], num_names: int | None, encoding: Encoding, ignored: tuple[int, ...]
) -> None:
    reading = read_values(values, num_names, "auto")
    assert (reading.encoding, reading.ignored) == (encoding, ignored)
    assert set(reading.ranks) == set(values) - set(ignored)


def test_labels_exclude_background_unless_something_says_otherwise() -> None:
    reading = read([0, 1, 2], ["cat", "dog"])
    assert reading.names == ("background", "cat", "dog")
    assert reading.issues == ()


@pytest.mark.parametrize("word", ["background", "Background", "_background_", "BG"])
def test_background_word_in_line_one_includes_class_0_without_a_warning(word: str) -> None:
    reading = read([0, 1, 2], [word, "cat", "dog"])
    assert reading.names == (word, "cat", "dog")
    assert reading.issues == ()


def test_one_line_per_value_includes_class_0_with_a_warning_that_names_the_key() -> None:
    reading = read([0, 1, 2], ["ant", "cat", "dog"])
    assert reading.names == ("ant", "cat", "dog")
    (issue,) = reading.issues
    assert issue.code == "classes.background_assumed"
    assert "labels_include_background" in issue.message


def test_request_decides_about_the_background() -> None:
    assert read([0, 1, 2], ["ant", "cat", "dog"], labels_include_background=False).names[0] == "background"
    assert read([0, 1], ["ant", "cat", "dog"], labels_include_background=True).names == ("ant", "cat", "dog")


def test_camvid_reads_as_eleven_classes_and_a_void_one() -> None:
    reading = read(list(range(12)), CAMVID)
    assert reading.names == tuple(CAMVID[:11])
    assert reading.ignore_index == 11
    assert reading.lookup[11] == IGNORE
    assert "labels.txt line 1 (Sky) is class 0: it has one line per value 0..11" in reading.assumptions
    assert "class 'Unlabelled' (value 11) is ignored, by its name" in reading.assumptions


def test_void_class_stays_where_the_request_names_it_or_says_what_is_ignored() -> None:
    assert "Unlabelled" in read(list(range(12)), classes=CAMVID).names
    assert "Unlabelled" in read(list(range(12)), CAMVID, ignore_index=None).names


def test_ignored_value_keeps_the_lines_of_the_others_in_place() -> None:
    reading = read(list(range(12)), CAMVID, ignore_index=11)
    assert reading.names == tuple(CAMVID[:11])
    assert reading.lookup == {value: value for value in range(11)} | {11: IGNORE}


def test_void_class_in_the_middle_leaves_dense_class_ids() -> None:
    reading = read([0, 1, 2, 3], ["ant", "void", "cat", "dog"])
    assert reading.names == ("ant", "cat", "dog")
    assert reading.values == (0, 2, 3)
    assert reading.lookup == {0: 0, 1: IGNORE, 2: 1, 3: 2}


def test_background_rule_is_applied_after_encoding_and_ignore_value() -> None:
    reading = read([0, 255], ["membrane", "cell"])
    assert (reading.names, reading.values, reading.ignore_index) == (("membrane", "cell"), (0, 255), None)
    assert read([0, 1, 2, 255], ["ant", "cat", "dog"]).names == ("ant", "cat", "dog")
    assert read([0, 1, 2, 255], ["ant", "cat", "dog"]).ignore_index == 255


def test_two_values_without_names_are_background_and_foreground() -> None:
    for values in ([0, 255], [0, 1], [0, 7]):
        reading = read(values)
        assert reading.names == ("background", "foreground")
        assert reading.values == tuple(values)
        assert reading.issues == ()


def test_more_values_without_names_are_named_by_number_with_a_warning() -> None:
    reading = read([0, 3, 7])
    assert reading.names == ("class_0", "class_3", "class_7")
    assert [issue.code for issue in reading.issues] == ["classes.assumed"]
    assert read([0, 128, 255]).names == ("class_0", "class_1", "class_2")


def test_names_by_value_in_the_request_are_taken_as_they_are() -> None:
    reading = read([0, 7, 9], classes={"0": "ground", "9": "cat", "7": "dog"})
    assert reading.names == ("ground", "dog", "cat")
    assert reading.lookup == {0: 0, 7: 1, 9: 2}
    assert read([0, 255], classes={"0": "ground", "255": "cell"}).lookup == {0: 0, 255: 1}
    assert read([0, 255], classes={"0": "ground", "1": "cell"}).lookup == {0: 0, 255: 1}
    assert read([0, 1, 255], classes={"0": "ground", "1": "cell"}).ignore_index == 255


def test_value_beyond_the_names_is_unknown() -> None:
    assert read([0, 1, 2, 9], ["cat", "dog"]).unknown == (9,)
    assert read([0, 1, 2, 255], ["cat", "dog"], ignore_index=None).unknown == (255,)


def test_absent_class_of_grey_levels_has_no_value() -> None:
    reading = read([0, 128, 255], ["bg", "cat", "dog", "emu"])
    assert reading.names == ("bg", "cat", "dog", "emu")
    assert reading.values == (0, 128, 255, -1)


@pytest.mark.parametrize(
    "content",
    [
        b"cat\ndog\n", b"\xef\xbb\xbfcat\r\ndog", b"cat\rdog", b"\n cat \n\n\tdog\t\n\n", "cat\ndog".encode("utf-16"),
    ],
)  # fmt: skip
def test_labels_are_read_whatever_the_editor_did(content: bytes) -> None:
    assert legends.parse(content, "labels.txt").ordered == ("cat", "dog")


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"cat\ncat\n", b"\xff\xfa\x80", b"a\x07b\n", b"x" * 300, b"".join(b"%d\n" % i for i in range(300))],
)
def test_unusable_labels_are_a_fault(content: bytes) -> None:
    with pytest.raises(DataError) as caught:
        legends.parse(content, "labels.txt")
    assert [issue.code for issue in caught.value.issues] == ["classes.invalid"]


def test_class_keys_that_are_no_numbers_are_a_fault_of_the_request() -> None:
    with pytest.raises(DataError) as caught:
        read([0, 1], classes={"zero": "a"})
    assert [issue.code for issue in caught.value.issues] == ["request.invalid_value"]


def test_255_classes_are_too_many() -> None:
    with pytest.raises(DataError, match="at most 254"):
        read(list(range(255)))
    assert len(read(list(range(254))).names) == 254


def test_void_and_background_words_are_not_guessed_from_parts() -> None:
    assert is_void("__ignore__")
    assert is_void("Unlabeled")
    assert not is_void("voidness")
    assert not is_background("background noise")
