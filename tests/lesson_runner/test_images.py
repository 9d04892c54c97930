"""Which images code has drawn, and which are ordinary."""

import struct
import zlib
from pathlib import Path

import pytest

from lesson_runner.judge.verdict import judge
from lesson_runner.page.episode import Block, read_episode
from lesson_runner.page.images import SIGNATURE, is_plot, may_be_drawn, signed
from lesson_runner.run.happened import Execution


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress(b"\0\0\0\0")), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def blocks_with_figures() -> list[Block]:
    page = "".join(
        f"```{language}\ndraw()\n```\n\n![](fig/plot-{language}.png){{alt='A plot.'}}\n\n"
        for language in ("python", "r")
    )
    return [block for block in read_episode("page.md", page).blocks if block.figures]


def test_each_plot_has_to_be_drawn() -> None:
    """A block with a figure below it fails if it draws none."""
    blocks = blocks_with_figures()
    assert {block.language for block in blocks} == {"python", "r"}
    for block in blocks:
        assert judge(Execution(block, images=(b"a plot",))).outcome == "passed"
        assert judge(Execution(block)).reason.endswith(", but the block drew no plot")


@pytest.mark.parametrize(
    "image",
    [
        png(),
        png((b"tEXt", b"Software\0www.inkscape.org")),
        png((b"tEXt", b"Comment\0Matplotlib")),
        b"<svg>Software\0Matplotlib</svg>",
        SIGNATURE + b"\xff\xff\xff\xfftEXt",
        b"",
    ],
)
def test_other_images_are_none(image: bytes, tmp_path: Path) -> None:
    assert not is_plot(image)
    (tmp_path / "image.png").write_bytes(image)
    assert not may_be_drawn(tmp_path / "image.png")


def test_an_image_that_does_not_exist_is_yet_to_be_drawn(tmp_path: Path) -> None:
    assert may_be_drawn(tmp_path / "image.png")


def test_an_image_is_signed_once() -> None:
    runner = (b"tEXt", b"Software\0lesson_runner")
    assert signed(png()) == png(runner)
    assert signed(png((b"pHYs", bytes(9)))) == png(runner, (b"pHYs", bytes(9)))
    matplotlib = png((b"tEXt", b"Software\0Matplotlib version3.11.2"))
    for image in (png(runner), matplotlib, b"GIF89a"):
        assert signed(image) == image
