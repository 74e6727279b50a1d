"""Oddities of masks: values, palettes, depths, and masks that lie otherwise than their images."""

import io

import numpy as np
from PIL import Image

from builders.archives import encoded
from builders.generated import (
    VOID,
    Coding,
    Draft,
    Naming,
    colours,
    mask_bytes,
)
from builders.generated import levels as levels_of
from builders.oddity_table import (
    has_masks,
    is_black_and_white,
    is_coded,
    is_unnamed_pair,
    oddity,
)


@oddity("masks", is_coded(Coding.COLOUR))
def palette_by_file(draft: Draft) -> None:
    """Colours are the truth, and each file numbers them in its own way."""

    def write(draft: Draft, i: int) -> bytes:
        order = np.random.default_rng(i).permutation(draft.num_classes)
        image = Image.fromarray(np.argsort(order).astype(np.uint8)[draft.ids[i]]).convert("P")
        image.putdata(np.argsort(order)[draft.ids[i]].ravel().tolist())
        image.putpalette(colours(draft)[order].ravel().tolist())
        return encoded(image)

    draft.write_mask = write


@oddity("masks", is_black_and_white)
def black_and_white_swapped(draft: Draft) -> None:
    """A quantiser put white first into the palette."""

    def write(draft: Draft, i: int) -> bytes:
        image = Image.fromarray(draft.ids[i]).convert("P")
        image.putdata((1 - draft.ids[i]).ravel().tolist())
        image.putpalette([255, 255, 255, 0, 0, 0])
        return encoded(image)

    draft.write_mask = write


@oddity("masks", lambda draft: draft.coding is Coding.COLOUR and draft.naming is Naming.LEGEND)
def border_colour_beyond_the_legend(draft: Draft) -> None:
    """Palette masks with a frame in a colour that the legend lacks."""

    def write(draft: Draft, i: int) -> bytes:
        values = draft.ids[i].copy()
        values[draft.ids[i] == VOID] = draft.num_classes
        image = Image.fromarray(values).convert("P")
        image.putdata(values.ravel().tolist())
        image.putpalette([*colours(draft).ravel().tolist(), 230, 220, 190])
        return encoded(image)

    for ids in draft.ids:
        ids[:2] = VOID
    draft.write_mask = write


@oddity("masks", is_coded(Coding.LEVELS))
def noise_of_jpeg_in_png(draft: Draft) -> None:
    """Masks were saved as JPEG once; what lies near a border may be read in any way."""
    quality = int(draft.rng.integers(70, 96))

    def write(draft: Draft, i: int) -> bytes:
        with Image.open(io.BytesIO(encoded(levels_of(draft)[draft.ids[i]], "JPEG", quality=quality))) as image:
            return encoded(image.copy())

    draft.free = [free | _near_borders(ids) for free, ids in zip(draft.free, draft.ids, strict=True)]
    draft.write_mask = write


def _near_borders(ids: np.ndarray, reach: int = 3) -> np.ndarray:
    padded = np.pad(ids, reach, mode="edge")
    height, width = ids.shape
    windows = [padded[y : y + height, x : x + width] for y in range(2 * reach + 1) for x in range(2 * reach + 1)]
    return np.any([window != ids for window in windows], axis=0)


@oddity("masks", has_masks)
def stray_pixel(draft: Draft) -> None:
    """One pixel of one mask has a value of its own."""
    i, value = int(draft.rng.integers(len(draft.ids))), int(draft.rng.integers(6, 200))
    row, column = (int(draft.rng.integers(side)) for side in draft.size)
    draft.free[i][row, column] = True

    def write(draft: Draft, number: int) -> bytes:
        if number != i:
            return mask_bytes(draft, draft.ids[number])
        with Image.open(io.BytesIO(mask_bytes(draft, draft.ids[number]))) as image:
            image.putpixel((column, row), (value, 5, 5) if image.mode == "RGB" else value)
            return encoded(image)

    draft.write_mask = write


@oddity("masks", is_coded(Coding.LEVELS))
def masks_as_jpeg(draft: Draft) -> None:
    draft.free = [free | _near_borders(ids) for free, ids in zip(draft.free, draft.ids, strict=True)]
    draft.mask_path = draft.mask_path.replace(".png", ".jpg")
    draft.write_mask = lambda draft, i: encoded(levels_of(draft)[draft.ids[i]], "JPEG")


@oddity("masks", is_coded(Coding.INDEX))
def masks_of_floats(draft: Draft) -> None:
    draft.mask_path = draft.mask_path.replace(".png", ".tif")
    draft.write_mask = lambda draft, i: encoded(draft.ids[i].astype(np.float32), "TIFF")


@oddity("masks", is_black_and_white)
def ones_among_255(draft: Draft) -> None:
    """Half of the masks have 0 and 1, the others 0 and 255."""
    draft.write_mask = lambda draft, i: encoded((draft.ids[i] * (255 if i % 2 else 1)).astype(np.uint8))


@oddity("masks", is_coded(Coding.INDEX))
def masks_of_16_bits(draft: Draft) -> None:
    draft.write_mask = lambda draft, i: encoded(draft.ids[i].astype(np.uint16))


@oddity("masks", is_coded(Coding.INDEX))
def class_in_the_red_channel(draft: Draft) -> None:
    draft.write_mask = lambda draft, i: encoded(np.stack([draft.ids[i], *[draft.ids[i] * 0] * 2], axis=-1))


@oddity("masks", is_coded(Coding.INDEX, Coding.LEVELS))
def grey_in_three_channels(draft: Draft) -> None:
    def write(draft: Draft, i: int) -> bytes:
        with Image.open(io.BytesIO(mask_bytes(draft, draft.ids[i]))) as image:
            return encoded(image.convert("RGB"))

    draft.write_mask = write


@oddity("masks", is_black_and_white)
def truth_in_alpha(draft: Draft) -> None:
    """White everywhere, and the object is what is not transparent."""

    def write(draft: Draft, i: int) -> bytes:
        pixels = np.full((*draft.size, 4), 255, np.uint8)
        pixels[..., 3] = draft.ids[i] * 255
        return encoded(pixels)

    draft.write_mask = write


@oddity("masks", lambda draft: is_black_and_white(draft) or (draft.coding is Coding.INDEX and is_unnamed_pair(draft)))
def ids_of_objects(draft: Draft) -> None:
    """Each object has a number of its own in its image: one to six of them."""
    numbered = []
    for i in range(len(draft.ids)):
        height, width = draft.size
        values = np.zeros(draft.size, np.uint8)
        for number in range(int(draft.rng.integers(1, 7))):
            top, left = (number // 3) * height // 2 + 2, (number % 3) * width // 3 + 2
            values[top : top + height // 4, left : left + width // 5] = number + 1
        draft.ids[i] = (values > 0).astype(np.uint8)
        draft.images[i] = _repainted(draft, i)
        numbered.append(values)
    draft.write_mask = lambda _, i: encoded(numbered[i])


def _repainted(draft: Draft, i: int) -> np.ndarray:
    image = np.where(draft.ids[i][..., None] > 0, (180, 60, 40), (60, 90, 120)) + draft.rng.normal(
        0, 6, (*draft.size, 3)
    )
    return image.clip(0, 255).astype(np.uint8)


@oddity("masks", lambda draft: draft.coding in (Coding.INDEX, Coding.PALETTE))
def void_beside_ids(draft: Draft) -> None:
    """Value 255 is left out."""
    for ids in draft.ids:
        ids[-3:] = VOID


@oddity("masks", has_masks)
def mask_of_half_the_size(draft: Draft) -> None:
    """One mask is smaller than its image; what lies near a border may be read in any way."""
    draft.free[0] |= _near_borders(draft.ids[0])

    def write(draft: Draft, i: int) -> bytes:
        with Image.open(io.BytesIO(mask_bytes(draft, draft.ids[i]))) as image:
            half = (image.width // 2, image.height // 2)
            return encoded(image.resize(half, Image.Resampling.NEAREST) if i == 0 else image.copy())

    draft.write_mask = write


@oddity("masks", has_masks)
def masks_turned(draft: Draft) -> None:
    """Upside down, mirrored, or by 180 degrees: the truth is how they were before."""
    down, across = [(-1, 1), (1, -1), (-1, -1)][int(draft.rng.integers(3))]
    draft.write_mask = lambda draft, i: mask_bytes(draft, np.ascontiguousarray(draft.ids[i][::down, ::across]))


# an image that is turned takes away what tells that a mask is of another
@oddity("masks images", has_masks)
def masks_of_the_next_image(draft: Draft) -> None:
    draft.write_mask = lambda draft, i: mask_bytes(draft, draft.ids[(i + 1) % len(draft.ids)])
