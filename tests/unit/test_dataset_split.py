import random

from hypothesis import given
from hypothesis import strategies as st

from segdrop.dataset.samples import LabelledSample, MaskFile, Split
from segdrop.dataset.split import division

_PRESENCE = st.lists(st.integers(0, 31), min_size=2, max_size=40)


def samples(count: int, side: Split | None = None, prefix: str = "") -> list[LabelledSample]:
    return [LabelledSample(f"{prefix}{i}", i, side, MaskFile(i)) for i in range(count)]


@given(_PRESENCE, st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_both_sides_are_never_empty_and_near_the_share(presence: list[int], fraction: float, seed: int) -> None:
    keys = [str(i) for i in range(len(presence))]
    chosen = division.stratified(keys, presence, fraction, seed)
    assert len(set(chosen)) == len(chosen) == max(1, min(len(keys) - 1, round(len(keys) * fraction)))


@given(_PRESENCE, st.integers(0, 1000), st.randoms(use_true_random=False))
def test_split_depends_on_names_not_on_order(presence: list[int], seed: int, shuffle: random.Random) -> None:
    keys = [f"scene/{i}" for i in range(len(presence))]
    order = list(range(len(keys)))
    shuffle.shuffle(order)
    straight = {keys[i] for i in division.stratified(keys, presence, 0.3, seed)}
    mixed = division.stratified([keys[i] for i in order], [presence[i] for i in order], 0.3, seed)
    assert {keys[order[i]] for i in mixed} == straight


def test_rare_class_is_on_both_sides() -> None:
    presence = [0b001] * 18 + [0b101, 0b101]
    for seed in range(20):
        chosen = division.stratified([str(i) for i in range(20)], presence, 0.2, seed)
        assert len({18, 19} & set(chosen)) == 1


def test_class_in_one_image_stays_in_training() -> None:
    for seed in range(20):
        chosen = division.stratified([str(i) for i in range(10)], [0b1] * 9 + [0b11], 0.2, seed)
        assert 9 not in chosen


def test_unlabelled_image_is_the_last_to_validate_with() -> None:
    for seed in range(20):
        assert division.stratified(["a", "b", "c"], [0, 1, 1], 0.34, seed)[0] in (1, 2)


def test_another_seed_makes_another_split() -> None:
    keys = [str(i) for i in range(50)]
    found = {tuple(division.stratified(keys, [1] * 50, 0.2, seed)) for seed in range(5)}
    assert len(found) == 5


def test_test_split_is_never_trained_on_or_validated_with() -> None:
    given_samples = samples(10, Split.TRAIN, "train/") + samples(5, Split.TEST, "test/")
    sides = division.divide(given_samples, [1] * 15, 0.2, 0)
    assert sides.test == list(range(10, 15))
    assert set(sides.train) | set(sides.val) == set(range(10))
    assert len(sides.val) == 2
    assert not sides.is_given


def test_given_validation_side_is_kept_whole() -> None:
    given_samples = samples(3, Split.TRAIN, "train/") + samples(4, Split.VAL, "val/") + samples(2, None)
    sides = division.divide(given_samples, [1] * 9, 0.2, 0)
    assert (sides.train, sides.val, sides.is_given) == ([0, 1, 2, 7, 8], [3, 4, 5, 6], True)
    assert any("2 pairs outside" in line for line in sides.assumptions)


def test_shortage_is_told_by_its_kind() -> None:
    def code(found: list[LabelledSample]) -> list[str]:
        return [issue.code for issue in division.shortage(found)]

    assert code([]) == ["pair.too_few"]
    assert code(samples(1)) == ["pair.too_few"]
    assert code(samples(1) + samples(9, Split.TEST)) == ["pair.too_few"]
    assert code(samples(3, Split.VAL)) == ["split.invalid"]
    assert code(samples(3, Split.TEST)) == ["split.invalid"]
    assert code(samples(2)) == code(samples(1) + samples(1, Split.VAL)) == []


def test_take_is_a_prefix_of_one_shuffle() -> None:
    found = samples(30)
    for fewer in range(2, 30):
        small = {sample.key for sample in division.take(found, fewer, seed=3)}
        assert len(small) == fewer
        assert small < {sample.key for sample in division.take(found, fewer + 1, seed=3)}


def test_take_never_loses_a_given_side() -> None:
    found = samples(50, Split.TRAIN, "t") + samples(1, Split.VAL, "v")
    for seed in range(20):
        assert {sample.split for sample in division.take(found, 2, seed)} == {Split.TRAIN, Split.VAL}


def test_class_on_one_side_only_is_named() -> None:
    sides = division.Sides([0, 1], [2], [], is_given=True, assumptions=[])
    messages = [issue.message for issue in division.missing_classes(sides, [0b001, 0b011, 0b101], ["a", "b", "c"])]
    assert len(messages) == 2
    assert messages[0].endswith(": c")
    assert messages[1].endswith(": b")
