"""Which request belongs to which ZIP, whatever the case and the form that people and their systems give the names."""

import unicodedata
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.intake import names
from segdrop.intake.pairing import pair

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("archive", "request_name"),
    [
        ("Demo.zip", "demo.json"),
        ("demo.zip", "Demo.json"),
        ("DEMO.ZIP", "Demo.Json"),
        ("Straße.zip", "STRASSE.JSON"),
        (f"{COMPOSED}.zip", f"{DECOMPOSED.upper()}.json"),
        (f"{DECOMPOSED}.zip", f"{COMPOSED}.json"),
        ("a.b.zip", "A.B.json"),
        ("two words.zip", "Two Words.json"),
    ],
)
def test_a_request_is_found_whatever_the_case_or_the_unicode_form(archive: str, request_name: str) -> None:
    pairing = pair([archive], [request_name])
    assert (pairing.requests, pairing.uncertain, pairing.left) == ({archive: request_name}, {}, {})


def test_a_request_that_fits_two_zips_holds_both_and_says_so() -> None:
    pairing = pair(["Demo.zip", "demo.zip"], ["DEMO.json"])
    assert pairing.requests == {}
    assert set(pairing.uncertain) == {"Demo.zip", "demo.zip"}
    assert all("DEMO.json" in reason for reason in pairing.uncertain.values())
    assert "Demo.zip and demo.zip" in pairing.left["DEMO.json"]


def test_two_requests_that_fit_one_zip_hold_it_and_say_so() -> None:
    pairing = pair(["demo.zip"], ["DEMO.json", "Demo.json"])
    assert pairing.requests == {}
    assert "DEMO.json and Demo.json" in pairing.uncertain["demo.zip"]
    assert "call it demo.json" in pairing.uncertain["demo.zip"]
    assert set(pairing.left) == {"DEMO.json", "Demo.json"}


def test_an_exact_match_wins_for_its_own_zip_and_the_other_has_none() -> None:
    pairing = pair(["Demo.zip", "demo.zip"], ["demo.json"])
    assert (pairing.requests, pairing.uncertain) == ({"demo.zip": "demo.json"}, {})


def test_an_exact_match_wins_over_one_in_another_case_which_is_told() -> None:
    pairing = pair(["demo.zip"], ["demo.json", "DEMO.json"])
    assert pairing.requests == {"demo.zip": "demo.json"}
    assert pairing.left == {"DEMO.json": "a second request beside demo.json"}


def test_each_of_two_zips_gets_the_request_of_its_own_case() -> None:
    pairing = pair(["Demo.zip", "demo.zip"], ["demo.json", "Demo.json"])
    assert pairing.requests == {"demo.zip": "demo.json", "Demo.zip": "Demo.json"}
    assert pair(["a.zip", "a.ZIP"], ["a.json", "a.JSON"]).requests == {"a.zip": "a.json", "a.ZIP": "a.JSON"}


def test_the_same_unicode_form_wins_over_the_other() -> None:
    pairing = pair([f"{DECOMPOSED}.zip"], [f"{DECOMPOSED}.json", f"{COMPOSED}.json"])
    assert pairing.requests == {f"{DECOMPOSED}.zip": f"{DECOMPOSED}.json"}


@pytest.mark.parametrize(
    ("input_name", "request_name"),
    [("street.jpg", "Street.json"), ("Street.MOV", "street.JSON"), ("batch.json", "BATCH.request.json")],
)
def test_inputs_of_every_kind_find_their_requests(input_name: str, request_name: str) -> None:
    pairing = pair([input_name], [request_name])
    assert (pairing.requests, pairing.uncertain, pairing.left) == ({input_name: request_name}, {}, {})
    assert pairing.fitting(input_name) == [request_name]
    assert pair([], [request_name]).meant_for_earlier([input_name]) == {request_name}


def test_a_request_that_fits_inputs_of_two_kinds_holds_both_and_says_what_helps() -> None:
    pairing = pair(["street.zip", "street.jpg"], ["street.json"])
    assert pairing.requests == {}
    assert pairing.fitting("street.jpg") == pairing.fitting("street.zip") == ["street.json"]
    assert all("give one of them another name" in reason for reason in pairing.uncertain.values())
    assert pair(["a.json", "a.request.zip"], ["a.request.json"]).uncertain.keys() == {"a.json", "a.request.zip"}


def test_a_json_file_of_images_has_no_use_for_the_request_of_a_zip_of_its_name() -> None:
    pairing = pair(["a.json", "a.zip"], ["A.json"])
    assert pairing.requests == {"a.zip": "A.json"}
    assert pairing.fitting("a.json") == []


def test_a_request_alone_is_told() -> None:
    assert (pair(["a.zip"], ["b.json"]).alone, pair(["a.zip"], ["b.json"]).left) == (("b.json",), {})
    assert "PAUSE" in pair([], ["pause.json"]).left["pause.json"], "meant as an order"
    assert pair(["pause.zip"], ["pause.json"]).left == {}


@pytest.mark.parametrize(
    ("archives", "requests", "gone", "late"),
    [
        ([], ["demo.json"], ["demo.zip"], {"demo.json"}),
        ([], ["DEMO.json"], ["demo.zip"], {"DEMO.json"}),
        (["demo.zip"], ["demo.json"], ["demo.zip"], {"demo.json"}),  # of the next ZIP, or of the last?
        (["demo.zip"], ["demo.json"], ["Demo.zip"], set()),  # it has the exact name of the one that is there
        (["Demo.zip"], ["demo.json"], ["demo.zip"], {"demo.json"}),
        ([], ["other.json"], ["demo.zip"], set()),
        ([], ["demo.json"], [], set()),
    ],
)
def test_a_request_is_late_for_a_zip_that_it_fits_as_well_as_any(
    archives: list[str], requests: list[str], gone: list[str], late: set[str]
) -> None:
    assert pair(archives, requests).meant_for_earlier(gone) == late


NAMES = st.lists(st.sampled_from(["a", "A", "b", COMPOSED, DECOMPOSED, DECOMPOSED.upper()]), unique=True, max_size=4)


@given(NAMES, NAMES, st.data())
def test_no_order_of_a_listing_changes_who_gets_what_and_nothing_is_silent(
    stems: list[str], wishes: list[str], data: st.DataObject
) -> None:
    archives, requests = [f"{stem}.zip" for stem in stems], [f"{wish}.json" for wish in wishes]
    found = pair(archives, requests)
    other = data.draw(st.sampled_from(list(permutations(requests))))
    assert pair(reversed(archives), other) == found
    assert sorted([*found.requests.values(), *found.left, *found.alone]) == sorted(requests), (
        "each has a ZIP or a reason"
    )
    assert not found.requests.keys() & found.uncertain.keys()
    for archive, request in found.requests.items():
        assert names.key(archive) == names.key(request)
    for archive in set(archives) - found.requests.keys() - found.uncertain.keys():
        fitting = [request for request in requests if names.key(request) == names.key(archive)]
        assert set(fitting) <= set(found.requests.values()), "a ZIP goes without only where others have what fits it"
