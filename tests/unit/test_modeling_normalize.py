import numpy as np
import torch

from segdrop.architectures import MEAN, STD
from segdrop.modeling.normalize import to_input


def test_input_is_the_published_normalisation_in_channels_last() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    given = to_input(images)
    expected = (images.astype(np.float64) / 255 - MEAN) / STD
    assert given.dtype == torch.float32
    assert given.shape == (2, 3, 5, 7)
    assert given.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(given.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-6)


def test_images_are_not_changed() -> None:
    images = np.full((1, 2, 2, 3), 7, np.uint8)
    to_input(images)
    assert (images == 7).all()
