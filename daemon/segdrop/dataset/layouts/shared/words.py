"""Words for images, masks and sides of the split that people name folders with, in the languages that they write.

All are in lower case, without a plural's s, and compared without accents.
"""

import unicodedata

#: by preference, where an archive has several; ``701stillsrawfull`` is CamVid's own
IMAGES = (
    *("image", "img", "jpegimage", "pngimage", "rgb", "photo", "picture", "pic", "input", "x", "frame"),
    "701stillsrawfull",
    *("rgbimage", "colorimage", "colourimage", "originalimage", "imageoriginal", "rawimage", "sourceimage"),
    *("original", "photograph", "ortho", "orthophoto"),
    # German, Dutch, French
    *("bild", "bilder", "foto", "aufnahme", "aufnahmen", "rohbild", "rohbilder", "eingabe", "originalbild"),
    *("afbeelding", "afbeeldingen", "beeld", "beelden", "photographie", "cliché", "entrée"),
    # Spanish, Portuguese, Italian (without the s of the plural)
    *("imagen", "imágene", "fotografía", "entrada", "imagem", "immagine", "immagini", "fotografia", "ingresso"),
    # Russian, Polish, Turkish
    *("изображение", "изображения", "снимок", "снимки", "фото", "картинки"),
    *("obraz", "obrazy", "zdjęcie", "zdjęcia", "görüntü", "görüntüler", "resimler"),
    # Japanese, Chinese, Korean
    *("画像", "写真", "元画像", "原画像", "入力", "入力画像", "イメージ"),
    *("图像", "图片", "影像", "照片", "原图", "圖像", "圖片", "相片", "原圖", "输入"),
    *("이미지", "사진", "영상", "원본", "입력"),
)
#: the same; ``labeledapprovedfull`` is CamVid's own
MASKS = (
    *("mask", "label", "labelspng", "annotation", "annot", "ann", "gt", "groundtruth", "segmentationclass"),
    *("segmentation", "segmentationmask", "segmask", "seg", "segmap", "target", "truth", "output", "y"),
    *("1stmanual", "manual1", "manual", "firstmanual", "2ndmanual", "manual2", "secondmanual"),
    "labeledapprovedfull",
    *("1stmanual", "manual1", "manual", "firstmanual", "2ndmanual", "manual2", "secondmanual"),
    *("semseg", "semanticsegmentation", "semanticmask", "semanticlabel", "semantic", "segmented", "lbl"),
    *("binarymask", "gtmask", "groundtruthmask", "maskgt", "labelmask", "masklabel", "labelimage", "maskimage"),
    *("annotationmask", "segmentationlabel", "trimap", "pixellabel"),
    # German, Dutch, French
    *("maske", "masken", "segmentierung", "segmentierungen", "annotationen", "beschriftung", "beschriftungen"),
    *("etikett", "etiketten", "grundwahrheit", "masker", "masque", "étiquette", "vérité", "véritéterrain"),
    # Spanish, Portuguese, Italian
    *("máscara", "etiqueta", "segmentación", "segmentacione", "anotación", "anotacione", "rótulo"),
    *("segmentação", "segmentaçõe", "anotação", "anotaçõe", "maschera", "maschere", "etichetta", "etichette"),
    *("segmentazione", "segmentazioni", "annotazione", "annotazioni"),
    # Russian, Polish, Turkish
    *("маска", "маски", "разметка", "метка", "метки", "сегментация", "maska", "maski", "etykiety"),
    *("maskeler", "etiketler"),
    # Japanese, Chinese, Korean
    *("マスク", "ラベル", "正解", "正解ラベル", "教師", "アノテーション", "セグメンテーション"),
    *("掩膜", "掩码", "掩模", "遮罩", "蒙版", "标签", "标注", "真值", "分割", "掩碼", "標籤", "標註"),
    *("마스크", "라벨", "레이블", "정답", "어노테이션", "세그멘테이션"),
)
#: pictures of masks, which are neither
DRAWINGS = frozenset(
    {
        *("segmentationobject", "visualization", "segmentationclassvisualization", "vi", "viz", "overlay", "preview"),
        *("color", "colour", "colormap", "colormask", "maskcolor", "instance", "prediction", "pred"),
    }
)
#: sides of the split in other languages than English; a name may also have them before or behind another word
SIDES = {
    "train": (
        *("entrenamiento", "entraînement", "addestramento", "treinamento", "treino"),
        *("学習", "訓練", "训练", "训练集", "학습", "훈련"),
    ),
    "val": ("validierung", "validación", "validazione", "validação", "検証", "验证", "验证集", "驗證", "검증"),
    "test": ("prueba", "テスト", "测试", "测试集", "測試", "테스트"),
}  # fmt: skip
#: words that others are written together with, at the end
MASK_PARTS = (
    *(
        "マスク",
        "ラベル",
        "正解",
        "教師",
        "アノテーション",
        "掩膜",
        "掩码",
        "掩模",
        "遮罩",
        "蒙版",
        "标签",
        "标注",
        "真值",
    ),
    *("分割", "掩碼", "標籤", "標註", "마스크", "라벨", "레이블", "정답"),
)
MASK_ENDINGS = ("masken", "segmentierungen", *(part for part in MASK_PARTS if part not in {"教師", "分割"}))
#: pictures of any kind: with one of the parts in front they are masks, else nothing is known of them
CHARTS = ("图", "図", "圖")
IMAGE_ENDINGS = (
    *("bilder", "aufnahmen", "画像", "写真", "图像", "图片", "影像", "照片", "圖像", "圖片", "이미지", "사진"),
    *CHARTS,
)


def folded(text: str) -> str:
    """Returns text in one spelling: lower case, full width as half, letters of Europe without accents.

    The marks of Japanese and Korean letters stay: they make other letters.
    """
    if text.isascii():
        return text.casefold()
    parts = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(letter for letter in parts if not "\u0300" <= letter <= "\u036f")
    return unicodedata.normalize("NFC", bare)
