"""Lists of classes in every kind of file that people and tools write, alone and beside each other."""

import json
import time
from pathlib import Path

import pytest

from builders import check, members, write_zip
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import legends
from segdrop.dataset.report import CheckReport
from segdrop.errors import DataError

PARK = {0: "lawn", 2: "pond", 1: "path"}
NUMBERED = ((0, "lawn"), (1, "path"), (2, "pond"))
COLOURED = ((0x0A141E, "lawn"), (0x28323C, "path"), (0x46505A, "pond"))
RGB = {"lawn": (10, 20, 30), "path": (40, 50, 60), "pond": (70, 80, 90)}


def parsed(text: str, name: str = "labels.txt") -> ClassNames:
    return legends.parse(text.encode(), name)


# ruff: noqa: E501  (rows of tables)
@pytest.mark.parametrize(
    "line",
    [
        "{0} {1}", "{0}: {1}", "{0},{1}", "{0}\t{1}", "{0} - {1}", "{0}. {1}", "{0}) {1}", "{0};{1}", "{0} = {1}", "{0}|{1}",
        "{1}: {0}", "{1},{0}", "{1}\t{0}", "{1} {0}", "{1} = {0}",
    ],
)  # fmt: skip
def test_a_number_beside_each_name_is_its_value_in_whatever_order(line: str) -> None:
    text = "\n".join(line.format(number, name) for number, name in PARK.items())
    assert parsed(text).numbered == NUMBERED


def test_numbers_may_leave_some_out_and_names_may_have_words_and_numbers() -> None:
    assert parsed("7: parked car\n11: lane 2\n26: lane 3\n").numbered == (
        (7, "parked car"),
        (11, "lane 2"),
        (26, "lane 3"),
    )
    assert parsed("-1: __ignore__\n0: ground\n1: crane\n").numbered == (
        (0, "ground"),
        (1, "crane"),
        (255, "__ignore__"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "lane 1\nlane 2\nlane 3\n",  # as many names, which end in numbers
        "grade 2\nstage 7\n",
        "2x4 timber\n3x6 timber\n",
        "1st floor\n2nd floor\n",
        "path\npond 2\n",
    ],
)
def test_numbers_that_belong_to_names_stay_there(text: str) -> None:
    assert parsed(text).ordered == tuple(text.splitlines())


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("{n} {r} {g} {b} {name}", "label_colors.txt"),
        ("{n}, {r}, {g}, {b}, {name}", "labels.txt"),
        ("{n} {name} {r} {g} {b}", "labels.txt"),
        ("{name} {r} {g} {b} {n}", "labels.txt"),
        ("{r} {g} {b} {name} {n}", "labels.txt"),
        ("{n}: {name} ({r}, {g}, {b})", "classes.txt"),
        ("{n} {name} #{r:02x}{g:02x}{b:02x}", "classes.txt"),
        ('{n} {r} {g} {b} 1 1 1 "{name}"', "labels.txt"),
        ("{name},{r},{g},{b},{n}", "class_dict.csv"),
        ("{n},{name},{r},{g},{b}", "labelmap.csv"),
        ("{n},{r},{g},{b},{name}", "labelmap.csv"),
    ],
)  # fmt: skip
def test_value_and_colour_are_found_in_whatever_columns(line: str, name: str) -> None:
    rows = [
        line.format(n=number, name=title, **dict(zip("rgb", RGB[title], strict=True))) for number, title in PARK.items()
    ]
    found = parsed("\n".join(rows), name)
    assert tuple(sorted(found.colours)) == COLOURED
    assert found.plain is not None
    assert found.plain.numbered == NUMBERED


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("name,r,g,b", "{name},{r},{g},{b}"),
        ("class_name,red,green,blue", "{name},{r},{g},{b}"),
        ("r,g,b,label", "{r},{g},{b},{name}"),
        ("label;r;g;b", "{name};{r};{g};{b}"),
        ("name,color", "{name},#{r:02x}{g:02x}{b:02x}"),
        ("name,rgb,area", '{name},"({r}, {g}, {b})",outdoors'),
        ("", "{name},{r},{g},{b},255"),
        ("", "{name} {r} {g} {b} 255"),
    ],
)
@pytest.mark.parametrize("name", ["label_class_dict.csv", "class_dict.csv"])
def test_tables_with_colours_are_read_by_their_heading(heading: str, row: str, name: str) -> None:
    rows = [row.format(name=title, **dict(zip("rgb", colour, strict=True))) for title, colour in RGB.items()]
    text = "\n".join([heading, *rows] if heading else rows)
    found = parsed(text, name if "," in row or ";" in row else "labels.txt")
    assert found.colours == COLOURED


def test_tables_with_values_are_read_by_their_heading() -> None:
    assert parsed("id,name,supercategory\n0,lawn,green\n2,pond,wet\n1,path,grey\n", "labelmap.csv").numbered == NUMBERED
    assert parsed("name;value\nlawn;0\npath;1\npond;2\n", "labels.csv").numbered == NUMBERED


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("id2label.json", {"0": "lawn", "2": "pond", "1": "path"}),
        ("classes.json", {"lawn": 0, "path": 1, "pond": 2}),
        ("label_map.json", {"label_map": {"0": "lawn", "1": "path", "2": "pond"}}),
        ("config.json", {"model_type": "segformer", "id2label": {"0": "lawn", "1": "path", "2": "pond"}}),
        ("dataset.json", {"channel_names": {"0": "R"}, "labels": {"lawn": 0, "path": 1, "pond": 2}, "numTraining": 9}),
        ("classes.json", [{"id": 2, "name": "pond"}, {"id": 0, "name": "lawn"}, {"id": 1, "name": "path"}]),
        ("classes.json", {"classes": [{"value": 0, "label": "lawn"}, {"value": 1, "label": "path"}, {"value": 2, "label": "pond"}]}),
        ("labels.json", {"0": {"name": "lawn"}, "1": {"name": "path"}, "2": {"name": "pond"}}),
    ],
)  # fmt: skip
def test_json_gives_values(name: str, document: object) -> None:
    assert parsed(json.dumps(document), name).numbered == NUMBERED


@pytest.mark.parametrize(
    "document",
    [
        {"label_map": {"0": "lawn", "1": "path", "2": "pond"}, "segmentation_colors": [[10, 20, 30], [40, 50, 60], [70, 80, 90]]},
        {"labels": [{"name": "lawn", "color": [10, 20, 30]}, {"name": "path", "color": "#28323c"}, {"name": "pond", "color": [70, 80, 90, 255]}]},
        {"lawn": [10, 20, 30], "path": [40, 50, 60], "pond": [70, 80, 90]},
        {"#0a141e": "lawn", "#28323c": "path", "#46505a": "pond"},
        {"lawn": {"color": [10, 20, 30]}, "path": {"color": [40, 50, 60]}, "pond": {"color": {"r": 70, "g": 80, "b": 90}}},
    ],
)  # fmt: skip
def test_json_gives_colours(document: object) -> None:
    assert parsed(json.dumps(document), "dataset_meta.json").colours == COLOURED


@pytest.mark.parametrize(
    "document",
    [{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}, {"epochs": 5}, [1, 2], "x", {}, [],
     {"labels": {"a": [1, 2], "b": 3}}, {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}],
)  # fmt: skip
def test_json_that_is_no_list_of_classes_gives_no_names(document: object) -> None:
    with pytest.raises(DataError):
        parsed(json.dumps(document), "config.json")


def test_names_in_order_in_json_and_yaml_are_as_in_text() -> None:
    assert parsed('["lawn", "path"]', "classes.json").ordered == ("lawn", "path")
    assert parsed("names: [lawn, path]\n", "data.yaml").ordered == ("lawn", "path")
    assert parsed("nc: 2\nnames:\n  0: lawn\n  1: path\n", "data.yaml").ordered == ("lawn", "path")


def test_the_first_line_of_codes_is_value_0() -> None:
    assert parsed("lawn\npath\n", "codes.txt").numbered == ((0, "lawn"), (1, "path"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0: kerb\n1: kerb\n", "value 0, value 1"),
        ("kerb\nverge\nkerb\n", "line 1, line 3"),
        ("kerb 9 9 9\nverge 9 9 9\n", "colour #090909 twice: to 'kerb' and to 'verge'"),
    ],
)
def test_what_a_list_has_twice_is_named_with_its_places(text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        parsed(text)
    assert words in caught.value.issues[0].message


def listed(
    folder: Path, lists: dict[str, str], request: dict[str, object] | None = None, **parameters: object
) -> CheckReport:
    content = {**members(labels=None, **parameters), **{name: text.encode() for name, text in lists.items()}}
    return check(write_zip(folder / "data.zip", content), request)


AGREEING = {
    "same values": {"labels.txt": "0 lawn\n1 path\n2 pond\n", "id2label.json": '{"0": "lawn", "1": "path", "2": "pond"}'},
    "order from 0 and values": {"labels.txt": "lawn\npath\npond\n", "classes.json": '{"lawn": 0, "path": 1, "pond": 2}'},
    "order from 1 and values": {"labels.txt": "path\npond\n", "classes.json": '{"background": 0, "path": 1, "pond": 2}'},
    "without and with the background": {"labels.txt": "path\npond\n", "class_names.txt": "_background_\npath\npond\n"},
    "spelt differently": {"labels.txt": "Back-ground\npath_way\n_Pond\n", "id2label.json": '{"0": "background", "1": "path way", "2": "pond"}'},
    "colours beside names": {"labels.txt": "background\npath\npond\n", "class_dict.csv": "name,r,g,b\npond,1,1,1\npath,9,9,9\n"},
    "the same twice": {"train/labels.txt": "background\npath\npond\n", "val/labels.txt": "background\npath\npond\n"},
    "a configuration of something else": {"labels.txt": "background\npath\npond\n", "config.json": '{"batch": 8}'},
}  # fmt: skip


@pytest.mark.parametrize("case", AGREEING)
def test_lists_that_agree_raise_nothing(case: str, tmp_path: Path) -> None:
    report = listed(tmp_path, AGREEING[case])
    assert report.dataset is not None
    assert report.dataset.classes[1:] in (["path", "pond"], ["path way", "pond"])
    assert not {issue.code for issue in report.issues} & {
        "classes.contradicted",
        "classes.shifted",
        "classes.background_assumed",
    }


CONTRADICTING = {
    "values": {"labels.txt": "0 lawn\n1 path\n2 pond\n", "id2label.json": '{"0": "lawn", "1": "pond", "2": "path"}'},
    "order and values": {"labels.txt": "lawn\npath\npond\n", "classes.json": '{"lawn": 0, "path": 2, "pond": 1}'},
    "order": {"labels.txt": "lawn\npath\npond\n", "class_names.txt": "lawn\npond\npath\n"},
    "colours": {"class_dict.csv": "name,r,g,b\npath,9,9,9\npond,5,5,5\n", "label_colors.txt": "9 9 9 pond\n5 5 5 path\n"},
    "shifted values": {"id2label.json": '{"0": "path", "1": "pond"}', "classes.json": '{"path": 1, "pond": 2}'},
    "other classes": {"class_dict.csv": "name,r,g,b\npath,9,9,9\n", "labels.txt": "dog\ncat\n"},
}  # fmt: skip


@pytest.mark.parametrize("case", CONTRADICTING)
def test_lists_that_contradict_are_a_fault_that_the_request_settles(case: str, tmp_path: Path) -> None:
    lists = CONTRADICTING[case]
    report = listed(tmp_path, lists)
    (issue,) = [issue for issue in report.issues if issue.code == "classes.contradicted"]
    assert set(issue.files) == set(lists)
    assert all(name in issue.message for name in lists)
    assert '"classes": {' in issue.fix
    settled = listed(tmp_path, lists, {"classes": ["a", "b", "c"]})
    assert settled.dataset is not None
    assert settled.dataset.classes == ["a", "b", "c"]


def test_a_list_that_cannot_be_read_is_a_warning_beside_one_that_can(tmp_path: Path) -> None:
    report = listed(tmp_path, {"labels.txt": "path\npath\n", "classes.json": '{"lawn": 0, "path": 1, "pond": 2}'})
    assert report.dataset is not None
    assert report.dataset.classes == ["lawn", "path", "pond"]
    assert [issue.severity for issue in report.issues if issue.code == "classes.invalid"] == ["warning"]


@pytest.mark.parametrize("names", ["background\nCar\ncar\n", "background\nroad sign\nroad_sign\n", "bg\nbike\nBikes\n"])
def test_names_that_are_spelt_nearly_alike_are_a_warning_with_the_way_to_merge_them(names: str, tmp_path: Path) -> None:
    report = listed(tmp_path, {"labels.txt": names})
    (issue,) = [issue for issue in report.issues if issue.code == "classes.alike"]
    assert issue.severity == "warning"
    assert '"class_map": {' in issue.fix
    class_map = json.loads(issue.fix.partition('"class_map": ')[2].partition("`")[0])
    merged = listed(tmp_path, {"labels.txt": names}, {"class_map": class_map})
    assert merged.dataset is not None
    assert merged.dataset.num_classes == 2


def test_names_that_only_begin_or_end_alike_are_no_matter(tmp_path: Path) -> None:
    report = listed(tmp_path, {"labels.txt": "background\nglass\nglas\n"})
    assert "classes.alike" not in {issue.code for issue in report.issues}
    report = listed(tmp_path, {"labels.txt": "background\nbus\nbuss\n"})
    assert "classes.alike" not in {issue.code for issue in report.issues}


def test_names_in_one_line_are_several() -> None:
    assert parsed("lawn, path, garden pond\n").ordered == ("lawn", "path", "garden pond")
    assert parsed("['lawn', 'path']").ordered == ("lawn", "path")


@pytest.mark.parametrize(
    "text", ["a" + " " * 900_000 + "b\nc", "1 a\n" * 200_000, "[" * 900_000, "1 " * 400_000, "a:" * 400_000]
)
@pytest.mark.parametrize("name", ["labels.txt", "class_dict.csv", "classes.json"])
def test_what_is_long_and_no_list_is_refused_in_no_time(text: str, name: str) -> None:
    started = time.process_time()
    with pytest.raises(DataError):
        parsed(text, name)
    assert time.process_time() - started < 5
