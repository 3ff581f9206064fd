"""Web pages: their trees, their main content, and its text."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.data.cleaning.html_tree import Element, parsed
from luthier.data.cleaning.page_sums import is_data_table, measured
from luthier.data.cleaning.page_text import page_text, rendered

STORY = [
    "The belly of a violin is made of spruce, which is light, stiff, and sounds for a long time, if it has been dried for years.",
    "Its back is maple, as a rule, cut on the quarter, so that the flames of the wood run across it, and match at the joint.",
    "Between them stands the sound post, which nobody sees, and on which more depends, some say, than on the varnish.",
    "An old luthier in our street turns it by a hair, listens, turns it back, and charges you for the hair, not for the turning.",
    "When it falls, do not tune the strings, do not put it back with a fork, and do not, whatever they say, use glue.",
]


def outline(element: Element) -> object:
    """A tree as nested lists, for comparing."""
    return [element.tag, *(child if isinstance(child, str) else outline(child) for child in element.children)]


@pytest.mark.parametrize(
    ("page", "tree"),
    [
        ("<p>a<p>b", ["html", ["p", "a"], ["p", "b"]]),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", ["html", ["ul", ["li", "a", ["ul", ["li", "b"]]], ["li", "c"]]]),
        ("<table><tr><td>1<td>2<tr><td>3</table>x", ["html", ["table", ["tr", ["td", "1"], ["td", "2"]], ["tr", ["td", "3"]]], "x"]),
        ("<dl><dt>a<dd>b<dt>c</dl>", ["html", ["dl", ["dt", "a"], ["dd", "b"], ["dt", "c"]]]),
        ("a<br>b<img src=x>c", ["html", "a", ["br"], "b", ["img"], "c"]),
        ("<B>x</b></i>y", ["html", ["b", "x"], "y"]),
        ("<script>if (a<b) '</p>'</script>x<style>p>q{}</style>", ["html", ["script"], "x", ["style"]]),
        ("<!-- <p>a</p> -->x<!doctype html>y<?xml?>z", ["html", "x", "y", "z"]),
        ("a < b &amp; c<3 &lt;p&gt; &nosuch; &#65;", ["html", "a ", "<", " b & c", "<", "3 <p> &nosuch; A"]),
        ("<title>a<b></title><p>c", ["html", ["title", "a<b>"], ["p", "c"]]),
        ("<head><title>t</title><p>x", ["html", ["head", ["title", "t"]], ["p", "x"]]),
        ("<p>a<div>b</div>c", ["html", ["p", "a"], ["div", "b"], "c"]),
        ("<p><span>a<p>b", ["html", ["p", ["span", "a"]], ["p", "b"]]),
        ("<!-- never closed <p>a", ["html"]),
        ("<a href='x", ["html", ["a"]]),
        ("&#" + "9" * 5000 + ";", ["html", "&#" + "9" * 5000 + ";"]),
    ],
)
def test_a_page_has_the_tree_that_browsers_give_it(page: str, tree: object) -> None:
    assert outline(parsed(page)) == tree


def test_attributes_are_read_in_every_spelling() -> None:
    (element,) = parsed("<a HREF=\"x?a=1&amp;b\" id='y' class=z hidden data-a = 'b' id=later>").elements()
    assert dict(element.attributes) == {"href": "x?a=1&b", "id": "y", "class": "z", "hidden": "", "data-a": "b"}


def test_sums_count_text_links_and_tables() -> None:
    root = parsed("<div>ab  cd, <a href=x>efg</a><a href='#n'>hi</a><p>j</p><table><tr><td>1<td>2<tr><td>3<td>4</table></div>")
    sums = measured(root)[root]
    assert (sums.commas, sums.paragraphs, sums.tables, sums.rows, sums.columns) == (1, 1, 1, 2, 2)
    assert sums.linked == pytest.approx(3 + 0.3 * 2)
    assert sums.text == len("ab cd, ") - 1 + 3 + 2 + 1 + 4


@pytest.mark.parametrize(
    ("table", "is_data"),
    [
        ("<tr><th>a<th>b<tr><td>1<td>2", True),
        ("<tr><td>a<td>b<tr><td>1<td>2", False),
        ("<tr><td>1<td>2<td>3<td>4<td>5<tr><td>1", True),
        ("<tr><td>1<td>2" * 6, True),
        ("<tr><td>1" * 12, False),
        ("<tr><td><table><tr><td>1<td>2</table><td>2" * 12, False),
    ],
)
def test_tables_of_data_are_told_from_layouts(table: str, is_data: bool) -> None:
    root = parsed(f"<table>{table}</table>")
    element = root.elements()[0]
    assert is_data_table(element, measured(root)[element]) == is_data


def test_of_a_page_the_content_stays_and_what_is_around_it_goes() -> None:
    page = f"""<!DOCTYPE html><html><head><title>Sound posts | The Workshop</title><style>p {{ color: red }}</style></head><body>
    <div id="cookie-banner"><p>We use cookies, as everybody does, to make your visit better.</p><button>Accept</button></div>
    <nav><ul><li><a href="/">Home</a></li><li><a href="/shop">Shop</a></li></ul></nav>
    <div class="content"><h1>Sound posts</h1><p class="byline">By Ann Lee</p>
    <p>{STORY[0]}</p><p>{STORY[1]}</p><div class="share-bar"><a href="x">Tweet</a> <a href="y">Share</a></div>
    <p>{STORY[2]}</p><ul><li>Never use <b>glue</b></li><li>Never use a fork<ol><li>nor a spoon</li><li>nor a knife</li></ol></li></ul>
    <p>{STORY[3]}</p><pre><code>for post in posts:
    turn(post)
</code></pre><table><tr><th>Part</th><th>Wood</th></tr><tr><td>Belly</td><td>Spruce,<br>or cedar</td></tr></table>
    <aside><p>By the way, a bow is made of other wood, and that is another story.</p></aside><p class="share">Tell your friends of it.</p>
    <p>{STORY[4]}</p><p hidden>Secret words of the author.</p></div>
    <div class="sidebar"><p>Related: ten strings that you must buy now, before they are gone.</p></div>
    <footer>Copyright, all rights reserved, the usual things, and so on.</footer></body></html>"""
    assert page_text(page) == "\n\n".join([
        *STORY[:3], "- Never use glue\n- Never use a fork\n  1. nor a spoon\n  2. nor a knife", STORY[3],
        "```\nfor post in posts:\n    turn(post)\n```", "Part | Wood\nBelly | Spruce, or cedar", STORY[4],
    ])  # fmt: skip


def test_paragraphs_made_by_line_breaks_are_paragraphs() -> None:
    page = "<html><body><div id=main>" + "<br><br>".join(STORY) + "</div><div class=menu><a href=x>a</a></div></body></html>"
    assert page_text(page) == "\n\n".join(STORY)


def test_lines_between_empty_ones_count_as_paragraphs() -> None:
    lines = [f"Line {i} of the story tells how the wood was cut and dried for years in the loft above the shop" for i in range(8)]
    beside = "<div>" + "<p>Ten strings that you must buy now before they are gone for good says our shop.</p>" * 3 + "</div>"
    page = f"<html><body>{beside}<section><div>{'<br><br>'.join(lines)}</div></section></body></html>"
    assert page_text(page).endswith("\n\n".join(lines))


def test_where_class_names_lie_the_content_is_found_all_the_same() -> None:
    page = f"<html><body><div class='comment'>{''.join(f'<p>{line}</p>' for line in STORY)}</div></body></html>"
    assert page_text(page) == "\n\n".join(STORY)


def test_a_short_page_keeps_what_it_says() -> None:
    assert page_text("<html><body><h1>Closed</h1><p>We are closed on Monday.</p></body></html>") == "Closed\n\nWe are closed on Monday."
    assert page_text("<html><body>Only words</body></html>") == "Only words"
    assert page_text("<html><head><title>x</title></head></html>") == ""


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>a  b\n c</p>d", "a b c\n\nd"),
        ("<p>a <b>b</b> c<i>d</i></p>", "a b cd"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<ol><li>a<li><p>b</p></ol>", "1. a\n2. b"),
        ("<pre>\n a\n  b</pre>c", "```\n a\n  b\n```\n\nc"),
        ("<pre>```</pre>", "```\n'''\n```"),
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a | b\nc | d"),
        ("<table><tr><td><p>a</p></table>b", "a\n\nb"),
        ("<button>x</button><select><option>y</select>z", "z"),
    ],
)
def test_elements_have_the_shape_that_plain_text_has_for_them(page: str, text: str) -> None:
    assert rendered(parsed(page)) == text


PIECES = [
    "<p>", "</p>", "<div class=x>", "</div>", "<li>", "<ul>", "</ul>", "<td>", "<tr>", "<table>", "</table>", "<pre>", "</pre>", "text, ",
    "<", ">", "&", "&amp;", "<!--", "-->", "<a href='", "'", '"', "<script>", "</script>", "\0", "\ud800", "<br>", "</", "<h1>", "\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
@settings(max_examples=300, deadline=None)
def test_whatever_is_called_html_gives_a_text_and_loses_no_word(page: str) -> None:
    root = parsed(page)
    shown = rendered(root)
    assert isinstance(page_text(page), str)
    assert shown.count("text,") == sum(text.count("text,") for text in root.texts())


def test_pages_of_newspapers_and_blogs_give_what_readers_want(shared: Path) -> None:
    f1: list[float] = []
    with tarfile.open(shared / "data" / "readability_html" / "pages.tar.gz") as archive:
        for name in ("001", "ars-1", "bbc-1", "ehow-1", "gitlab-blog", "ietf-1", "lwn-1"):
            source, expected = (archive.extractfile(f"{name}/{file}.html") for file in ("source", "expected"))
            assert source is not None and expected is not None
            found = Counter(page_text(source.read().decode("utf-8")).lower().split())
            wanted = Counter(rendered(parsed(expected.read().decode("utf-8"))).lower().split())
            f1.append(2 * (found & wanted).total() / (found.total() + wanted.total()))
    assert min(f1) > 0.85 and sum(f1) / len(f1) > 0.95
