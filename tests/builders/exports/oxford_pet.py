"""The Oxford-IIIT Pet dataset: ``annotations/README`` of ``annotations.tar.gz``."""

from builders.exports.scenes import Export, Exports, areas, grey, photo, text_lines

BREEDS = ("Bombay", "pug")


def pet() -> Export:
    content, expected, listed = {}, {}, []
    for number in range(6):
        name, values = f"{BREEDS[number % 2]}_{number + 1}", areas(number, (1, 2, 3))
        content[f"images/{name}.jpg"] = photo(number, "JPEG")
        content[f"annotations/trimaps/{name}.png"] = grey(values)
        content[f"annotations/xmls/{name}.xml"] = b"<annotation/>"
        listed.append(f"{name} {number % 2 + 1} {number % 2 + 1} 1")
        expected[f"images/{name}.jpg"] = (values - 1).astype("uint8")
    content["images/Bombay_100.mat"] = b"MATLAB"
    content["annotations/list.txt"] = text_lines(["#Image CLASS-ID SPECIES BREED ID", *listed])
    content["annotations/trainval.txt"] = text_lines(listed[:4])
    content["annotations/test.txt"] = text_lines(listed[4:])
    return content, expected


EXPORTS: Exports = {"pet": pet}
