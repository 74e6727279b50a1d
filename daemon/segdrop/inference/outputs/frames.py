"""Output ``frames``."""

from segdrop.inference.outputs import encoding, files
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.prediction import Prediction

_QUALITY = 95


class Frames:
    """The frames of a video in ``images/``, their class ids in ``masks/`` and their colours in ``colour/``.

    Frames were compressed with loss already: they are JPEGs.
    """

    name = "frames"

    def __init__(self, setting: Setting, pictures: Pictures) -> None:
        self._folder = setting.folder / self.name
        self._pictures = pictures

    def write(self, prediction: Prediction) -> None:
        """Writes the three files of one frame."""
        stem = prediction.item.stem
        frame = encoding.picture(prediction.item.image, ".jpg", quality=_QUALITY, is_ours=False)
        files.write(self._folder / "images", stem, ".jpg", frame)
        files.write(self._folder / "masks", stem, ".png", self._pictures.mask_png(prediction))
        files.write(self._folder / "colour", stem, ".png", encoding.flat_png(self._pictures.colour(prediction)))

    def finish(self, records: Records) -> None:
        """Does nothing: the files of the frames are all there is."""
