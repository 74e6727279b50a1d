"""Files that name classes: each kind by an honest example, and what is wrong with the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.dataset.class_names import ClassNames, requested
from segdrop.dataset.classes import colours, legends
from segdrop.dataset.masks import palette
from segdrop.dataset.masks.mask_keys import COLOUR
from segdrop.errors import DataError
from segdrop.request import TrainRequest


def parsed(text: str, name: str = "labels.txt") -> ClassNames:
    return legends.parse(text.encode(), name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "sky 1 2 3\nroad sign 4 5 6\n"),
        ("labels.txt", "sky: 1, 2, 3\r\nroad sign: 4, 5, 6\r\n"),
        ("label_colors.txt", "1 2 3\tsky\n4 5 6\t\troad sign\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nsky:1,2,3::\nroad sign:4,5,6::\n"),
        ("class_dict.csv", "name,r,g,b\nsky,1,2,3\nroad sign,4,5,6\n"),
        ("class_dict.csv", '"sky",1,2,3\n"road sign",4,5,6\n'),
    ],
)
def test_colours_and_names_are_found_in_every_kind(name: str, text: str) -> None:
    assert parsed(text, name).colours == ((0x010203, "sky"), (0x040506, "road sign"))


def test_roboflow_classes_have_values() -> None:
    assert parsed("Pixel Value, Class\n0, background\n7, cat\n", "valid/_classes.csv").numbered == (
        (0, "background"),
        (7, "cat"),
    )


def test_names_that_end_in_numbers_are_no_colours_if_others_do_not() -> None:
    assert parsed("type 1 2 3\ncat\n").ordered == ("type 1 2 3", "cat")
    assert parsed("area 300 300 300\nline 1 2 999\n").ordered == ("area 300 300 300", "line 1 2 999")


def test_row_that_is_no_class_is_named() -> None:
    with pytest.raises(DataError, match="row 3"):
        parsed("name,r,g,b\nsky,1,2,3\nroad,x,2,3\n", "class_dict.csv")


@pytest.mark.parametrize("text", ["a 1 1 1\nb 1 1 1\n", "a 1 1 1\na 2 2 2\n"])
def test_colour_or_name_given_twice_is_a_fault(text: str) -> None:
    with pytest.raises(DataError, match="twice"):
        parsed(text)


@given(st.binary(max_size=300), st.sampled_from((*legends.FILE_NAMES, *legends.MAYBE_NAMES)))
def test_any_bytes_are_names_or_a_fault(content: bytes, name: str) -> None:
    try:
        assert len(legends.parse(content, name))
    except DataError as error:
        codes = {issue.code for issue in error.issues}
    else:
        codes = {"classes.invalid"}
    assert codes == {"classes.invalid"}


def test_request_may_give_colours() -> None:
    names = requested(TrainRequest(classes={"#000000": "ground", "#Ff0010": "dog"}))
    assert names is not None
    assert names.colours == ((0, "ground"), (0xFF0010, "dog"))


def test_voc_index_is_the_inverse_of_the_published_palette() -> None:
    """The palette as VOCdevkit's VOClabelcolormap.m builds it."""
    for index in range(256):
        channels, rest = [0, 0, 0], index
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= (rest >> channel & 1) << (7 - bit)
            rest >>= 3
        red, green, blue = channels
        assert palette.index_of(red << 16 | green << 8 | blue) == index
    assert palette.index_of(0xE0E0C0) == 255
    assert palette.index_of(0x123456) is None


def test_names_without_colours_are_not_given_to_colours_by_guess() -> None:
    names = ClassNames("labels.txt", ordered=("a", "b"))
    reading = colours.read_colours({COLOUR + 0x102030: 5, COLOUR + 0x405060: 9}, names)
    assert reading.names is not None
    assert [name for _, name in reading.names.numbered] == ["colour_#405060", "colour_#102030"]
    assert [issue.code for issue in reading.issues] == ["classes.colours_assumed"]
    assert "labels.txt has names, but no colours" in reading.issues[0].message
