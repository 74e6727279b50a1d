"""Exports and kinds of files that are not read: which tool they are from, and what to export from it instead.

It is asked where no layout fits, or one fits and finds no truth. A row of the table is one tool or format. A tool is
known by names of files, and where these are usual ones, by words within a few small files.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from segdrop.codes import Code
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared.complaints import plain
from segdrop.dataset.samples import extension
from segdrop.errors import Issue
from segdrop.request import EMBEDDED_NAME

_LOOKED_AT = 3
_MOST_BYTES = 1 << 22
_COCO = 'Export as "COCO" with polygons or masks, and pack the JSON together with the images.'
_CVAT = (
    'In CVAT, open "Export task dataset", choose "CVAT for images 1.1" or "Segmentation mask 1.1", and switch '
    '"Save images" on.'
)
_DRAW = "Boxes do not say which pixels belong to an object: label areas (polygons, brush), and export these."
_ROBOFLOW = 'In Roboflow, choose the export "COCO Segmentation" or "Semantic Segmentation Masks".'
_AS_PNG = "Save each mask as a PNG with the class number in every pixel: images/x.jpg, masks/x.png."
_AS_JPEG = "Convert the images to JPEG or PNG under the same names, and pack these."


@dataclass(frozen=True, slots=True)
class _Row:
    """One tool or format.

    Files with one of the ``extensions`` belong to it whose path, in lower case, matches ``path``; one of a few of them
    has to hold all of ``words``, where there are any. Nothing belongs to it where a path matches ``unless``, or where
    the files fit the ``layout`` that reads what it stands for.
    """

    what: str
    fix: str
    extensions: str
    path: str = ""
    words: tuple[bytes, ...] = ()
    unless: str = ""
    code: Code = Code.LAYOUT_UNSUPPORTED
    layout: str = ""


#: truth in a form that is not read; what is surer is first
_TRUTH = (
    _Row("a backup of a CVAT task", _CVAT, "jsonl", r"(^|/)manifest\.jsonl$", (), r"annotations?\.xml$"),
    _Row("annotations of Labelbox (NDJSON)", _COCO, "ndjson jsonl json", "", (b'"data_row"', b'"projects"')),
    _Row("annotations of Labelbox", _COCO, "json csv", "", (b"DataRow ID",)),
    _Row("annotations of Labelbox", _COCO, "json", "", (b'"Labeled Data"',)),
    _Row("annotations of V7 (Darwin JSON)", _COCO, "json", "", (b'"annotations"', b"darwin"), layout="darwin"),
    _Row("annotations of V7 (Darwin JSON)", _COCO, "json", "", (b'"annotations"', b'"workview_url"'), layout="darwin"),
    _Row("a SuperAnnotate project (___pixel.json, ___save.png)", _COCO, "json png", r"___(pixel|objects|save|fuse)",
         layout="superannotate"),
    _Row("annotations of SuperAnnotate", _COCO, "json", "", (b'"metadata"', b'"instances"', b'"className"'),
         layout="superannotate"),
    _Row("annotations of Segments.ai", _COCO, "json", "", (b'"segmentation_bitmap"',), layout="segments-ai"),
    _Row("annotations of Segments.ai", _COCO, "json", "", (b'"samples"', b'"label_status"'), layout="segments-ai"),
    _Row("annotations of Datumaro (JSON)", _COCO, "json", "", (b'"dm_format_version"',), layout="datumaro"),
    _Row("annotations of Datumaro (JSON)", _COCO, "json", "", (b'"items"', b'"categories"', b'"annotations"'),
         layout="datumaro"),
    _Row("annotations of ISAT", "In ISAT, convert them to COCO or to PNG masks.", "json", "", (b"ISAT", b'"objects"'),
         layout="isat"),
    _Row("annotations of EISeg", "In EISeg, export as COCO or as PNG (grey or pseudo colour).", "json", "",
         (b'"labelIdx"', b'"points"'), layout="eiseg"),
    _Row("annotations of Segment Anything (SA-1B, a JSON file for each image)", _COCO, "json", "",
         (b'"segmentation"', b'"counts"', b'"predicted_iou"'), layout="segment-anything"),
    _Row("annotations of Hasty", _COCO, "json", "", (b'"export_format_version"', b'"project_name"'), layout="hasty"),
    _Row("annotations of Encord", _COCO, "json", "", (b'"label_hash"',)),
    _Row("annotations of Scale", _COCO, "json", "", (b'"task_id"', b'"response"', b'"params"')),
    _Row("a FiftyOne dataset (samples.json)", "Export with `dataset.export(dataset_type="
         "fiftyone.types.COCODetectionDataset)` or `ImageSegmentationDirectory`.", "json", r"(^|/)samples\.json$"),
    _Row("annotations of SageMaker Ground Truth", _AS_PNG, "manifest", r"output\.manifest$"),
    _Row("annotations of Dataloop", _AS_PNG, "json", "", (b'"annotations"', b'"coordinates"', b'"metadata"')),
    _Row("boxes of CreateML", _DRAW, "json", "", (b'"annotations"', b'"coordinates"', b'"label"')),
    _Row("annotations of Kili", _COCO, "json", "", (b'"jsonResponse"',)),
    _Row("annotations of VoTT", _COCO, "json", "", (b'"asset"', b'"regions"', b'"tags"')),
    _Row("annotations of Prodigy", _AS_PNG, "jsonl", "", (b'"_task_hash"',)),
    _Row("annotations of Azure (JSON lines)", _COCO, "jsonl", "", (b'"image_url"', b'"label"')),
    _Row("a Supervisely dataset without the project's meta.json", "Download the whole project, with meta.json.",
         "json", "", (b'"classTitle"', b'"objects"'), r"(^|/)meta\.json$"),
    _Row("annotations of Label Studio as a table", 'In Label Studio, export as "JSON", and pack the images with it.',
         "csv tsv", "", (b"annotation_id", b"lead_time")),
    _Row("Open Images CSV files", _AS_PNG, "csv", r"annotations-(object-segmentation|bbox)|class-descriptions"),
    _Row("oriented boxes of DOTA (labelTxt/)", _DRAW, "txt", r"(^|/)labeltxt[^/]*/"),
    _Row("oriented boxes of DOTA", _DRAW, "txt", "", (b"imagesource:", b"gsd:")),
    _Row("oriented boxes of DOTA", _DRAW, "txt", "", (rb"(?m)^(\d+(\.\d+)? ){8}[A-Za-z][\w-]* [012]\s*$",)),
    _Row("boxes of KITTI (label_2/)", _DRAW, "txt", r"(^|/)label_2/"),
    _Row("boxes of MOT (gt/gt.txt)", _DRAW, "txt", r"(^|/)gt/gt\.txt$"),
    _Row("masks as run lengths in a CSV file (RLE)", _AS_PNG, "csv", "",
         (rb"^[^\n]*\b(EncodedPixels|rle|rle_mask|mask_rle|encoding|segmentation|annotation)\b",), layout="rle-csv"),
    _Row("annotations of Roboflow without areas", _ROBOFLOW, "csv txt json", r"(^|/)_annotations\.(csv|txt|createml)"),
    _Row("Pascal VOC XML files with polygons", f"Export as COCO, or as masks. {_ROBOFLOW}", "xml", "",
         (b"<annotation", b"<bndbox>", b"<polygon>"), layout="voc-xml"),
    _Row("Pascal VOC XML files with boxes (as of LabelImg or Roboflow)", _DRAW, "xml", "",
         (b"<annotation", b"<bndbox>"), layout="voc-xml"),
    _Row("boxes of dlib", _DRAW, "xml", "", (b"<dataset>", b"<box ")),
    _Row("annotations of slides (ASAP, ImageScope)", _AS_PNG, "xml", "", (b"<ASAP_Annotations|<Annotations Microns",)),
    _Row("a dataset of Roboflow without areas", _ROBOFLOW, "txt", r"(^|/)readme\.roboflow\.txt$", (),
         r"_annotations\.coco\.json$|(^|/)(_classes\.csv$|labels/)"),
    _Row("Cityscapes without `*_labelIds.png`", "Pack the `*_gtFine_labelIds.png` too: cityscapesScripts' "
         "`createTrainIdLabelImgs.py` and `json2labelImg.py` make them from the polygons.", "png json",
         r"_gt(fine|coarse)_(color|instanceids|polygons)\.", (), r"_label(train)?ids\.png$", layout="cityscapes"),
    _Row("masks in SegmentationClassRaw/", "Call the folder SegmentationClass/, as in PASCAL VOC.", "png",
         r"(^|/)segmentationclassraw/", (), r"(^|/)segmentationclass/", layout="voc"),
    _Row("masks of PASCAL VOC's form (as of CVAT) without their images", f"{_CVAT} Or add the images as JPEGImages/.",
         "png", r"(^|/)segmentationclass/", (), r"(^|/)jpegimages/", Code.LAYOUT_NO_IMAGES),
    _Row("vector maps", "Burn the vectors into a raster of class numbers of the size of each image "
         "(QGIS: Rasterize), and save it as PNG or TIFF.", "geojson shp gpkg kml"),
    _Row("regions of ImageJ", _AS_PNG, "roi"),
    _Row("Parquet or Arrow files (as of Hugging Face)", "Write the images and the masks out of the table as files: "
         "images/x.jpg, masks/x.png.", "parquet arrow"),
    _Row("TFRecord files", "Write the images and the masks out of the records as files: images/x.jpg, masks/x.png.",
         "tfrecord tfrecords record"),
    _Row("NumPy files", _AS_PNG, "npy npz"),
    _Row("MATLAB files", _AS_PNG, "mat"),
    _Row("HDF5 files", _AS_PNG, "h5 hdf5"),
    _Row("pickle files", _AS_PNG, "pkl pickle"),
)  # fmt: skip

#: pictures in a form that is not read
_PICTURES = (
    _Row("AVIF photographs", _AS_JPEG, "avif"),
    _Row("DICOM files", f"{_AS_JPEG} Choose the window (brightness and contrast) once for all of them.", "dcm dicom"),
    _Row("NIfTI or other volumes", "Save each slice of the volumes as an image and a mask: images/x_012.png, "
         "masks/x_012.png.", "nii nrrd mha mhd gz", r"\.(nii(\.gz)?|nrrd|mha|mhd)$"),
    _Row("raw photographs", _AS_JPEG, "cr2 cr3 nef arw dng orf rw2"),
    _Row("whole slides or maps", "Cut them into tiles (PNG, JPEG or TIFF), each with its mask.",
         "svs ndpi czi scn ecw sid jp2 vsi"),
    _Row("drawings of an image editor", f"{_AS_PNG}", "psd xcf svg ai kra"),
    _Row("videos", "Save the labelled frames as images, each with its mask.", "mp4 avi mov mkv webm"),
)  # fmt: skip


def issues(tree: Tree, fitting: Collection[str] = ()) -> list[Issue]:
    """Returns an issue for truth that is not read, and one for pictures that are not; none where nothing is known.

    ``fitting`` has the names of the layouts that fit: what they read is not called foreign.
    """
    files: dict[str, list[tuple[str, int]]] = {}
    for name, member in sorted((name, member) for member, name in enumerate(tree.names)):
        if name.rpartition("/")[2].casefold() != EMBEDDED_NAME:
            files.setdefault(extension(name), []).append((name, member))
    looks = _Looks(tree)
    asked = [[row for row in rows if row.layout not in fitting] for rows in (_TRUTH, _PICTURES)]
    found = (next(_recognised(rows, files, looks), None) for rows in asked)
    return [issue for issue in found if issue is not None]


class _Looks:
    """What stands in small files, each of which is read once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[int, bytes] = {}

    def at(self, member: int) -> bytes:
        """Returns the bytes of a member, or none where it is large or damaged."""
        if member not in self._known:
            self._known[member] = self._read(member)
        return self._known[member]

    def _read(self, member: int) -> bytes:
        try:
            return self._tree.read(member) if self._tree.size_bytes(member) <= _MOST_BYTES else b""
        except (MemberError, LookupError):
            return b""


def _recognised(rows: Sequence[_Row], files: dict[str, list[tuple[str, int]]], looks: _Looks) -> Iterator[Issue]:
    """Yields an issue for each row that fits."""
    for row in rows:
        named = [entry for kind in row.extensions.split() for entry in files.get(kind, ())]
        fitting = [entry for entry in named if re.search(row.path, entry[0].casefold())] if row.path else named
        if not fitting or (row.unless and _any_matches(row.unless, files)):
            continue
        if row.words and not any(_holds(looks.at(member), row.words) for _, member in fitting[:_LOOKED_AT]):
            continue
        names = [name for name, _ in fitting]
        more = f" and {len(names) - 1} more files" if len(names) > 1 else ""
        message = f"not read: {row.what} ({plain(names[0])}{more})"
        yield Issue.of(row.code, message, files=names, fix=row.fix)


def _any_matches(pattern: str, files: dict[str, list[tuple[str, int]]]) -> bool:
    return any(re.search(pattern, name.casefold()) for listed in files.values() for name, _ in listed)


def _holds(content: bytes, words: tuple[bytes, ...]) -> bool:
    return all(re.search(word, content) for word in words)
