"""Images beside a page: which of them code has drawn, as the PNG itself says."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END_OF_HEADER = len(SIGNATURE) + 25
SOFTWARE = b"Software\0"
RUNNER = b"lesson_runner"
DRAWING = (b"Matplotlib", RUNNER)
"""Programs that name themselves in a plot. R's devices do not, so `--update` signs their plots."""


def may_be_drawn(file: Path) -> bool:
    """Whether a block may be expected to draw this image: it is a plot, or yet to be written."""
    try:
        image = file.read_bytes()
    except OSError:
        return True
    return is_plot(image)


def is_plot(image: bytes) -> bool:
    return any(
        name == b"tEXt" and data.startswith(SOFTWARE) and data[len(SOFTWARE) :].startswith(DRAWING)
        for name, data in _chunks(image)
    )


def signed(image: bytes) -> bytes:
    """The plot, so that it says of itself that it is one."""
    if is_plot(image) or not image.startswith(SIGNATURE):
        return image
    chunk = b"tEXt" + SOFTWARE + RUNNER
    length, checksum = struct.pack(">I", len(chunk) - 4), struct.pack(">I", zlib.crc32(chunk))
    return image[:END_OF_HEADER] + length + chunk + checksum + image[END_OF_HEADER:]


def _chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(SIGNATURE) if image.startswith(SIGNATURE) else len(image)
    while position + 8 <= len(image):
        length, name = struct.unpack_from(">I4s", image, position)
        yield name, image[position + 8 : position + 8 + length]
        position += length + 12  # with the length itself, the name and the checksum
