"""The issue codes: public and stable, with what each means and what to do. README has the same table, tested."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    FAULT = "fault"  #: the job cannot run
    WARNING = "warning"  #: it runs, and somebody should look
    NOTE = "note"  #: for the record


@dataclass(frozen=True, slots=True)
class Code:
    severity: Severity
    cause: str
    fix: str


_F, _W, _N = Severity.FAULT, Severity.WARNING, Severity.NOTE

CODES: dict[str, Code] = {
    # archive
    "archive.not_a_zip": Code(
        _F,
        "The file does not begin like a ZIP.",
        "Pack the dataset as a .zip file (not .rar, .7z or .tar renamed) and copy it again.",
    ),
    "archive.truncated": Code(
        _F,
        "The ZIP has no complete directory at its end: the copy stopped early.",
        "Copy the file again, whole; `unzip -t` on your side should pass first.",
    ),
    "archive.encrypted": Code(_F, "The ZIP is encrypted.", "Pack it again without a password."),
    "archive.corrupt": Code(
        _F,
        "A member does not unpack, or its checksum (CRC) differs.",
        "Make the ZIP again, test it with `unzip -t`, copy it again.",
    ),
    "archive.unsupported_compression": Code(
        _F,
        "A member is packed with a method that cannot be read here.",
        "Pack it again with the ordinary method (deflate).",
    ),
    "archive.empty": Code(_F, "The ZIP contains no files.", "Pack the dataset folder itself."),
    "archive.too_large": Code(
        _F,
        "The ZIP holds more bytes, more files or larger files than allowed.",
        "Split it, or ask the operator to raise `limits.*`.",
    ),
    "archive.suspicious_ratio": Code(
        _F,
        "A member unpacks to far more than its packed size (a decompression bomb does).",
        "Leave the named file out; real images do not compress that far.",
    ),
    "archive.unsafe_path": Code(
        _F,
        "A member's name leaves the archive (absolute, drive letter, `..`) or holds control characters.",
        "Pack the folder again with ordinary relative names.",
    ),
    "archive.link": Code(_F, "A member is a symbolic link or another special file.", "Pack the files themselves."),
    "archive.duplicate_name": Code(
        _F, "Two members have the same name, or names that differ in case only.", "Rename one of them."
    ),
    "archive.overlap": Code(
        _F,
        "Members share the same bytes of the archive (a decompression bomb does).",
        "Pack the dataset again with an ordinary tool.",
    ),
    "archive.reader_died": Code(
        _F,
        "The process that reads the archive ended while it read this one: by its memory or time limit, or a crash.",
        "Look for damaged or extremely large images; the operator can raise `limits.check_*`.",
    ),
    # request
    "request.not_json": Code(
        _F,
        "The request is not readable JSON.",
        "Check the sidecar with a JSON validator: one object, UTF-8, double quotes, no comments.",
    ),
    "request.too_large": Code(
        _F,
        "The request file is larger than a request can be.",
        "Keep settings only in it; see config/request.schema.json.",
    ),
    "request.unknown_key": Code(
        _F,
        "The request has a key that does not exist.",
        'Use the suggested key; README, "Request", lists all of them.',
    ),
    "request.invalid_value": Code(
        _F,
        "A value in the request has the wrong type or is out of range.",
        'See README, "Request", for what the key takes.',
    ),
    "request.not_available": Code(
        _F,
        "The request asks for something that this version cannot do yet.",
        "Leave the key out, or use one of the values named.",
    ),
    "request.no_gpu": Code(
        _F,
        "The request asks for a GPU, and the training process has none that it can use.",
        'Use `auto` or `cpu`, or ask the operator: README, "With a GPU".',
    ),
    "request.weights_not_found": Code(
        _F,
        "`pretrained` names a file that is not in `models/`, or one with another checksum or architecture.",
        "Ask the operator for the file, or use `auto` or `none`.",
    ),
    # layout and pairs
    "layout.unknown": Code(
        _F,
        "No known dataset layout was recognised in the ZIP.",
        "Put images into `images/` and masks into `masks/`, with equal file names.",
    ),
    "layout.no_images": Code(
        _F,
        "No images were found where the layout has them.",
        "Put the images (PNG, JPEG, BMP, TIFF, WebP) into `images/`.",
    ),
    "layout.no_masks": Code(
        _F,
        "No masks were found where the layout has them.",
        "Put one mask for each image into `masks/`, under the same file name.",
    ),
    "layout.ambiguous": Code(
        _F,
        "The files fit two layouts equally well, which mean different things.",
        "Name one of them as `format` in the request, or pack one of them alone.",
    ),
    "layout.unsupported": Code(
        _F,
        "The truth is in a kind of file that is not read (.mat, .npy, archives in the archive).",
        "Export the masks as PNG files, or the annotations as COCO JSON.",
    ),
    "layout.stray_file": Code(
        _N, "Files that belong to nothing were left out.", "Nothing to do, unless they were meant to be data."
    ),
    "pair.missing_mask": Code(
        _W,
        "Images without a mask of the same name (a fault where they are more than half).",
        "Add the masks, or leave the images out.",
    ),
    "pair.missing_image": Code(
        _W,
        "Masks without an image of the same name (a fault where they are more than half).",
        "Add the images, or leave the masks out.",
    ),
    "pair.ambiguous": Code(
        _F, "Two files claim to be the same image, or the same mask.", "Keep one file for each name."
    ),
    "pair.size_mismatch": Code(
        _F, "A mask has a different size from its image.", "Export the masks at the size of the images."
    ),
    "pair.swapped": Code(
        _F,
        "The folder of images holds masks, and the folder of masks holds images.",
        "Exchange the two folders' names.",
    ),
    "pair.few": Code(
        _W,
        "So few pairs that results will mean little.",
        "Label more images: from about 20 on, results begin to mean something.",
    ),
    "pair.too_few": Code(
        _F,
        "Too few pairs to train on: one for training and one for validation is the least.",
        "Add labelled images; from about 20 on, results begin to mean something.",
    ),
    # annotation files
    "annotation.invalid": Code(
        _F,
        "An annotation file cannot be read, or is not what its tool writes.",
        "Export it again; do not edit it by hand.",
    ),
    "annotation.missing_image": Code(
        _W,
        "Annotations name images that are not in the ZIP (a fault where they are more than half).",
        "Pack the images together with the annotations.",
    ),
    "annotation.boxes_only": Code(
        _F,
        "The annotations are boxes, without outlines or masks.",
        "Label areas (polygons, brush, masks); boxes alone do not say which pixels belong to an object.",
    ),
    "annotation.no_area": Code(
        _W,
        "Some annotations have no area (points, lines, boxes, empty outlines) and were left out.",
        "Draw polygons or masks for what is to be learnt.",
    ),
    "annotation.unnamed": Code(
        _W,
        "Areas have no class name, and were taken for the only class there is.",
        "Give every area a class name.",
    ),
    # images and masks
    "image.unreadable": Code(
        _F,
        "An image or mask cannot be decoded.",
        "Open it in an image viewer, and export it again or leave it out.",
    ),
    "image.too_large": Code(
        _F,
        "An image or mask has more pixels than allowed.",
        "Cut it into tiles, or ask the operator to raise `limits.max_image_pixels`.",
    ),
    "image.not_fetched": Code(
        _F,
        "Files are Git LFS pointers: a few lines of text in place of the image.",
        "Run `git lfs pull`, then pack the ZIP again.",
    ),
    "image.text_mangled": Code(
        _F,
        "Files were transferred as text: line ends inside the image data were changed.",
        "Copy them again in binary mode (FTP), or mark them as binary in .gitattributes.",
    ),
    "mask.unsupported_mode": Code(
        _F,
        "A mask's pixels are not one class value each (RGB, float).",
        "Export index masks: one channel, value = class.",
    ),
    "mask.resized": Code(
        _W,
        "Masks have another size than their images, but the same shape: they were resized (nearest).",
        "Export the masks at the size of the images.",
    ),
    "mask.lossy": Code(
        _F,
        "JPEG or anti-aliasing blurred the masks, and which values were meant is not certain.",
        "Export the masks again as PNG without smoothing; converting the JPEGs does not bring the values back.",
    ),
    "mask.snapped": Code(
        _W,
        "Blurred masks (JPEG, anti-aliasing, inexact colours) were brought back to the values that were meant.",
        "Look at `segdrop check --samples`; better, export the masks again as PNG without smoothing.",
    ),
    "mask.inverted": Code(
        _N,
        "The value that usually means the object (white) covers most of the masks.",
        "If white is the background, name the classes in this order in labels.txt: background last.",
    ),
    "mask.unknown_value": Code(
        _F,
        "Masks hold values that have no class.",
        "Add the classes to labels.txt, correct the masks, or set `unknown_values` to `ignore`.",
    ),
    "mask.too_many_values": Code(
        _F,
        "Masks hold more different values than there can be classes: photographs, lossy masks or instance ids.",
        "Export class-index masks as PNG.",
    ),
    "mask.single_class": Code(
        _F,
        "All masks hold the same single class: there is nothing to learn.",
        "Check the export: background and object need different values.",
    ),
    "mask.all_ignored": Code(
        _F, "A split has no labelled pixel: everything is ignored.", "Check `ignore_index` and the masks."
    ),
    # classes and split
    "classes.assumed": Code(
        _W,
        "Class names or the meaning of values were inferred, because nothing states them.",
        "Add labels.txt (one name per line), or `classes` to the request, if the reading is wrong.",
    ),
    "classes.background_assumed": Code(
        _W,
        "labels.txt was read as including class 0, because it has exactly one line per value.",
        "If line 1 is the class with value 1, set `labels_include_background` to false.",
    ),
    "classes.colours_assumed": Code(
        _W,
        "Masks are coloured and nothing says what the colours mean: each is a class, named after its colour.",
        "Add a legend: labels.txt with `name r g b` in each line, or `classes` with colours such as #ff0000.",
    ),
    "classes.map_unknown": Code(
        _F,
        "`class_map` names a class that the dataset does not have.",
        "Use the names (or mask values) that `segdrop check` prints.",
    ),
    "classes.imbalanced": Code(
        _N,
        "One class covers nearly all pixels, or another hardly any: overall accuracy will look better than it is.",
        "Judge by mean IoU; `loss` `weighted_cross_entropy` or `dice_cross_entropy` gives rare classes weight.",
    ),
    "classes.invalid": Code(
        _F,
        "The class list cannot be used: empty, repeated or too many names, or bytes that are not text.",
        "One unique name per line, UTF-8, at most 254.",
    ),
    "classes.absent": Code(
        _N, "Classes that have a name and no pixel.", "Nothing to do; they are left out of the means."
    ),
    "split.class_missing": Code(
        _W,
        "Classes that appear on one side of the split only.",
        "Add images of these classes, or give a train/val split of your own.",
    ),
    "split.leak": Code(
        _W,
        "Images of the training and validation sides are (nearly) the same: validation looks better than it is.",
        "Put frames of one video or scene on one side: folders train/ and val/ in the ZIP.",
    ),
    "split.incomplete": Code(
        _W,
        "The ZIP has no training side; another one is divided.",
        "Pack a train folder as well, or use no split folders at all.",
    ),
    "split.invalid": Code(
        _F,
        "The split in the ZIP leaves no image for training or none for validation.",
        "Put images into both, or leave the split to us.",
    ),
    # training
    "train.not_finite": Code(
        _F,
        "The loss became infinite or not a number; the step was not taken.",
        "Lower `learning_rate`, or use `precision: fp32`.",
    ),
    "train.crashed": Code(
        _F,
        "The training process ended unexpectedly, as often as is tried.",
        "See the log tail in failed/; the operator finds more in the journal.",
    ),
    "train.out_of_memory": Code(
        _F,
        "The training process ran out of memory, also with half the batch.",
        "Use a smaller `image_size` or `batch_size`, or a machine with more memory.",
    ),
    "train.stalled": Code(
        _F,
        "Training made no progress for `training.stall_seconds`, as often as is tried.",
        "Ask the operator to look at the machine; a smaller `image_size` makes shorter steps.",
    ),
    "train.too_long": Code(
        _F,
        "Training took longer than the operator allows (`training.max_seconds`).",
        "Use a lower `level`, fewer `epochs` or a smaller `image_size`.",
    ),
    "train.one_class": Code(
        _W, "The model predicts one class only.", "Train longer, or check whether the masks fit the images."
    ),
    "train.sanity": Code(
        _N, "This was a run on one image, and it succeeded.", "Leave `mode` out to train on all images."
    ),
    "train.sanity_failed": Code(
        _F,
        "The model could not learn one single image by heart.",
        "Look at the masks (`segdrop check --samples`); a class of few pixels needs a larger `image_size`.",
    ),
    "weights.mismatch": Code(
        _W,
        "A weights file does not match the checksum in its name, or the architecture, and was not used.",
        "Fetch it again: `segdrop models fetch`.",
    ),
    "weights.unavailable": Code(
        _F,
        "Published weights could not be downloaded: no connection, no such file, or other contents than announced.",
        "Try again, or copy the file into `models/` by hand; `--url` names a mirror.",
    ),
    "weights.not_frozen": Code(
        _W,
        "`frozen_stages` needs pretrained weights, and there were none: all stages were trained.",
        "Ask the operator for pretrained weights (`segdrop models fetch`), or leave `frozen_stages` out.",
    ),
    "weights.none": Code(
        _N,
        "No pretrained weights were found: the model starts from random weights.",
        "`segdrop models fetch deeplabv3_resnet50` once, as the operator: results improve a lot.",
    ),
    # environment and spool
    "disk.low": Code(
        _F,
        "Less space is free than the next job needs (`queue.reserve_bytes`).",
        "Free space; waiting jobs go on by themselves.",
    ),
    "disk.full": Code(_F, "The disk is full.", "Free space; waiting jobs go on by themselves."),
    "root.unavailable": Code(
        _F,
        "The root folder is missing, read-only, or not the mounted share.",
        "Mount it, or run `segdrop init`.",
    ),
    "spool.corrupt": Code(
        _F,
        "A work folder cannot be understood; it was moved to failed/.",
        "Copy the input from failed/ into the inbox again.",
    ),
    "internal.error": Code(_F, "A defect in segdrop.", "Report it with the log tail."),
    "job.duplicate": Code(
        _N,
        "The same input was asked for the same before, and the result is in the outbox.",
        "Take that result, or set `force` to run it again.",
    ),
    "job.cancelled": Code(_N, "Somebody cancelled the job.", "Copy the input from failed/ into the inbox to run it."),
    "config.unknown_key": Code(
        _F, "A setting that does not exist.", "Use the suggested key; config/segdrop.toml lists all of them."
    ),
    "config.invalid_value": Code(_F, "A setting has the wrong type or is out of range.", "See config/segdrop.toml."),
}
