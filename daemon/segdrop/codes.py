"""Issue codes. They are public and stable; each says what it means and what to do."""

from enum import StrEnum
from typing import Self


class Severity(StrEnum):
    """Tells how much an issue matters to the job that it was found in."""

    FAULT = "fault"  #: the job cannot run
    WARNING = "warning"  #: it runs, and a person should look
    NOTE = "note"  #: for the record


class Code(StrEnum):
    """A kind of issue: its public name, its usual severity, what causes it, and what to do about it.

    Severity and fix of one issue may differ from those of its code, see :class:`segdrop.errors.Issue`.
    """

    severity: Severity
    cause: str
    fix: str

    def __new__(cls, value: str, severity: Severity = Severity.FAULT, cause: str = "", fix: str = "") -> Self:
        """Makes a member whose value is the public name alone. The defaults let ``Code(name)`` pass as a lookup."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.severity, code.cause, code.fix = severity, cause, fix
        return code

    # archive
    ARCHIVE_NOT_A_ZIP = (
        "archive.not_a_zip",
        Severity.FAULT,
        "The file does not begin like a ZIP.",
        "Pack the dataset as a .zip file (not .rar, .7z or .tar renamed) and copy it again.",
    )
    ARCHIVE_TRUNCATED = (
        "archive.truncated",
        Severity.FAULT,
        "The ZIP has no complete directory at its end: the copy stopped early, or it is one of several parts.",
        "Copy the file again, whole; `unzip -t` on your side should pass first.",
    )
    ARCHIVE_ENCRYPTED = (
        "archive.encrypted",
        Severity.FAULT,
        "The ZIP is encrypted.",
        "Pack it again without a password.",
    )
    ARCHIVE_CORRUPT = (
        "archive.corrupt",
        Severity.FAULT,
        "A member does not unpack, or its checksum (CRC) differs.",
        "Make the ZIP again, test it with `unzip -t`, copy it again.",
    )
    ARCHIVE_UNSUPPORTED_COMPRESSION = (
        "archive.unsupported_compression",
        Severity.FAULT,
        "A member is packed with a method that cannot be read here.",
        "Pack it again with the method Deflate (7-Zip: zip, Deflate; Windows' own packer: in parts below 2 GB).",
    )
    ARCHIVE_EMPTY = ("archive.empty", Severity.FAULT, "The ZIP contains no files.", "Pack the dataset folder itself.")
    ARCHIVE_TOO_LARGE = (
        "archive.too_large",
        Severity.FAULT,
        "The ZIP holds more bytes, more files or larger files than allowed.",
        "Split it, or ask the operator to raise `limits.*`.",
    )
    ARCHIVE_SUSPICIOUS_RATIO = (
        "archive.suspicious_ratio",
        Severity.FAULT,
        "An image or text unpacks to far more than its packed size and its image header explain (a bomb does).",
        "Leave the named file out; if it is an image that opens elsewhere, export it again as PNG.",
    )
    ARCHIVE_UNSAFE_PATH = (
        "archive.unsafe_path",
        Severity.FAULT,
        "A member's name leaves the archive (absolute, drive letter, `..`), is too long or holds control characters.",
        "Pack the folder again with ordinary relative names.",
    )
    ARCHIVE_LINK = (
        "archive.link",
        Severity.FAULT,
        "A member is a symbolic link or another special file.",
        "Pack the files themselves.",
    )
    ARCHIVE_DUPLICATE_NAME = (
        "archive.duplicate_name",
        Severity.FAULT,
        "Data files have one name, or names that differ in case only, and which one is meant is not clear.",
        "Rename one of them.",
    )
    ARCHIVE_OVERLAP = (
        "archive.overlap",
        Severity.FAULT,
        "Members share the same bytes of the archive (a decompression bomb does).",
        "Pack the dataset again with an ordinary tool.",
    )
    ARCHIVE_READER_DIED = (
        "archive.reader_died",
        Severity.FAULT,
        "The process that reads the archive ended while it read this one: by its memory or time limit, or a crash.",
        "Look for damaged or extremely large images; the operator can raise `limits.check_*`.",
    )
    # check
    CHECK_TOO_LONG = (
        "check.too_long",
        Severity.FAULT,
        "The full check of the ZIP took longer than allowed (`limits.check_seconds`, `limits.check_cpu_seconds`).",
        "Drop fewer or smaller images at a time, or ask the operator to raise the limit.",
    )
    CHECK_OUT_OF_MEMORY = (
        "check.out_of_memory",
        Severity.FAULT,
        "Reading the ZIP takes more memory than its check may use (`limits.check_memory_bytes`, or `ulimit -v`).",
        "Look for an extremely large image or annotation file, or ask the operator to raise the limit.",
    )
    # intake
    INPUT_NOT_REGULAR = (
        "input.not_regular",
        Severity.FAULT,
        "The input or its request became a link, a folder or another special file after it had settled.",
        "Copy the files themselves into the inbox, the request first.",
    )
    INPUT_NO_IMAGES = (
        "input.no_images",
        Severity.FAULT,
        "The input holds no image to predict, judged by the names of its files.",
        "Pack the images themselves (PNG, JPEG, TIFF, WebP, BMP); a video is dropped by itself, not in a ZIP.",
    )
    INPUT_NONE_READABLE = (
        "input.none_readable",
        Severity.FAULT,
        "Not one of the images of the input could be decoded.",
        "Open one of them in an image viewer, and export them again.",
    )
    INPUT_TOO_LARGE = (
        "input.too_large",
        Severity.FAULT,
        "The input file has more bytes than a file of its kind may have (`limits.max_json_bytes`, `max_member_bytes`).",
        "Drop fewer images at a time, at best as a ZIP; or ask the operator to raise the limit.",
    )
    INPUT_TOO_MANY_IMAGES = (
        "input.too_many_images",
        Severity.FAULT,
        "The JSON holds more images than allowed (`limits.max_json_images`).",
        "Divide it into several files, or drop the images as a ZIP, which may hold many more.",
    )
    INPUT_JSON_BROKEN = (
        "input.json_broken",
        Severity.FAULT,
        "The JSON with images cannot be read: it is no JSON, was cut off, or does not have the keys it should.",
        'Write {"image_names": ["a.jpg"], "images": ["<base64>"]} in UTF-8; `segdrop images-to-json` does.',
    )
    INPUT_JSON_IMAGE_BROKEN = (
        "input.json_image_broken",
        Severity.WARNING,
        "An image in the JSON is not whole base64 text: it was left out, and the others were not.",
        "Encode the bytes of the image file in base64 again (RFC 4648), as one text.",
    )
    INPUT_JSON_NAMES = (
        "input.json_names",
        Severity.WARNING,
        "The names in the JSON are not one text for each image: images without a name got a number.",
        "Give `image_names` as many texts as `images`, in the same order.",
    )
    INPUT_JSON_OTHER_KEYS = (
        "input.json_other_keys",
        Severity.NOTE,
        "The JSON with images has keys that mean nothing here: they were passed over.",
        "Nothing to do; settings stand in a request beside the file, not in it.",
    )
    INPUT_VIDEO_UNREADABLE = (
        "input.video_unreadable",
        Severity.FAULT,
        "The video cannot be opened: it is none, was cut off before its index, or has a codec that is not known.",
        "Play it from beginning to end, copy it again, or convert it (`ffmpeg -i IN -c:v libx264 OUT.mp4`).",
    )
    INPUT_VIDEO_NO_FRAMES = (
        "input.video_no_frames",
        Severity.FAULT,
        "The video has no frame that can be decoded: it is sound alone, or empty.",
        "Play it: if there is a picture, convert it (`ffmpeg -i IN -c:v libx264 OUT.mp4`) and drop it again.",
    )
    INPUT_VIDEO_TOO_LONG = (
        "input.video_too_long",
        Severity.FAULT,
        "The video has more frames than allowed (`limits.max_video_frames`).",
        "Cut it into parts, lower its frame rate, or ask the operator to raise the limit.",
    )
    INPUT_VIDEO_TOO_LARGE = (
        "input.video_too_large",
        Severity.FAULT,
        "The frames of the video have more pixels than allowed (`limits.max_video_pixels`).",
        "Scale it down (`ffmpeg -i IN -vf scale=1920:-2 OUT.mp4`), or ask the operator to raise the limit.",
    )
    INPUT_VIDEO_MORE_THAN_PROMISED = (
        "input.video_more_than_promised",
        Severity.WARNING,
        "The video yields more or larger frames than its container says: it was stopped there.",
        "Write it anew (`ffmpeg -i IN -c:v libx264 OUT.mp4`) and drop it again, if the rest is needed.",
    )
    INPUT_VIDEO_INCOMPLETE = (
        "input.video_incomplete",
        Severity.WARNING,
        "The video ends before the last frame that its container promises.",
        "Copy it again, if the rest is needed.",
    )
    INPUT_FRAME_DAMAGED = (
        "input.frame_damaged",
        Severity.WARNING,
        "A part of the video cannot be decoded: these frames were left out.",
        "Nothing to do, unless they are needed: then copy or convert the video again.",
    )
    INPUT_DECODER_DIED = (
        "input.decoder_died",
        Severity.WARNING,
        "The process that decodes images ended twice on one image, by a crash or a limit: it was left out.",
        "Export the image again, at best as PNG; the operator finds more in the log, and limits in `limits.check_*`.",
    )
    INPUT_EXTRA_MISSING = (
        "input.extra_missing",
        Severity.FAULT,
        "An optional package of segdrop that reads this kind of input is not installed on this machine.",
        "Ask the operator to run `pip install 'segdrop[video]'`; or drop the frames as a ZIP of images.",
    )
    # request
    REQUEST_NOT_JSON = (
        "request.not_json",
        Severity.FAULT,
        "The request is not readable JSON.",
        "Check the sidecar with a JSON validator: one object, UTF-8, double quotes, no comments.",
    )
    REQUEST_TOO_LARGE = (
        "request.too_large",
        Severity.FAULT,
        "The request file is larger than a request can be.",
        "Keep settings only in it; see config/request.schema.json.",
    )
    REQUEST_UNKNOWN_KEY = (
        "request.unknown_key",
        Severity.FAULT,
        "The request has a key that does not exist.",
        "Use the suggested key; docs/request.md lists all of them.",
    )
    REQUEST_INVALID_VALUE = (
        "request.invalid_value",
        Severity.FAULT,
        "A value in the request has the wrong type, is out of range, or is none of those that there are.",
        "See docs/request.md for what the key takes.",
    )
    REQUEST_NO_GPU = (
        "request.no_gpu",
        Severity.FAULT,
        "The request asks for a GPU, and the training process has none that it can use.",
        'Use `auto` or `cpu`, or ask the operator: docs/operators.md, "With a GPU".',
    )
    REQUEST_NEEDS_PREDICT = (
        "request.needs_predict",
        Severity.FAULT,
        "An image, a video or a JSON file of images came without a request for a prediction: it can only be predicted.",
        'Put NAME.json with {"task": "predict", "model": "..."} beside it; pack a dataset as a ZIP.',
    )
    REQUEST_NEAR_MISS = (
        "request.near_miss",
        Severity.WARNING,
        "A file beside the input looks like its request and has another name: it was not read.",
        "If it is the request: cancel the job, call it like the input with .json at its end, and copy the input again.",
    )
    REQUEST_LATE = (
        "request.late",
        Severity.WARNING,
        "A request came after its input had been claimed without one: it was not used.",
        "If it is for this input, touch it and copy the input once more; else remove it: the next of its name waits.",
    )
    REQUEST_WEIGHTS_NOT_FOUND = (
        "request.weights_not_found",
        Severity.FAULT,
        "`pretrained` names a file that is not in `models/`, or one with another checksum or architecture.",
        "Ask the operator for the file, or use `auto` or `none`.",
    )
    # layout and pairs
    LAYOUT_UNKNOWN = (
        "layout.unknown",
        Severity.FAULT,
        "No known dataset layout was recognised in the ZIP.",
        "Put images into `images/` and masks into `masks/`, with equal file names.",
    )
    LAYOUT_NO_IMAGES = (
        "layout.no_images",
        Severity.FAULT,
        "No images were found where the layout has them.",
        "Put the images (PNG, JPEG, BMP, TIFF, WebP) into `images/`.",
    )
    LAYOUT_NO_MASKS = (
        "layout.no_masks",
        Severity.FAULT,
        "No masks were found where the layout has them.",
        "Put one mask for each image into `masks/`, under the same file name.",
    )
    LAYOUT_AMBIGUOUS = (
        "layout.ambiguous",
        Severity.FAULT,
        "The files fit two layouts equally well, which mean different things.",
        "Name one of them as `format` in the request, or pack one of them alone.",
    )
    LAYOUT_ASSUMED = (
        "layout.assumed",
        Severity.WARNING,
        "Which files are images and which are masks was concluded from what nearly always holds, and from no name.",
        "Look at it with `segdrop check --samples`; name the layout as `format` in the request if it is right.",
    )
    LAYOUT_UNSUPPORTED = (
        "layout.unsupported",
        Severity.FAULT,
        "Truth or images are the export of a tool, or of a kind of file, that is not read (.mat, .npy, DICOM, HEIC).",
        "Export the masks as PNG files, or the annotations as COCO JSON.",
    )
    LAYOUT_STRAY_FILE = (
        "layout.stray_file",
        Severity.NOTE,
        "Files that belong to nothing were left out.",
        "Nothing to do, unless they were meant to be data.",
    )
    PAIR_MISSING_MASK = (
        "pair.missing_mask",
        Severity.WARNING,
        "Images without a mask of the same name at the same place (a fault where they are more than half).",
        "Add the masks, or leave the images out.",
    )
    PAIR_MISSING_IMAGE = (
        "pair.missing_image",
        Severity.WARNING,
        "Masks without an image of the same name at the same place (a fault where they are more than half).",
        "Add the images, or leave the masks out.",
    )
    PAIR_AMBIGUOUS = (
        "pair.ambiguous",
        Severity.FAULT,
        "Two files claim to be the same image, or the same mask.",
        "Keep one file for each name.",
    )
    PAIR_CONTRADICTION = (
        "pair.contradiction",
        Severity.WARNING,
        "Copies of one image have different masks: at most one of them is right.",
        "Keep one mask for each image, and the copies of the image out of the ZIP.",
    )
    PAIR_SIZE_MISMATCH = (
        "pair.size_mismatch",
        Severity.FAULT,
        "A mask has a different size from its image.",
        "Export the masks at the size of the images.",
    )
    PAIR_SWAPPED = (
        "pair.swapped",
        Severity.FAULT,
        "The folder of images holds masks, and the folder of masks holds images.",
        "Exchange the two folders' names.",
    )
    PAIR_FEW = (
        "pair.few",
        Severity.WARNING,
        "So few pairs that results will mean little.",
        "Label more images: from about 20 on, results begin to mean something.",
    )
    PAIR_TOO_FEW = (
        "pair.too_few",
        Severity.FAULT,
        "Too few pairs to train on: one for training and one for validation is the least.",
        "Add labelled images; from about 20 on, results begin to mean something.",
    )
    # annotation files
    ANNOTATION_INVALID = (
        "annotation.invalid",
        Severity.FAULT,
        "An annotation file cannot be read, or is not what its tool writes.",
        "Correct what is named in the tool that wrote the file, and export again.",
    )
    ANNOTATION_MISSING_IMAGE = (
        "annotation.missing_image",
        Severity.WARNING,
        "Annotations name images that are not in the ZIP (a fault where they are more than half).",
        "Pack the images together with the annotations.",
    )
    ANNOTATION_BOXES_ONLY = (
        "annotation.boxes_only",
        Severity.FAULT,
        "The annotations are boxes, without outlines or masks.",
        "Label areas (polygons, brush, masks); boxes alone do not say which pixels belong to an object.",
    )
    ANNOTATION_NO_AREA = (
        "annotation.no_area",
        Severity.WARNING,
        "Some annotations have no area (points, lines, boxes, empty outlines) and were left out.",
        "Draw polygons or masks for what is to be learnt.",
    )
    ANNOTATION_UNNAMED = (
        "annotation.unnamed",
        Severity.WARNING,
        "Areas have no class name, and were taken for the only class there is.",
        "Give every area a class name.",
    )
    # images and masks
    IMAGE_UNREADABLE = (
        "image.unreadable",
        Severity.FAULT,
        "An image or mask cannot be decoded.",
        "Open it in an image viewer, and export it again or leave it out.",
    )
    IMAGE_TOO_LARGE = (
        "image.too_large",
        Severity.FAULT,
        "An image or mask has more pixels than allowed.",
        "Cut it into tiles, or ask the operator to raise `limits.max_image_pixels`.",
    )
    IMAGE_NOT_FETCHED = (
        "image.not_fetched",
        Severity.FAULT,
        "Files are Git LFS pointers: a few lines of text in place of the image.",
        "Run `git lfs pull`, then pack the ZIP again.",
    )
    IMAGE_TEXT_MANGLED = (
        "image.text_mangled",
        Severity.FAULT,
        "Files were transferred as text: line ends inside the image data were changed.",
        "Copy them again in binary mode (FTP), or mark them as binary in .gitattributes.",
    )
    IMAGE_BANDS = (
        "image.bands",
        Severity.WARNING,
        "Images have more bands (channels) than red, green and blue, such as near infrared: the first three are used.",
        "Export the three bands to learn from as an RGB image, in this order, if the first three are not those.",
    )
    IMAGE_PAGES = (
        "image.pages",
        Severity.WARNING,
        "Files hold several pages (slices of a stack, frames of an animation), and a pair is one image and one mask.",
        "Save each page as a file of its own, images and masks alike (ImageJ: Save As, Image Sequence), then pack.",
    )
    IMAGE_TRANSPARENT = (
        "image.transparent",
        Severity.WARNING,
        "A noticeable part of images is transparent: the colour under it is seen, whatever a viewer shows there.",
        "Export the images without transparency, on the background that they shall have.",
    )
    IMAGE_DEPTHS_MIXED = (
        "image.depths_mixed",
        Severity.WARNING,
        "Some images have more than 8 bits a channel and others have 8: the two may differ in brightness.",
        "Export all images alike, at best with 8 bits a channel.",
    )
    IMAGE_RANGES_DIFFER = (
        "image.ranges_differ",
        Severity.WARNING,
        "Images with more than 8 bits a channel have values of very different ranges, and one range is used for all.",
        "Export all images with one range of values, at best with 8 bits a channel.",
    )
    IMAGE_ORIENTATION = (
        "image.orientation",
        Severity.WARNING,
        "The EXIF orientation turns images, and whether it turns their masks as well only the pixels tell.",
        "Look at samples (`segdrop check --samples DIR`); `mask_orientation` in the request decides.",
    )
    MASK_PAGES = (
        "mask.pages",
        Severity.FAULT,
        "Masks hold several pages (slices of a stack), and a pair is one image and one mask.",
        "Save each page as a file of its own, images and masks alike (ImageJ: Save As, Image Sequence), then pack.",
    )
    MASK_UNSUPPORTED_MODE = (
        "mask.unsupported_mode",
        Severity.FAULT,
        "A mask's pixels are not one class value each (RGB, float).",
        "Export index masks: one channel, value = class.",
    )
    MASK_RESIZED = (
        "mask.resized",
        Severity.WARNING,
        "Masks have another size than their images, but the same shape: they were resized (nearest).",
        "Export the masks at the size of the images.",
    )
    MASK_LOSSY = (
        "mask.lossy",
        Severity.FAULT,
        "JPEG or anti-aliasing blurred the masks, and which values were meant is not certain.",
        "Export the masks again as PNG without smoothing; converting the JPEGs does not bring the values back.",
    )
    MASK_SNAPPED = (
        "mask.snapped",
        Severity.WARNING,
        "Blurred masks (JPEG, anti-aliasing, inexact colours) were brought back to the values that were meant.",
        "Look at `segdrop check --samples`; better, export the masks again as PNG without smoothing.",
    )
    MASK_MISFIT = (
        "mask.misfit",
        Severity.WARNING,
        "Masks fit the edges in their images much better if they are turned, moved, or given to the neighbour.",
        "Look at `segdrop check --samples`, which shows both ways; if the other fits, mend the masks and pack again.",
    )
    MASK_INVERTED = (
        "mask.inverted",
        Severity.WARNING,
        "The value that usually means the object (white) covers most of the masks, and runs along their edges.",
        'Say which is which in the request: "classes": {"0": "object", "255": "background"}.',
    )
    MASK_PALETTE_UNCLEAR = (
        "mask.palette_unclear",
        Severity.FAULT,
        "Masks have palettes, and whether the index or the colour of a pixel is its class is not clear.",
        "Name the classes in `classes` of the request, by index or by colour (#ff0000).",
    )
    MASK_MOSTLY_IGNORED = (
        "mask.mostly_ignored",
        Severity.WARNING,
        'Most pixels of the masks are left out: what is read as "ignored" may be a class.',
        "If it is a class, name it in `classes` and set `ignore_index` to null; if not, set that to its value.",
    )
    MASK_STRAY_VALUES = (
        "mask.stray_values",
        Severity.WARNING,
        "A few pixels in a few masks have values that nothing else has: they were left out.",
        "Correct these pixels; if they are a class, name it in labels.txt or in `classes` of the request.",
    )
    MASK_MIXED_SCALES = (
        "mask.mixed_scales",
        Severity.WARNING,
        "Masks of two values write the object in different ways: 1 in some, 255 in others.",
        "If these values are different classes, name each of them by its value in `classes` of the request.",
    )
    MASK_INSTANCE_IDS = (
        "mask.instance_ids",
        Severity.WARNING,
        "The values of the masks look like instance ids (1, 2, 3, … for the objects of one image), not like classes.",
        "If the values are classes, name each of them by its value in `classes` of the request.",
    )
    MASK_UNKNOWN_VALUE = (
        "mask.unknown_value",
        Severity.FAULT,
        "Masks hold values that have no class.",
        "Add the classes to labels.txt, correct the masks, or set `unknown_values` to `ignore`.",
    )
    MASK_TOO_MANY_VALUES = (
        "mask.too_many_values",
        Severity.FAULT,
        "Masks hold more different values than there can be classes: photographs, lossy masks or instance ids.",
        "Export class-index masks as PNG.",
    )
    MASK_OVERLAP = (
        "mask.overlap",
        Severity.WARNING,
        "An image has a mask for each class, and they overlap: a pixel can have one class only.",
        "Look at `segdrop check --samples`; correct the masks where the class below was meant.",
    )
    MASK_SINGLE_CLASS = (
        "mask.single_class",
        Severity.FAULT,
        "All masks hold the same single class: there is nothing to learn.",
        "Check the export: background and object need different values.",
    )
    MASK_ALL_IGNORED = (
        "mask.all_ignored",
        Severity.FAULT,
        "A split has no labelled pixel: everything is ignored.",
        "Check `ignore_index` and the masks.",
    )
    # classes and split
    CLASSES_ASSUMED = (
        "classes.assumed",
        Severity.WARNING,
        "Class names or the meaning of values were inferred, because nothing states them.",
        "Add labels.txt (one name per line), or `classes` to the request, if the reading is wrong.",
    )
    CLASSES_IN_ONE_FILE = (
        "classes.in_one_file",
        Severity.NOTE,
        "A class has pixels in one mask only.",
        "If it is a slip of the pen, mend that mask; else label more of it: one image teaches and measures nothing.",
    )
    CLASSES_BACKGROUND_ASSUMED = (
        "classes.background_assumed",
        Severity.WARNING,
        "labels.txt was read as including class 0, because it has exactly one line per value.",
        "If line 1 is the class with value 1, set `labels_include_background` to false.",
    )
    CLASSES_COLOURS_ASSUMED = (
        "classes.colours_assumed",
        Severity.WARNING,
        "Masks are coloured and nothing says what the colours mean: each is a class, named after its colour.",
        "Add a legend: labels.txt with `name r g b` in each line, or `classes` with colours such as #ff0000.",
    )
    CLASSES_MAP_UNKNOWN = (
        "classes.map_unknown",
        Severity.FAULT,
        "`class_map` names a class that the dataset or the model does not have, or leaves none.",
        "Use the names (or mask values) that `segdrop check` prints; for a model those of `segdrop models`.",
    )
    CLASSES_ALIKE = (
        "classes.alike",
        Severity.WARNING,
        "Names of classes differ in spelling only (crack, Crack, cracks): perhaps one class, written in several ways.",
        'Merge them in the request, `"class_map": {"Crack": "crack"}`, or correct the labels.',
    )
    CLASSES_IMBALANCED = (
        "classes.imbalanced",
        Severity.NOTE,
        "One class covers nearly all pixels, or another hardly any: overall accuracy will look better than it is.",
        "Judge by mean IoU; `loss` `weighted_cross_entropy` or `dice_cross_entropy` gives rare classes weight.",
    )
    CLASSES_INVALID = (
        "classes.invalid",
        Severity.FAULT,
        "The class list cannot be used: empty, repeated or too many names, or bytes that are not text.",
        "One unique name per line, UTF-8, at most 254.",
    )
    CLASSES_CONTRADICTED = (
        "classes.contradicted",
        Severity.FAULT,
        "Two lists of classes in the ZIP give one mask value, colour or line different names.",
        "Leave the wrong list out of the ZIP, or put the right classes into the request as `classes`.",
    )
    CLASSES_SHIFTED = (
        "classes.shifted",
        Severity.WARNING,
        "The list of classes fits the mask values in two ways, one line apart (a fault where neither is likelier).",
        "If the other reading is right, set `labels_include_background`, or give `classes` with their values.",
    )
    CLASSES_ABSENT = (
        "classes.absent",
        Severity.NOTE,
        "Classes that have a name and no pixel.",
        "Nothing to do; they are left out of the means.",
    )
    SPLIT_CLASS_MISSING = (
        "split.class_missing",
        Severity.WARNING,
        "Classes that appear on one side of the split only.",
        "Add images of these classes, or give a train/val split of your own.",
    )
    SPLIT_LEAK = (
        "split.leak",
        Severity.WARNING,
        "Images of the training and validation sides are (nearly) the same: validation looks better than it is.",
        "Put frames of one video or scene on one side: folders train/ and val/ in the ZIP.",
    )
    SPLIT_INCOMPLETE = (
        "split.incomplete",
        Severity.WARNING,
        "The ZIP has no training side; another one is divided.",
        "Pack a train folder as well, or use no split folders at all.",
    )
    SPLIT_LIST = (
        "split.list",
        Severity.WARNING,
        "Lists of names (train.txt, val.txt, test.txt) and the pairs in the ZIP do not fit together.",
        "Correct the lists, or leave them out of the ZIP; folders train/, val/ and test/ divide as well.",
    )
    SPLIT_INVALID = (
        "split.invalid",
        Severity.FAULT,
        "The split in the ZIP leaves no image for training or none for validation.",
        "Put images into both, or leave the split to us.",
    )
    # training
    TRAIN_NOT_FINITE = (
        "train.not_finite",
        Severity.FAULT,
        "The loss became infinite or not a number; the step was not taken.",
        "Lower `learning_rate`, or use `precision: fp32`.",
    )
    TRAIN_CRASHED = (
        "train.crashed",
        Severity.FAULT,
        "The training process ended unexpectedly, as often as is tried.",
        "See the log tail in failed/; the operator finds more in the journal.",
    )
    TRAIN_OUT_OF_MEMORY = (
        "train.out_of_memory",
        Severity.FAULT,
        "The training process ran out of memory, also with a smaller batch where there is one.",
        "Use a smaller `image_size` or `batch_size`, or a machine with more memory.",
    )
    TRAIN_BATCH_HALVED = (
        "train.batch_halved",
        Severity.WARNING,
        "The training process ran out of memory, and was begun anew with half the batch.",
        "Nothing to do; a smaller `image_size` or `batch_size`, or more memory, make room for whole batches.",
    )
    TRAIN_RESUMED_DIFFERENTLY = (
        "train.resumed_differently",
        Severity.NOTE,
        "A run was taken up again under other conditions: number format, threads, processor, torch or recipe.",
        "Nothing to do; for weights that are the same to the bit, run it again, with `force`.",
    )
    TRAIN_STALLED = (
        "train.stalled",
        Severity.FAULT,
        "Training made no progress for `training.stall_seconds`, as often as is tried.",
        "Ask the operator to look at the machine; a smaller `image_size` makes shorter steps.",
    )
    TRAIN_TOO_LONG = (
        "train.too_long",
        Severity.FAULT,
        "Training took longer than the operator allows (`training.max_seconds`).",
        "Use a lower `level`, fewer `epochs` or a smaller `image_size`.",
    )
    TRAIN_ONE_CLASS = (
        "train.one_class",
        Severity.WARNING,
        "The model predicts one class only.",
        "Train longer, or check whether the masks fit the images.",
    )
    TRAIN_SANITY = (
        "train.sanity",
        Severity.NOTE,
        "This was a run on one image, and it succeeded.",
        "Leave `mode` out to train on all images.",
    )
    TRAIN_SANITY_FAILED = (
        "train.sanity_failed",
        Severity.FAULT,
        "The model could not learn one single image by heart.",
        "Look at the masks (`segdrop check --samples`); a class of few pixels needs a larger `image_size`.",
    )
    TRAIN_NO_BETTER_THAN_START = (
        "train.no_better_than_start",
        Severity.WARNING,
        "No epoch of a training from an earlier model had a better mean IoU than that model had to begin with.",
        "Keep the earlier model. Before the next try, look at the new masks, add images, or train longer or slower.",
    )
    MODEL_NOT_FOUND = (
        "model.not_found",
        Severity.FAULT,
        "There is no such model: nothing in `models/`, no such job, a job without a model, or its result is gone.",
        "Name a model that `segdrop models` lists, or a job whose result is in `outbox/`.",
    )
    MODEL_NOT_NAMED = (
        "model.not_named",
        Severity.FAULT,
        "A request to predict or to evaluate names no model, and the operator has set no `inference.default_model`.",
        "Set `model`: a job's id, `previous`, or a name in `models/` (`segdrop models` lists all).",
    )
    MODEL_CHANGED = (
        "model.changed",
        Severity.FAULT,
        "The model in `outbox/` is not the one that the training made: its SHA-256 differs from that on record.",
        "Put the result ZIP back as it was delivered, or train again and name the new job.",
    )
    MODEL_MISMATCH = (
        "model.mismatch",
        Severity.FAULT,
        "The earlier model is of another architecture than the one that is asked for.",
        "Ask for the architecture that the earlier model has, or start from other weights.",
    )
    MODEL_NO_PREVIOUS = (
        "model.no_previous",
        Severity.NOTE,
        "`previous` leads to nothing: no earlier training of the same name and owner has its result in `outbox/`.",
        "Nothing to do for the first one. Later ones need the same name, dropped by the same user.",
    )
    MODEL_CLASSES_UNMATCHED = (
        "model.classes_unmatched",
        Severity.FAULT,
        "The dataset has classes that the model does not know.",
        "Map them with `class_map` ({dataset's name: model's name}, or null to leave a class out), or train on them.",
    )
    MODEL_CLASSES_MATCHED = (
        "model.classes_matched",
        Severity.NOTE,
        "The classes of the model and of the dataset were matched by name.",
        "Look whether they mean the same; `class_map` renames and merges classes.",
    )
    MODEL_KNOWS_VALIDATION = (
        "model.knows_validation",
        Severity.WARNING,
        "Validation images have the names of images that the earlier model was trained on: it scores too well on them.",
        "Bring the split in the ZIP (train/ and val/ folders), the same for every training of the series.",
    )
    MODEL_UNSAFE = (
        "model.unsafe",
        Severity.FAULT,
        "Opening the model could run a program or read other files: a pickle, weights elsewhere. It was not opened.",
        "Save the model as safetensors (`save_pretrained`) or ONNX, and put that into `models/`.",
    )
    MODEL_UNSUPPORTED = (
        "model.unsupported",
        Severity.FAULT,
        "The model is of a kind that is not read here, or needs what is not read here.",
        "Export it as ONNX, which every framework can write (TensorFlow and Keras: tf2onnx).",
    )
    MODEL_INVALID = (
        "model.invalid",
        Severity.FAULT,
        "The model is of a kind that is read, and is damaged, incomplete, or does not fit its own description.",
        "Copy it again, whole; if it is whole, export it again.",
    )
    MODEL_NO_CLASSES = (
        "model.no_classes",
        Severity.FAULT,
        "Nothing says what the classes of the model are called, or there are more or fewer names than classes.",
        "Put NAME.labels.txt beside the model NAME.onnx: one class name a line, in the order of the model's outputs.",
    )
    MODEL_NOT_INSTALLED = (
        "model.not_installed",
        Severity.FAULT,
        "Models of this kind need an optional package that is not installed.",
        "Ask the operator to install it: `pip install 'segdrop[transformers]'` or `pip install 'segdrop[onnx]'`.",
    )
    MODEL_ASSUMED = (
        "model.assumed",
        Severity.WARNING,
        "The model does not say how its input is made, or what its output means, and the usual was assumed.",
        "Look at the overlays; if they are wrong, state it: preprocessor_config.json or the model's metadata.",
    )
    INFERENCE_CRASHED = (
        "inference.crashed",
        Severity.FAULT,
        "The process that predicts ended unexpectedly, as often as is tried.",
        "See the log tail in failed/; the operator finds more in the journal.",
    )
    INFERENCE_OUT_OF_MEMORY = (
        "inference.out_of_memory",
        Severity.FAULT,
        "The process that predicts ran out of memory.",
        "Set `tile` (1024, say) for large images, or use a machine with more memory.",
    )
    INFERENCE_NOT_FINITE = (
        "inference.not_finite",
        Severity.FAULT,
        "The model's outputs are infinite or not numbers: its weights are damaged, or too large for the number format.",
        "Try `precision: fp32`. If that changes nothing, use another model, or train again.",
    )
    INFERENCE_STALLED = (
        "inference.stalled",
        Severity.FAULT,
        "Predicting made no progress for `training.stall_seconds`, as often as is tried.",
        "Ask the operator to look at the machine; set `tile` for very large images.",
    )
    INFERENCE_TOO_LONG = (
        "inference.too_long",
        Severity.FAULT,
        "Predicting took longer than the operator allows (`training.max_seconds`).",
        "Drop fewer images at a time, or a shorter video.",
    )
    INFERENCE_OUTPUT_TOO_LARGE = (
        "inference.output_too_large",
        Severity.FAULT,
        "What is asked for takes more space than the operator allows (`limits.max_output_bytes`), or than is free.",
        "Ask for fewer `outputs`, or drop fewer images at a time.",
    )
    WEIGHTS_MISMATCH = (
        "weights.mismatch",
        Severity.WARNING,
        "A weights file does not match the checksum in its name, or the architecture, and was not used.",
        "Fetch it again: `segdrop models fetch`.",
    )
    WEIGHTS_UNAVAILABLE = (
        "weights.unavailable",
        Severity.FAULT,
        "Published weights could not be downloaded: no connection, no such file, or other contents than announced.",
        "Try again, or copy the file into `models/` by hand; `--url` names a mirror.",
    )
    WEIGHTS_NOT_FROZEN = (
        "weights.not_frozen",
        Severity.WARNING,
        "`frozen_stages` needs pretrained weights, and there were none: all stages were trained.",
        "Ask the operator for pretrained weights (`segdrop models fetch`), or leave `frozen_stages` out.",
    )
    WEIGHTS_NONE = (
        "weights.none",
        Severity.NOTE,
        "No pretrained weights were found: the model starts from random weights.",
        "`segdrop models fetch deeplabv3_resnet50` once, as the operator: results improve a lot.",
    )
    OUTPUT_NEEDS_VIDEO = (
        "output.needs_video",
        Severity.FAULT,
        "`outputs` has a kind that is made of a video's frames, and the input is no video.",
        "Leave it out, or drop the video itself (mp4, mov, avi, mkv); images have `overlay`, `masks` and `colour`.",
    )
    OUTPUT_EXTRA_MISSING = (
        "output.extra_missing",
        Severity.FAULT,
        "A kind of output needs an optional package, which is not installed on this machine.",
        "Ask the operator to run the `pip install` that the message names, or leave the kind out of `outputs`.",
    )
    OUTPUT_NO_SOUND = (
        "output.no_sound",
        Severity.WARNING,
        "The video's sound could not be copied: the overlaid video has none.",
        "Convert the source (`ffmpeg -i IN -c:v libx264 -c:a aac OUT.mp4`) and drop it again, if sound is needed.",
    )
    OUTPUT_VIDEO_CODEC = (
        "output.video_codec",
        Severity.NOTE,
        "No encoder for H.264 is installed: the overlaid video is MPEG-4, which browsers do not play.",
        "Play it with VLC or mpv; or ask the operator to install PyAV's own wheel, which brings the encoder.",
    )
    # environment and spool
    DISK_LOW = (
        "disk.low",
        Severity.FAULT,
        "Less space is free than the next job needs (`queue.reserve_bytes`).",
        "Free space; waiting jobs go on by themselves.",
    )
    DISK_FULL = ("disk.full", Severity.FAULT, "The disk is full.", "Free space; waiting jobs go on by themselves.")
    ROOT_UNAVAILABLE = (
        "root.unavailable",
        Severity.FAULT,
        "The root folder is missing, read-only, or not the mounted share.",
        "Mount it, or run `segdrop init`.",
    )
    SPOOL_CORRUPT = (
        "spool.corrupt",
        Severity.FAULT,
        "A work folder cannot be understood; it was moved to failed/.",
        "Copy the input from failed/ into the inbox again.",
    )
    INTERNAL_ERROR = ("internal.error", Severity.FAULT, "A defect in segdrop.", "Report it with the log tail.")
    JOB_DUPLICATE = (
        "job.duplicate",
        Severity.NOTE,
        "The same input was asked for the same before, and the result is in the outbox.",
        "Take that result, or set `force` to run it again.",
    )
    JOB_CANCELLED = (
        "job.cancelled",
        Severity.NOTE,
        "Somebody cancelled the job.",
        "Copy the input from failed/ into the inbox to run it.",
    )
    CONFIG_UNKNOWN_KEY = (
        "config.unknown_key",
        Severity.FAULT,
        "A setting that does not exist.",
        "Use the suggested key; config/segdrop.toml lists all of them.",
    )
    CONFIG_INVALID_VALUE = (
        "config.invalid_value",
        Severity.FAULT,
        "A setting has the wrong type or is out of range.",
        "See config/segdrop.toml.",
    )
