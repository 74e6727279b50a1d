"""Output ``colour``."""

from segdrop.inference.outputs import encoding, files
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.prediction import Prediction


class Colours:
    """The colours of the classes of each image as an RGB PNG."""

    name = "colour"

    def __init__(self, setting: Setting, pictures: Pictures) -> None:
        self._folder = setting.folder / self.name
        self._pictures = pictures

    def write(self, prediction: Prediction) -> None:
        """Writes the file of one image."""
        files.write(self._folder, prediction.item.stem, ".png", encoding.flat_png(self._pictures.colour(prediction)))

    def finish(self, records: Records) -> None:
        """Does nothing: the files of the images are all there is."""
