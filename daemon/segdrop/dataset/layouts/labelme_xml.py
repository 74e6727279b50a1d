"""The old LabelMe of MIT (its web tool, and what CVAT exports as "LabelMe 3.0"): an XML file for each image.

``Annotations/<collection>/x.xml`` stands with ``Images/<collection>/x.jpg``, or the two side by side. Objects are
polygons, or drawn masks in ``Masks/``. Deleted objects stay in the file, marked.
"""

from xml.etree import ElementTree as ET

from segdrop.dataset import shapes
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members, pixel_size
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Bitmap, Shape
from segdrop.errors import DataError

NAME = "labelme-xml"

_LOOKED_AT = 3
#: tags that Pascal VOC's XML, which is much alike, does not have
_OWN_TAGS = ("<pt>", "<segm>", "<nrows>", "<sourceImage>")
_BY_PRODUCTS = frozenset({"masks", "scribbles"})


def signature(tree: Tree) -> str:
    """Returns by which XML file the tree is known to be from LabelMe's web tool, or ""."""
    for member, path in members(tree, "xml")[:_LOOKED_AT]:
        try:
            content = annotation_files.text(tree, member)
        except DataError:
            continue
        if "<annotation>" in content and any(tag in content for tag in _OWN_TAGS):
            return f"objects of LabelMe's web tool in {path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all XML files that are LabelMe's."""
    found = Gathering(tree, lambda path: _BY_PRODUCTS.isdisjoint(path.casefold().split("/")[:-1]))
    masks = _Masks(tree)
    for member, path in members(tree, "xml"):
        try:
            root = annotation_files.load_xml(tree, member)
        except DataError as error:
            found.use(member)
            found.broken(error)
            continue
        if root.tag != "annotation" or root.find("filename") is None:
            continue  # another tool's file, left out as a stray
        found.use(member)
        _read_file(found, masks, member, path, root)
    return found.reading(NAME, *found.listed_names())


class _Masks:
    """Finds mask files of objects by their names."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._index = ImageIndex(tree)

    def shape(self, name: str, folder: str) -> Bitmap:
        """Returns the mask of a name, seen from the folder of the annotation file.

        Raises LookupError or MemberError where it is lost.
        """
        member = self._index.find(name, _sibling(folder, "Masks")) if name else None
        if member is None:
            raise LookupError(f"its mask {name[:100]} is not in the ZIP")
        return Bitmap(0, self._tree.read(member), 0, 0)


def _sibling(folder: str, name: str) -> str:
    """Returns where the images (or masks) of a folder of annotations are: Annotations/x has
    Images/x, others their own.
    """
    parts = folder.split("/") if folder else []
    if any(part.casefold() == "annotations" for part in parts):
        return "/".join(name if part.casefold() == "annotations" else part for part in parts)
    return folder if name == "Images" else "/".join([*parts, name])


def _text(element: ET.Element, tag: str) -> str:
    """Returns the stripped text of a descendant; the web tool puts line ends around it."""
    return (element.findtext(tag) or "").strip()


def _read_file(found: Gathering, masks: _Masks, member: int, path: str, root: ET.Element) -> None:
    """Gather one file's image with its areas."""
    folder = path.rpartition("/")[0]
    name = _text(root, "filename")
    collection = _text(root, "folder")
    references = [name, f"{collection}/{name}"] if collection else [name]
    image = found.find(references, member, _sibling(folder, "Images"))
    areas: list[Area] = []
    before = found.unread
    for element in root.iterfind("object"):
        if _text(element, "deleted") == "1":
            continue
        shape = _shape(found, masks, member, folder, element)
        if shape is not None:
            found.counted("polygon")
            areas.append((_text(element, "name"), shape))
    if image is not None:
        size = pixel_size(_text(root, "imagesize/ncols"), _text(root, "imagesize/nrows"))
        found.add(image, member, areas, size=size)
        found.note_unread(image, before)


def _shape(found: Gathering, masks: _Masks, member: int, folder: str, element: ET.Element) -> Shape | None:
    """Returns the area of an object, or None, with the reason on record."""
    if _text(element, "type") == "bounding_box":
        found.box(member)
        return None
    if (segment := element.find("segm")) is not None:
        try:
            return masks.shape(_text(segment, "mask"), folder)
        except (LookupError, MemberError) as error:
            found.invalid(member, f"an object cannot be read ({error})")
            return None
    points = [(_text(point, "x"), _text(point, "y")) for point in element.iterfind("polygon/pt")]
    return found.outline(member, lambda: shapes.ring((float(x), float(y)) for x, y in points))
