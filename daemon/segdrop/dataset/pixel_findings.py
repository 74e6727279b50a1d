"""What is to be said of pixels that were read: values without a class, sides without a label, copies on both sides."""

from collections.abc import Sequence

from segdrop.codes import Code, Severity
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.classes import plausibility
from segdrop.dataset.classes.assignment import IGNORE, ClassReading
from segdrop.dataset.masks.mask_keys import COLOUR
from segdrop.dataset.masks.snapping import key_text
from segdrop.dataset.pixel_pass import NO_CODE, PixelPass
from segdrop.dataset.quick_check import QuickCheck
from segdrop.dataset.samples import LabelledSample
from segdrop.dataset.split import division, similarity
from segdrop.dataset.verdicts import Verdict
from segdrop.errors import Issue

_SHOWN_VALUES = 10
_BORDER, _BORDER_WORDS = COLOUR + 0xE0E0C0, ", the border of objects in PASCAL VOC: 224, 224, 192"
#: so many values without a class, and more than there are classes, have another cause than a slip
_MANY_UNKNOWN = 4
_NO_SLIP = (
    "So many values without a class are no slip: the masks may number single objects (instance ids) or hold traces "
    "of JPEG or smoothing. Export class-index masks as PNG, or name every value in `classes` of the request."
)


def swapped(archive: Archive, samples: list[LabelledSample], issue: Issue, verdict: Verdict) -> Issue | None:
    """Returns the issue for masks that are photographs while images look like masks, or None."""
    if verdict.labeller is not None or not plausibility.are_swapped(archive.read, samples):
        return None
    names = [archive.names[sample.image] for sample in samples]
    return Issue.of(Code.PAIR_SWAPPED, f"the images have few values, as masks have; {issue.message}", files=names)


def doubtful_roles(archive: Archive, found: QuickCheck, samples: list[LabelledSample]) -> list[Issue]:
    """Returns a fault where images and masks were told apart by a guess, and the images look like masks, too."""
    reading = found.reading
    if reading is None or not reading.is_guess or not plausibility.are_swapped(archive.read, samples):
        return []
    message = (
        "both folders hold pictures of few values, as masks have: which are the images is not certain by their names"
    )
    fix = (
        f'If the reading is right, put "format": "{reading.layout}" into the request; if not, rename the folders to '
        "`images` and `masks`."
    )
    return [Issue.of(Code.LAYOUT_AMBIGUOUS, message, files=[archive.names[s.image] for s in samples], fix=fix)]


def unknown_values(
    archive: Archive, samples: list[LabelledSample], pixel_pass: PixelPass, reading: ClassReading
) -> list[Issue]:
    """Returns the issue for values without a class: with their pixels, and the masks that hold them."""
    if not reading.unknown:
        return []
    codes = {key: code for code, key in enumerate(pixel_pass.keys)}
    bits = sum(1 << codes[key] for key in reading.unknown)
    files = [
        archive.names[sample.truth.member]
        for sample, has in zip(samples, pixel_pass.full_codes, strict=True)
        if has & bits
    ]
    shown = ", ".join(
        f"{key_text(key)} ({pixel_pass.pixels[key]} pixels{_BORDER_WORDS if key == _BORDER else ''})"
        for key in reading.unknown[:_SHOWN_VALUES]
    )
    more = ", …" if len(reading.unknown) > _SHOWN_VALUES else ""
    known = f"there are {len(reading.names)} classes"
    message = f"{len(files)} masks hold values that have no class: {shown}{more}; {known}"
    fix = _NO_SLIP if len(reading.unknown) > max(_MANY_UNKNOWN, len(reading.names)) else None
    return [Issue.of(Code.MASK_UNKNOWN_VALUE, message, files=files, fix=fix)]


def nothing_to_learn(class_pixels: list[int]) -> list[Issue]:
    """Returns a fault where the masks have nothing to tell apart."""
    present = sum(pixels > 0 for pixels in class_pixels)
    if not present:
        return [Issue.of(Code.MASK_ALL_IGNORED, "every pixel of every mask is ignored, or has no class")]
    if present == 1:
        return [Issue.of(Code.MASK_SINGLE_CLASS, "every labelled pixel is of the same class")]
    return []


def unlabelled_sides(presence: list[int], sides: division.Sides) -> list[Issue]:
    """Returns faults for sides of the split without a single labelled pixel, and a warning for such a test split."""
    issues = []
    for name, positions, severity in (
        ("training", sides.train, Severity.FAULT),
        ("validation", sides.val, Severity.FAULT),
        ("test", sides.test, Severity.WARNING),
    ):
        if positions and not any(presence[position] for position in positions):
            message = f"no {name} image has a labelled pixel (at training size)"
            issues.append(Issue.of(Code.MASK_ALL_IGNORED, message, severity=severity))
    return issues


def leak(
    archive: Archive, samples: list[LabelledSample], images: similarity.Thumbnails, sides: division.Sides
) -> list[Issue]:
    """Returns a warning about images that are measured with and nearly the same as one that is trained on."""
    measured = [*sides.val, *sides.test]
    names = [archive.names[samples[position].image] for position in similarity.alike(images, measured, sides.train)]
    if not names:
        return []
    message = f"{len(names)} of {len(measured)} validation and test images are nearly the same as a training image"
    return [Issue.of(Code.SPLIT_LEAK, message, files=names)]


def num_framed(pixel_pass: PixelPass, reading: ClassReading) -> int:
    """Returns the number of masks along whose edge (nearly) all pixels are of class 1."""
    keys = pixel_pass.keys
    return sum(frame != NO_CODE and reading.lookup[keys[frame]] == 1 for frame in pixel_pass.frames)


def files_of(
    archive: Archive, samples: list[LabelledSample], pixel_pass: PixelPass, reading: ClassReading
) -> list[list[str]]:
    """Returns the first two masks, at most, that have pixels of each class."""
    files: list[list[str]] = [[] for _ in reading.names]
    wanted = (1 << len(files)) - 1
    for sample, codes in zip(samples, pixel_pass.full_codes, strict=True):
        if not wanted:
            break
        present = class_bits(codes, pixel_pass.keys, reading) & wanted
        for class_id, names in enumerate(files):
            if present >> class_id & 1:
                names.append(archive.names[sample.truth.member])
                wanted &= ~(1 << class_id) if len(names) > 1 else wanted
    return files


def class_bits(codes: int, keys: Sequence[int], reading: ClassReading) -> int:
    """Returns the classes of a mask as bits, from its codes as bits."""
    bits = 0
    while codes:
        lowest = codes & -codes
        class_id = reading.lookup[keys[lowest.bit_length() - 1]]
        if class_id != IGNORE:
            bits |= 1 << class_id
        codes ^= lowest
    return bits
