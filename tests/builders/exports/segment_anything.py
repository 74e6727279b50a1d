"""SA-1B: facebookresearch/segment-anything README ("Dataset"): a JSON for each image, run lengths, no classes."""

import json

from builders.exports.boxes import SIZE, Export, Exports, painted, photo
from builders.exports.datumaro import mask


def images() -> Export:
    content, expected = {}, {}
    for number in range(3):
        boxes = ((2, 2, 12 + number, 9), (5, 5, 20, 20))
        content[f"sa_{number}.png"] = photo(number)
        annotations = [
            {"id": i, "segmentation": mask(None, box)["rle"], "bbox": [1, 1, 2, 2], "area": 4, "predicted_iou": 0.9,
             "stability_score": 0.98, "crop_box": [0, 0, 40, 32], "point_coords": [[3, 4]]}
            for i, box in enumerate(boxes)
        ]  # fmt: skip
        about = {"image_id": number, "width": SIZE[1], "height": SIZE[0], "file_name": f"sa_{number}.png"}
        content[f"sa_{number}.json"] = json.dumps({"image": about, "annotations": annotations}).encode()
        expected[f"sa_{number}.png"] = painted(*((box, 1) for box in boxes))
    return content, expected


EXPORTS: Exports = {"images": images}
