"""Output ``overlay``."""

from segdrop.inference.outputs import encoding, files
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.prediction import Prediction

_QUALITY = 90


class Overlays:
    """Each image with its classes over it: a PNG where the image was stored without loss, else a JPEG."""

    name = "overlay"

    def __init__(self, setting: Setting, pictures: Pictures) -> None:
        self._folder = setting.folder / self.name
        self._pictures = pictures

    def write(self, prediction: Prediction) -> None:
        """Writes the file of one image."""
        overlay = self._pictures.overlay(prediction)
        suffix = encoding.picture_suffix(prediction.item.name, *prediction.class_ids.shape)
        content = encoding.picture(overlay, suffix, quality=_QUALITY, is_ours=True)
        files.write(self._folder, prediction.item.stem, suffix, content)

    def finish(self, records: Records) -> None:
        """Does nothing: the files of the images are all there is."""
