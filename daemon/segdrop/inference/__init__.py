"""The child that predicts or evaluates: images in, class ids and what people make of them out."""
