"""What every segmenter says of its classes and of how images are prepared for it."""

from segdrop.modeling.segmenters.preprocessing import Preprocessing
from segdrop.request import ImageSize


class PreparedSegmenter:
    """The part of a :class:`~segdrop.modeling.segmenters.protocol.Segmenter` that does not depend on what computes."""

    def __init__(self, preprocessing: Preprocessing, classes: tuple[str, ...]) -> None:
        self._preprocessing = preprocessing
        self._classes = classes

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by class id."""
        return self._classes

    @property
    def input_size(self) -> ImageSize | None:
        """The size to which images have to be scaled; None where any size will do."""
        return self._preprocessing.size

    @property
    def side_multiple(self) -> int:
        """Sides in pixels have to be multiples of it, where any size will do."""
        return self._preprocessing.side_multiple

    @property
    def scales_images(self) -> bool:
        """Whether it scales images of any size itself, as in training: a whole image is seen as objects were then."""
        return self._preprocessing.shortest_edge is not None
