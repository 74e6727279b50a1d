"""What of images was not read as it stands: bands, pages, transparency. Counted over all of them, said once each.

No more names are kept than an issue lists.
"""

from segdrop.codes import Code
from segdrop.dataset.findings import Findings
from segdrop.dataset.masks.image_reading import ImageFacts
from segdrop.errors import Issue

#: a share of transparent pixels in an image below which nobody would miss them
_NOTICEABLE = 0.01
_RGB = 3

_MESSAGES = {
    Code.IMAGE_BANDS: "{count} of more bands than are read; {first}",
    Code.IMAGE_PAGES: "{count} of several pages or frames, of which the first was read; {first}",
    Code.IMAGE_TRANSPARENT: "{count} with transparent parts, which are seen as the colour under them; {first}",
    Code.IMAGE_DEPTHS_MIXED: "{count} of more than 8 bits a channel; {first}",
}


class ImageTally:
    """Counts what was left out of images."""

    def __init__(self) -> None:
        self.num_deep = 0
        self.num_images = 0
        self._findings = Findings(_MESSAGES)
        self._deep = Findings(_MESSAGES)

    def add(self, name: str, facts: ImageFacts) -> None:
        """Count one image that was decoded."""
        self.num_images += 1
        if facts.is_deep:
            self.num_deep += 1
            self._deep.add(Code.IMAGE_DEPTHS_MIXED, name, "all others have 8 bits")
        if facts.num_bands != _RGB and facts.num_bands > 1:
            used = f"the first {_RGB} as red, green and blue" if facts.num_bands > _RGB else "the first as grey"
            detail = f"{name} has {facts.num_bands} bands (channels), of which {used} are used"
            self._findings.add(Code.IMAGE_BANDS, name, detail.replace("grey are", "grey is"))
        if facts.num_pages > 1:
            self._findings.add(Code.IMAGE_PAGES, name, f"{name} has {facts.num_pages} pages")
        if facts.clear_share > _NOTICEABLE:
            detail = f"{facts.clear_share:.0%} of {name} are transparent"
            self._findings.add(Code.IMAGE_TRANSPARENT, name, detail)

    def issues(self) -> list[Issue]:
        """Returns what was found, one issue for each kind."""
        is_mixed = 0 < self.num_deep < self.num_images
        return [*self._findings.issues(), *(self._deep.issues() if is_mixed else [])]
