"""Images without truth, to predict: a picture, a ZIP, a video or a JSON, listed and decoded without torch."""
