"""Output ``originals``."""

from segdrop.inference.outputs import encoding, files
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.prediction import Prediction

_QUALITY = 95


class Originals:
    """Each image as it was predicted: upright, RGB, 8 bits a channel, of the size of its mask.

    It is a copy of the pixels, not of the file: annotation tools that do not turn images by their EXIF tag, or do not
    read 16 bits, show it where the mask fits. A PNG where the image was stored without loss, else a JPEG.
    """

    name = "originals"

    def __init__(self, setting: Setting) -> None:
        self._folder = setting.folder / self.name

    def write(self, prediction: Prediction) -> None:
        """Writes the file of one image."""
        suffix = encoding.picture_suffix(prediction.item.name, *prediction.class_ids.shape)
        content = encoding.picture(prediction.item.image, suffix, quality=_QUALITY, is_ours=False)
        files.write(self._folder, prediction.item.stem, suffix, content)

    def finish(self, records: Records) -> None:
        """Does nothing: the files of the images are all there is."""
