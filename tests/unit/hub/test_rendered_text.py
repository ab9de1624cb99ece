"""Text among a cell's outputs: colours, links, what is too long for a page, and what is searched in it."""

from __future__ import annotations

import pytest

from respawn_hub.rendering import shown, terminal_html
from respawn_hub.rendering.long_text import (
    MAX_WHOLE,
    PIECE,
    around,
    excerpt,
    piece,
    search,
    terminal_text,
    text_of,
)
from support.outputs import display, stream


def test_styles_and_links_of_a_terminal_are_shown() -> None:
    html = terminal_html("\x1b[3mslanted\x1b[0m \x1b[7mturned\x1b[0m \x1b[7;31mred\x1b[0m \x1b[9mout\x1b[0m")

    assert 'class="ansi-italic">slanted' in html
    assert 'class="ansi-inverse">turned' in html
    assert 'class="ansi-red-bg">red' in html
    assert 'class="ansi-strike">out' in html


def test_addresses_in_text_can_be_followed_and_no_other_scheme() -> None:
    html = terminal_html('see https://a.org/x?b=1&c="d". \x1b]8;;javascript:alert(1)\x1b\\x\x1b]8;;\x1b\\')

    assert 'href="https://a.org/x?b=1&amp;c="' in html
    assert html.count("<a ") == 1
    assert "javascript" not in html
    link = terminal_html("\x1b]8;;https://a.org\x07name\x1b]8;;\x07")
    assert '<a href="https://a.org" target="_blank" rel="noopener noreferrer nofollow">name</a>' in link


@pytest.mark.parametrize(
    "text", ["\x1b]" * 40_000, "\x1b[" + "9" * 50_000 + "m", "\x1b[31m" * 20_000, "\x1b(" * 30_000, "\ud800"]
)
def test_hostile_escape_codes_are_text_and_cost_what_their_size_says(text: str) -> None:
    (output,) = shown([stream("a" + text + "b")])

    assert output.html.encode()
    assert "a" in output.html


def test_stderr_is_told_from_stdout() -> None:
    assert [output.stderr for output in shown([stream("a"), stream("b", "stderr")])] == [False, True]


def test_a_long_text_shows_its_beginning_and_its_end() -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    (output,) = shown([stream(text[:5]), stream(text[5:])])

    assert output.excerpt is not None
    assert not output.excerpt.whole
    assert output.html.startswith("line 0\n")
    assert output.tail.endswith("line 99999\n")
    assert output.excerpt.lines == 100_000
    start, end = output.excerpt.gap
    assert text == text[:start] + text[start:end] + text[end:]
    assert text[:start] == output.html
    assert text[end:] == output.tail


@pytest.mark.parametrize(
    "text", ["x" * 500_000, "line of text\n" * 50_000, "x" * (MAX_WHOLE + 1), "\n" * 300_000]
)
@pytest.mark.parametrize("backwards", [False, True])
def test_all_of_a_gap_is_reached_piece_by_piece(text: str, backwards: bool) -> None:
    part = excerpt(text)
    start, end = part.gap
    before, after = part.head, part.tail
    while start < end:
        first, last = piece(text, start, end, backwards=backwards)
        assert 0 < last - first <= PIECE + 2000
        if backwards:
            assert last == end
            after, end = text[first:last] + after, first
        else:
            assert first == start
            before, start = before + text[first:last], last
    assert before + after == text


def test_a_search_finds_each_line_once_with_its_number() -> None:
    text = "one\nTwo two\nthree\n" * 1000
    found, count = search(text, "two")

    assert count == 1000
    assert [line.line for line in found[:3]] == [2, 5, 8]
    assert (found[0].before, found[0].match, found[0].after) == ("", "Two", " two")
    start, end = around(text, found[-1].position)
    assert start <= found[-1].position < end
    assert search(text, "(.*") == ([], 0)


def test_positions_are_those_of_the_text_without_what_was_overwritten() -> None:
    outputs = [stream("10%\r50%\r"), stream("100%\ndone\n")]

    assert terminal_text(outputs, 0) == "100%\ndone\n"
    assert text_of(outputs, 0) == "10%\r50%\r100%\ndone\n"
    assert text_of([display(text__html="<p>")], 0) is None
