"""Embeddings by a rule: texts that share words, or words of one topic, lie close together.

Each feature of a text (a word, the beginning of a word, the topic that a word belongs to) has a
direction of its own among the dimensions, drawn from its hash; a text's vector is the weighted
sum of its features' directions. The same text always has the same vector. All texts share one
more direction, as in real models, so that no two are at right angles. Vectors have length 1.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

from ..litellm import tokens
from . import labels

STEPS = 64
"""How many numbers of the vector one feature changes."""

WORD, STEM, TOPIC, SMALL_WORD = 0.5, 1.0, 0.9, 0.1
"""Weights of the features; the whole word and its beginning both count, so that other forms of
a word are near it but not the same."""

SHARED = 0.45
"""Length of the direction that all texts share, where that of the features is 1: two texts with
nothing in common have a similarity of about 0.17."""


def embed(text: str, dimensions: int) -> list[float]:
    """The text's vector: ``dimensions`` numbers, length 1."""
    features = [0.0] * dimensions
    for feature, weight in _features(text):
        for at, sign in _direction(feature, dimensions):
            features[at] += sign * weight
    own = _length(features)
    vector = [
        number / own + shared for number, shared in zip(features, _shared(dimensions), strict=True)
    ]
    length = _length(vector)
    return [round(number / length, 8) for number in vector]


def _length(vector: Sequence[float]) -> float:
    return math.sqrt(sum(number * number for number in vector)) or 1.0


def as_base64(vector: list[float]) -> str:
    """The vector as OpenAI packs it: 32-bit floats, the lowest byte first, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word, times in Counter(re.findall(r"\w+", text.lower())).items():
        often = 1 + math.log(times)
        if word in tokens.ENGLISH or word in tokens.OTHER or len(word) < 3:
            yield f"word {word}", SMALL_WORD * often
            continue
        yield f"word {word}", WORD * often
        yield f"stem {labels.stem(word).removesuffix('e')[:7]}", STEM * often
        for topic, beginnings in labels.KEYWORDS.items():
            if word.startswith(tuple(beginnings.split())):
                yield f"topic {topic}", TOPIC * often


@cache
def _shared(dimensions: int) -> tuple[float, ...]:
    numbers = [byte - 127.5 for byte in hashlib.shake_128(b"all texts").digest(dimensions)]
    length = _length(numbers)
    return tuple(SHARED * number / length for number in numbers)


def _direction(feature: str, dimensions: int) -> Iterator[tuple[int, int]]:
    """Where a feature changes the vector, and which way: ``(index, 1 or -1)``."""
    bits = hashlib.shake_128(feature.encode()).digest(3 * STEPS)
    for i in range(0, len(bits), 3):
        number = int.from_bytes(bits[i : i + 3], "little")
        yield (number >> 1) % dimensions, 1 if number & 1 else -1
