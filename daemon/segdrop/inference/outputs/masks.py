"""Output ``masks``."""

from segdrop.inference.outputs import files
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.prediction import Prediction


class Masks:
    """The class ids of each image as a PNG: with a palette, or as 16-bit grey beyond 255 classes."""

    name = "masks"

    def __init__(self, setting: Setting, pictures: Pictures) -> None:
        self._folder = setting.folder / self.name
        self._pictures = pictures

    def write(self, prediction: Prediction) -> None:
        """Writes the file of one image."""
        files.write(self._folder, prediction.item.stem, ".png", self._pictures.mask_png(prediction))

    def finish(self, records: Records) -> None:
        """Does nothing: the files of the images are all there is."""
