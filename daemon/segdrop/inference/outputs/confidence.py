"""Output ``confidence``."""

from segdrop.inference.outputs import encoding, files
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.prediction import Prediction


class Confidences:
    """The probability of the class that was chosen, for each pixel, as a grey PNG: 0 is none, 255 is certain."""

    name = "confidence"

    def __init__(self, setting: Setting) -> None:
        self._folder = setting.folder / self.name

    def write(self, prediction: Prediction) -> None:
        """Writes the file of one image."""
        files.write(self._folder, prediction.item.stem, ".png", encoding.flat_png(prediction.confidence))

    def finish(self, records: Records) -> None:
        """Does nothing: the files of the images are all there is."""
