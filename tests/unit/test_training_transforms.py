import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdrop.architectures import DEEPLABV3_RESNET50
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.training import transforms
from segdrop.training.transforms import Pair, transform_named

LIMITS = DEEPLABV3_RESNET50.input_limits


def scene(height: int, width: int) -> Pair:
    """An image that repeats its mask in red, so that whether they moved together can be seen."""
    mask = (np.indices((height, width)).sum(axis=0) // 8 % 3).astype(np.uint8)
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = mask * 100
    return image, mask


@pytest.mark.parametrize("augmentation", ["standard", "strong"])
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(32, 90), st.integers(32, 90))
def test_zooming_keeps_size_and_invents_no_class(augmentation: str, seed: int, height: int, width: int) -> None:
    image, mask = scene(height, width)
    changed_image, changed_mask = transform_named(augmentation, epochs=30)(image, mask, np.random.default_rng(seed))
    assert changed_image.shape == image.shape
    assert changed_mask.shape == mask.shape
    assert changed_image.dtype == changed_mask.dtype == np.uint8
    assert set(np.unique(changed_mask)) <= {0, 1, 2, IGNORE}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_image_and_mask_move_together(seed: int) -> None:
    image, mask = scene(64, 80)
    changed_image, changed_mask = transform_named("standard", epochs=30)(image, mask, np.random.default_rng(seed))
    labelled = changed_mask != IGNORE
    # red is the class, but for pixels blended along edges
    agrees = np.abs(changed_image[..., 0].astype(int) - changed_mask.astype(int) * 100) < 50
    assert agrees[labelled].mean() > 0.85


def test_strong_moves_image_and_mask_together_and_leaves_the_mask_its_values() -> None:
    """Classes 0 and 2, dark and bright: no change of colour makes one look like the other."""
    image, mask = scene(64, 80)
    mask[mask == 1] = 0
    image[:] = np.where(mask == 2, 220, 30)[..., None]
    for seed in range(60):
        changed_image, changed_mask = transforms.strong(image, mask, np.random.default_rng(seed))
        assert set(np.unique(changed_mask)) <= {0, 2, IGNORE}
        labelled = changed_mask != IGNORE
        bright = changed_image[..., 1].astype(int) > changed_image[labelled].mean()
        if len(np.unique(changed_mask[labelled])) > 1:
            assert (bright == (changed_mask == 2))[labelled].mean() > 0.85


def changed_colours(colour: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """What a plain image becomes, over many seeds."""
    image, mask = np.full((32, 32, 3), colour, np.uint8), np.zeros((32, 32), np.uint8)
    colours = []
    for seed in range(200):
        changed_image, changed_mask = transforms.strong(image, mask, np.random.default_rng(seed))
        (found,) = np.unique(changed_image[changed_mask == 0].reshape(-1, 3), axis=0)
        colours.append(tuple(int(value) for value in found))
    return colours


def test_strong_changes_brightness_and_contrast_of_greys_and_nothing_else() -> None:
    greys = changed_colours((100, 100, 100))
    assert all(red == green == blue for red, green, blue in greys)
    values = [red for red, _, _ in greys]
    assert min(values) >= 100 * 0.5 - 33
    assert max(values) <= 100 * 1.5 + 33
    assert min(values) < 70
    assert max(values) > 130
    assert 20 < values.count(100) < 80, "each of the two is left out every second time"


def test_strong_changes_saturation_and_hue_within_their_ranges() -> None:
    turns, saturations = [], []
    for colour in changed_colours((160, 80, 80)):  # hue 0, saturation a half
        hue, saturation, _ = colorsys.rgb_to_hsv(*colour)
        turns.append((hue + 0.5) % 1 - 0.5)
        saturations.append(saturation)
    assert max(map(abs, turns)) <= 20 / 360
    assert min(turns) < -10 / 360
    assert max(turns) > 10 / 360
    assert min(saturations) < 0.35
    assert max(saturations) > 0.65


def test_strong_zooms_by_a_half_to_twice() -> None:
    covered = []
    for seed in range(200):
        _, mask = transforms.strong(*scene(64, 64), np.random.default_rng(seed))
        covered.append((mask != IGNORE).mean())
    assert 0.24 < min(covered) < 0.35
    assert 60 < sum(share == 1 for share in covered) < 140


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_padding_is_ignored_and_has_the_mean_colour(seed: int) -> None:
    image, mask = np.full((40, 40, 3), 9, np.uint8), np.zeros((40, 40), np.uint8)
    changed_image, changed_mask = transform_named("standard", epochs=30)(image, mask, np.random.default_rng(seed))
    padded = changed_mask == IGNORE
    assert (changed_image[padded] == (124, 116, 104)).all()
    assert (changed_image[~padded] == 9).all()
    assert (~padded).mean() > 0.5


@pytest.mark.parametrize(("epochs", "share"), [(3, 0.1), (15, 0.5), (30, 1.0), (300, 1.0)])
def test_standard_zooms_a_share_of_the_images_that_grows_with_the_epochs(epochs: int, share: float) -> None:
    image, mask = scene(32, 32)
    zoomed = 0
    for seed in range(300):
        _, changed = transform_named("standard", epochs)(image, mask, np.random.default_rng(seed))
        zoomed += not any(np.array_equal(changed, plain) for plain in (mask, mask[:, ::-1]))
    assert zoomed / 300 == pytest.approx(share, abs=0.1)


def test_standard_both_enlarges_and_shrinks() -> None:
    standard = transform_named("standard", epochs=30)
    masks = [standard(*scene(32, 32), np.random.default_rng(seed))[1] for seed in range(30)]
    shrunk = [mask for mask in masks if (mask == IGNORE).any()]
    assert 5 < len(shrunk) < 25


def test_flip_mirrors_half_of_the_time_and_nothing_else() -> None:
    image, mask = scene(20, 33)
    mirrored = 0
    for seed in range(100):
        changed_image, changed_mask = transforms.flip(image, mask, np.random.default_rng(seed))
        is_mirrored = np.array_equal(changed_mask, mask[:, ::-1])
        assert is_mirrored or np.array_equal(changed_mask, mask)
        assert np.array_equal(changed_image, image[:, ::-1] if is_mirrored else image)
        mirrored += is_mirrored
    assert 30 < mirrored < 70


def test_none_changes_nothing() -> None:
    image, mask = scene(20, 20)
    changed = transform_named("none", epochs=30)(image, mask, np.random.default_rng(0))
    assert np.array_equal(changed[0], image)
    assert np.array_equal(changed[1], mask)


@pytest.mark.parametrize("augmentation", ["none", "flip", "standard", "strong"])
def test_the_cached_arrays_are_never_written_to(augmentation: str) -> None:
    image, mask = scene(32, 32)
    image.flags.writeable = mask.flags.writeable = False
    for seed in range(10):
        transform_named(augmentation, epochs=30)(image, mask, np.random.default_rng(seed))


def test_augmentation_that_is_not_built_is_never_silently_ignored() -> None:
    with pytest.raises(KeyError):
        transform_named("cutmix", epochs=30)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((256, 256), (192, 192)),
        ((128, 96), (96, 64)),
        ((360, 480), (272, 352)),
        ((33, 2048), (32, 1536)),
        ((32, 32), (32, 32)),
    ],
)
def test_smaller_sides_are_multiples_of_the_coarsest_step_and_never_too_small(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert transforms.scaled(size, 0.75, LIMITS) == expected
    assert transforms.scaled(size, 1.0, LIMITS) == size


def test_a_shrunk_batch_keeps_image_and_mask_together_and_invents_no_class() -> None:
    image, mask = scene(64, 96)
    images, masks = transforms.shrunk(np.stack([image, image[:, ::-1]]), np.stack([mask, mask[:, ::-1]]), 0.75, LIMITS)
    assert (images.shape, masks.shape) == ((2, 48, 64, 3), (2, 48, 64))
    assert set(np.unique(masks)) <= set(np.unique(mask))
    assert np.array_equal(masks[0], masks[1][:, ::-1])
    assert np.allclose(images[0], images[1][:, ::-1], atol=1)
