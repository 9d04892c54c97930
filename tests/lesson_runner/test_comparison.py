"""Shown against actual text: exact but for trailing blanks; `...` stands for anything."""

import doctest
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesson_runner.judge.compare import difference, json_difference, matches, merge_json, merge_text
from lesson_runner.page import exact_json
from lesson_runner.page.plain_text import binary_character, normal, plain

# Machines differ in speed: no single example has a time limit.
unhurried = settings(deadline=None)


# Text


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ("", ""),
        ("one\n", "one\n"),
        ("one\n", "one"),
        ("one\n", "one  \t\n\n \n"),
        ("one  \n\ntwo\n", "one\n\ntwo\n"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("100%\n", " 10%\r 99%\r100%\n"),
        ("a\u00a0\n...\u00a0\n", "a\nb\u00a0\n"),
        ("...\u2028b\u00a0\n", "a\u2028b\n"),
        ("...\n", "anything\nat all\n"),
        ("one ... four\n", "one two\nthree four\n"),
        ("one\n...\nfour\n", "one\ntwo\nthree\nfour\n"),
        ("took ... s\n", "took  s\n"),
        ("...b...d...\n", "abcde\n"),
        ("... ...\n", "a b\n"),
        ("a......b\n", "ab\n"),
    ],
)
def test_texts_that_agree(shown: str, actual: str) -> None:
    assert matches(shown, actual)
    assert difference(shown, actual) == ""


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ("one\n", "One\n"),
        ("one two\n", "one  two\n"),
        ("one\n", " one\n"),
        ("one\ntwo\n", "one\n\ntwo\n"),
        ("one\n", "\none\n"),
        ("", "one\n"),
        ("one\n", ""),
        ("...\n", ""),
        ("one\n...\ntwo\n", "one\ntwo\n"),
        ("a...a\n", "a\n"),
        ("ab...bc\n", "abc\n"),
        ("one...\n", "on\n"),
        ("...one\n", "one two\n"),
        ("1\n", "True\n"),
        ("<BLANKLINE>\n", "\n"),
        ("caf\\xe9\n", "café\n"),
        ("é\n", "e\u0301\n"),
        ("a\u2028b\n", "a\nb\n"),
        ("a\u00a0b\n", "a b\n"),
        ("99%\n", " 10%\r 99%\r100%\n"),
        ("4\n", "3 of 10 rows\r4\n"),
        ("a\x0cb\n", "a\nb\n"),
        ("a.. b\n", "a b\n"),
        ("…\n", "one\n"),
    ],
)
def test_texts_that_differ(shown: str, actual: str) -> None:
    assert not matches(shown, actual)
    assert difference(shown, actual) != ""


def test_difference_names_both_sides_and_keeps_what_agrees() -> None:
    shown = "start\nid: ...\nrows: 3\nend\n"
    actual = "start\nid: 77\nrows: 4\nend\n"
    assert difference(shown, actual).splitlines() == [
        "--- the page shows",
        "+++ the block prints",
        "@@ -1,4 +1,4 @@",
        " start",
        " id: 77",
        "-rows: 3",
        "+rows: 4",
        " end",
    ]


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;32mgreen\x1b[m", "red and green"),
        ("\x1b[?25l\x1b[2Kdone", "done"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("10%\r50%\r100%\ndone\n", "100%\ndone\n"),
        ("10%\r100%\r", "100%"),
        ("10%\r100%\r\nnext", "100%\nnext"),
        ("3 of 10 rows\r4", "4 of 10 rows"),
        ("\x1b[31m3 of 10 rows\x1b[0m\r\x1b[32m4\x1b[0m", "4 of 10 rows"),
        ("3 of 10 rows\r\x1b[Kdone", "done"),
        ("3 of 10 rows\x1b[2K\rdone\r", "done"),
        ("kept\n10%\r", "kept\n10%"),
        ("\r", ""),
        ("a\u2028b\x0cc", "a\u2028b\x0cc"),
    ],
)
def test_plain_text_is_what_a_person_sees(printed: str, seen: str) -> None:
    assert plain(printed) == seen


def test_normal_text_has_no_blanks_at_its_ends_of_lines_and_no_empty_lines_at_its_end() -> None:
    assert normal("one  \n\n two\t\n \n\n") == "one\n\n two\n"
    assert normal(" \n\n") == ""


@pytest.mark.parametrize(
    "text", ["x" * 300_000, "x\r" * 100_000, "x" * 99_999 + "\ry" * 99_999, "\x1b[" * 50_000]
)
def test_one_long_line_is_no_burden(text: str) -> None:
    assert matches(text, text)  # quadratic time would be minutes here


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x1a", "\ufffd"])
def test_binary_characters_are_found(character: str) -> None:
    assert binary_character(f"text{character}") == character


def test_text_of_any_script_is_not_binary() -> None:
    assert binary_character("é Ω 中文 🎉 \t\n\r\x0b\x0c\x1b[0m \u2028") is None


PIECES = ["...", "..", "a", "b", "ab", " ", "\n", "3", "\u2028", "é", "\t"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
ASCII = st.lists(st.sampled_from([p for p in PIECES if p.isascii()]), max_size=12).map("".join)


@unhurried
@given(TEXTS, TEXTS)
def test_difference_is_empty_exactly_where_texts_agree(shown: str, actual: str) -> None:
    assert (difference(shown, actual) == "") == matches(shown, actual)


@unhurried
@given(ASCII, ASCII)
def test_three_dots_mean_what_they_mean_to_doctest(shown: str, actual: str) -> None:
    flags = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1 | doctest.DONT_ACCEPT_BLANKLINE
    checked = doctest.OutputChecker().check_output(normal(shown), normal(actual), flags)
    assert matches(shown, actual) == checked


# Merging text


@pytest.mark.parametrize(
    ("shown", "actual", "merged"),
    [
        ("", "one\n", "one\n"),
        ("one\n", "two\n", "two\n"),
        ("same  \n...\n", "same\nx\n", "same  \n...\n"),
        ("id: ...\nrows: 3\n", "id: 77\nrows: 4\n", "id: ...\nrows: 4\n"),
        ("a\n...\nz 1\n", "a\nb\nc\nz 2\n", "a\n...\nz 2\n"),
        ("a 1\n...\nz\n", "a 2\nb\nc\nz\n", "a 2\n...\nz\n"),
        ("took ... s, 3 rows\n", "took 0.2 s, 4 rows\n", "took ... s, 4 rows\n"),
        ("{'id': '...', 'n': 3}\n", "{'id': 'x-1', 'n': 4}\n", "{'id': '...', 'n': 4}\n"),
        ("a\nid ...\nz\n", "a\nnew\nid 3\nz\n", "a\nnew\nid ...\nz\n"),
        ("a\nid ...\n", "a\n", "a\n"),
        ("...\n", "", ""),
        ("a ...\nb\n", "c\nd\n", "c\nd\n"),
        ("a  ... b\n1  ... 2\n", "a c  ... b\n1 3  ... 4\n", "a c  ... b\n1 3  ... 4\n"),
    ],
)
def test_merged_text_keeps_three_dots_where_they_still_fit(
    shown: str, actual: str, merged: str
) -> None:
    assert merge_text(shown, actual) == merged


@unhurried
@given(TEXTS, TEXTS)
def test_merged_text_agrees_and_merging_again_changes_nothing(shown: str, actual: str) -> None:
    merged = merge_text(shown, actual)
    assert matches(merged, actual)
    assert merge_text(merged, actual) == merged


def test_merging_long_texts_gives_up_three_dots_rather_than_minutes() -> None:
    shown = "".join(f"a {number} ...\n" for number in range(3000))
    actual = "".join(f"b {number} 1\n" for number in range(3000))
    assert merge_text(shown, actual) == actual


# JSON


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ('"..."', "3"),
        ('"..."', '{"a": [1]}'),
        ('"..."', "null"),
        ('{"a": "..."}', '{"a": [1]}'),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
        ('{"a": 1, "...": "..."}', '{"b": 2, "a": 1}'),
        ('{"...": "..."}', "{}"),
        ('["..."]', "[]"),
        ('["..."]', "[1, 2]"),
        ('[1, "..."]', "[1]"),
        ('[1, "..."]', "[1, 2, 3]"),
        ('["...", 2]', "[1, 2]"),
        ('[[1, "..."], "..."]', "[[1, 2], 3]"),
        ('[{"id": "...", "...": "..."}, "..."]', '[{"id": 1, "x": 2}, {}]'),
    ],
)
def test_json_that_agrees(shown: str, actual: str) -> None:
    assert json_difference(json.loads(shown), json.loads(actual)) == ""


@pytest.mark.parametrize(
    ("shown", "actual", "found"),
    [
        ("1", "2", "the answer is 2, the page shows 1"),
        ("1", "true", "the answer is true, the page shows 1"),
        ("false", "0", "the answer is 0, the page shows false"),
        ("null", "0", "the answer is 0, the page shows null"),
        ('"1"', "1", 'the answer is 1, the page shows "1"'),
        ('"a..."', '"abc"', 'the answer is "abc", the page shows "a..."'),
        ("{}", "[]", "the answer is [], the page shows {}"),
        ("{}", '{"a": 1}', 'the answer has "a", which the page does not show'),
        ('{"a": "..."}', "{}", 'the answer has no "a", which the page shows'),
        ('{"a": 1, "...": "..."}', "{}", 'the answer has no "a", which the page shows'),
        ('{"a": {"b": [1, 2]}}', '{"a": {"b": [1, 3]}}', "a.b[1] is 3, the page shows 2"),
        ("[1]", "[1, 2]", "the answer has 2 items, the page shows 1"),
        ('[1, 2, "..."]', "[1]", "the answer has 1 items, the page shows 2"),
        ('["...", 2]', "[1, 2, 3]", "the answer has 3 items, the page shows 2"),
        ('["...", 2]', "[2]", "the answer has 1 items, the page shows 2"),
    ],
)
def test_json_that_differs_is_named_by_its_place(shown: str, actual: str, found: str) -> None:
    assert json_difference(json.loads(shown), json.loads(actual)) == found


@pytest.mark.parametrize(
    ("shown", "actual", "merged"),
    [
        ('{"id": "...", "n": 1}', '{"n": 2, "id": 7}', '{"id": "...", "n": 2}'),
        ('{"b": 1, "a": 1}', '{"c": 3, "a": 2}', '{"a": 2, "c": 3}'),
        ('{"a": 1, "...": "..."}', '{"b": 2, "a": 3}', '{"a": 3, "...": "..."}'),
        ('[1, "..."]', "[2, 3, 4]", '[2, "..."]'),
        ('[1, 2, "..."]', "[3]", '[3, "..."]'),
        ('["...", 1]', "[2, 3, 4]", '["...", 3, 4]'),
        ("[1, 2, 3]", "[1]", "[1]"),
        ('[{"id": "..."}]', '[{"id": 1}, {"id": 2}]', '[{"id": "..."}, {"id": 2}]'),
        ('{"a": ["..."]}', '{"a": null}', '{"a": null}'),
        ("1", "true", "true"),
    ],
)
def test_merged_json_keeps_three_dots_where_they_still_fit(
    shown: str, actual: str, merged: str
) -> None:
    assert json.dumps(merge_json(json.loads(shown), json.loads(actual))) == merged


KEYS = st.sampled_from(["a", "b", "..."])
LEAVES = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["...", "a", 1.0])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@unhurried
@given(JSON, JSON)
def test_merged_json_agrees_and_merging_again_changes_nothing(shown: Any, actual: Any) -> None:
    merged = merge_json(shown, actual)
    assert json_difference(merged, actual) == ""
    assert json.dumps(merge_json(merged, actual)) == json.dumps(merged)


@pytest.mark.parametrize(
    ("shown", "actual"),
    [
        ("0.1", "0.10000000000000001"),
        ("9007199254740993.0", "9007199254740992.0"),
        ("1e400", "1e500"),
        ("1" * 5000, "1" * 4999 + "2"),
    ],
)
def test_json_numbers_are_compared_in_all_digits(shown: str, actual: str) -> None:
    one, other = exact_json.loads(shown), exact_json.loads(actual)
    assert json_difference(one, other)
    assert json_difference(one, one) == ""
    assert exact_json.loads(exact_json.dumps(merge_json(one, other))) == other


def test_json_numbers_are_the_same_however_they_are_written() -> None:
    shown = exact_json.loads('{"a": [1.0, 1e3, 0.0000001, -0.5]}')
    assert json_difference(shown, exact_json.loads('{"a": [1.00, 1000.0, 1e-7, -5e-1]}')) == ""
    assert exact_json.dumps(shown) == '{"a": [1.0, 1E+3, 1E-7, -0.5]}'
    assert exact_json.dumps(["é", 0.5, None], indent=1) == '[\n "é",\n 0.5,\n null\n]'


@pytest.mark.parametrize(("shown", "actual"), [("1", "1.0"), ("1e3", "1000"), ("0", "false")])
def test_json_numbers_of_another_kind_differ(shown: str, actual: str) -> None:
    assert json_difference(json.loads(shown), json.loads(actual))
    assert json_difference(json.loads(actual), json.loads(shown))
