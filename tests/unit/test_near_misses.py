import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.intake import names, near_misses


def is_near(name: str, archive: str) -> bool:
    return near_misses.meant_for(name) == near_misses.core(names.stem(archive))


@pytest.mark.parametrize(
    "name",
    [
        *("demo.zip.json", "demo.ZIP.JSON", "demo.json.txt", "demo.JSON.txt", "demo.json.json", "demo.json.bak"),
        *("demo.jsn", "demo.json5", "demo.jsonc", "demo.jsonl", "demo.yaml", "demo.yml", "demo.toml", "demo.jsn.txt"),
        *("demo .json", " demo.json", "demo.json ", "demo..json", "demo,json", "demo json", "demojson", "demo.json."),
        *(
            "demo (1).json",
            "demo(1).json",
            "demo (12).json",
            "demo - Copy.json",
            "demo - Copy (2).json",
            "demo copy.json",
        ),
        *("demo copy 2.json", "Copy of demo.json", "demo - Kopie.json", "Kopie von demo.json", "demo.json (1)"),
        *("demo_request.json", "demo-request.json", "demo.request.json", "demo_config.json", "request_demo.json"),
        *(
            "DEMO (1).JSON",
            "demo.zip (1).json",
            "demo_.json",
            "_demo.json",
            "demo.json~",
            "demo.json.part",
            "\uff24emo.json",
        ),
        *("demo.sync-conflict-20260101-120000-ABCDEFG.json", "demo (Anna's conflicted copy 2026-01-01).json"),
    ],
)
def test_what_looks_like_a_request_of_a_zip_is_near_to_it(name: str) -> None:
    assert is_near(name, "demo.zip")


@pytest.mark.parametrize(
    ("archive", "name"),
    [
        ("demo.zip.zip", "demo.json"),
        ("demo (1).zip", "demo.json"),
        ("my data.zip", "my_data.json"),
        ("a-1.zip", "a_1.json"),
    ],
)
def test_a_zip_that_missed_the_name_of_its_request_is_near_too(archive: str, name: str) -> None:
    assert is_near(name, archive)


@pytest.mark.parametrize(
    "name",
    [
        *("other.json", "demo2.json", "demo.txt", "demo.zip", "demo.zip.md5", "demo.png", "demo", "demo.zip.part"),
        *("._demo.json", ".demo.json", "~$demo.json", "demo.zip.zip", "demographic.json", "json", ".json"),
    ],
)
def test_what_looks_like_something_else_is_not(name: str) -> None:
    assert not is_near(name, "demo.zip")


@pytest.mark.parametrize("name", ["segdrop.json", "Request.json"])
def test_the_name_of_a_request_elsewhere_may_mean_any_zip(name: str) -> None:
    assert near_misses.meant_for(name) == ""


@given(st.text("dDmo.json (1)_-zipcofyrequstCKv\u00df\u212b", max_size=250))
def test_every_name_has_an_answer(name: str) -> None:
    near_misses.meant_for(name)
    assert len(near_misses.core(name)) <= 4 * len(name)
