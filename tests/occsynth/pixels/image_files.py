"""The bytes of image files as Pillow writes them, for tests that read them."""

import io

from PIL import Image


def packed(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()
