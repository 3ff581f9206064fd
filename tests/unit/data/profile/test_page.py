"""The profile as a page: valid, self-contained, harmless whatever the rows say, and with every number in a table."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path
from typing import get_args

import pytest
from tests.made_profiles import Bytes, Letters, labelled, profile, write_data
from tests.pages import addresses, parsed, words

from luthier.core.examples import AnyExample, Chat, Labelled, Pair, Preference, Ranking, Rated, Scored, Tagged, Text
from luthier.core.messages import Message
from luthier.data.pipeline import Change, DroppedRow
from luthier.data.profile import measured
from luthier.data.profile.gathered import gather
from luthier.data.profile.page import About, profile_page
from luthier.data.profile.private import PRIVACY
from luthier.data.profile.sample import Sample
from luthier.data.profile.tokens import Model
from luthier.data.profile.troubles import troubles_of

HOSTILE = [
    "<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "\"'><svg onload=alert(1)>", "{{ 7 * 7 }} {% raw %}",
    "]]> <!-- -->",
    "\x00\x1b[31m\u202egnp\ufffe", "&lt;b&gt; &#x3c;", "<a href=https://evil.example>x</a>",
]  # fmt: skip
MODEL = Model("m <b>", Bytes(), 100, reference=("plain prose",))


def hostile_page(home: Path) -> str:
    rows = [Labelled(f"{bad} {i}", f"{bad * 40} {i}", f"{bad[:20]} {i % 3}", source=f"{bad}.csv:{i}") for i, bad in enumerate(HOSTILE * 4)]
    rows += labelled(60)
    gone = [DroppedRow(Text(bad, bad), bad[:10], bad, "", bad) for bad in HOSTILE]
    about = About(HOSTILE[0], HOSTILE[1], tuple(HOSTILE), (HOSTILE[3],))
    return profile_page(profile(home, rows, MODEL, dropped=gone), about)


def test_whatever_rows_say_the_page_is_valid_html_that_asks_nobody_for_anything(tmp_path: Path) -> None:
    page = hostile_page(tmp_path)
    document = parsed(page)
    assert not list(document.iter("script")) and not list(document.iter("img")) and not list(document.iter("iframe"))
    links = [one.get("href") for one in document.iter("a")]
    assert links and all(one.startswith("#") for one in links)
    assert [one for one in addresses(page) if not one.startswith("#") and "evil" not in one] == []
    assert not [name for one in document.iter() for name in one.attrib if str(name).startswith("on")]
    text = words(page)
    assert "<script>alert(1)</script>" in text and "{{ 7 * 7 }}" in text and "49" not in text.partition("{{ 7 * 7 }}")[2][:3]
    page.encode("utf-8")


def test_every_link_leads_to_a_heading_and_every_figure_has_words(tmp_path: Path) -> None:
    document = parsed(hostile_page(tmp_path))
    ids = [one.get("id") for one in document.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    assert {one.get("href")[1:] for one in document.iter("a")} <= set(ids)
    figures = list(document.iter("{http://www.w3.org/2000/svg}svg"))
    assert len(figures) >= 4 and len(list(document.iter("figcaption"))) == len(figures)
    for one in figures:
        said = one.get("aria-labelledby").split()
        assert one.get("role") == "img" and all(name in ids for name in said) and len(said) == 2
    assert all(table.find("caption") is not None for table in document.iter("table"))
    assert all(head.get("scope") in ("row", "col") for head in document.iter("th"))


def test_the_numbers_of_the_figures_stand_in_tables(tmp_path: Path) -> None:
    rows = labelled(100)
    gone = [DroppedRow(row, "length", "too short", "", None) for row in labelled(30, seed=2)]
    found = profile(tmp_path, rows, MODEL, dropped=gone)
    text = words(profile_page(found, About("bows")))
    assert "130 rows were read, 30 dropped and 100 kept: 80 train, 10 validation, 10 test." in text
    assert "dropped by length too short 30 23.1 %" in text and "repair 40 0 10 50.0 %" in text
    lengths = sorted(len(row.text) for row in rows)
    assert f"the longest has {lengths[-1]:,}" in text and f"the shortest has {lengths[0]:,}" in text
    assert "all rows 100 1.00" in text and "All of them were looked at closely." in text


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    pages = [hostile_page(tmp_path / name) for name in ("one", "two")]
    assert pages[0] == pages[1]


def test_what_is_private_is_counted_and_not_quoted(tmp_path: Path) -> None:
    mail, card = "gudrun.holm@holm-geigen.de", "4539 1488 0343 6467"
    odd = Labelled("odd", f"{'!?' * 300} {mail} {card}", "repair", source="a.csv:1")
    found = profile(tmp_path, [*labelled(60), odd, Text("other", f"Write to {mail}.", source="a.csv:2")], MODEL, privacy=PRIVACY)
    cut = Labelled("cut", f"{'?' * (measured.SHOWN_CHARACTERS - 9)} {mail}", "repair")
    second = profile(tmp_path, [*labelled(60), cut], MODEL, privacy=PRIVACY)
    for one in (found, second):
        page, said = profile_page(one, About("bows")), json.dumps(one.as_dict())
        assert "gudrun" not in page + said and "4539 1488" not in page + said
    assert any("[EMAIL]" in text or "[EM" in text for text in second.masked)
    assert "email 2 0" in words(profile_page(found, About("bows")))


def test_of_a_large_set_the_page_says_how_many_rows_were_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "Sample", lambda seed: Sample(seed, most_rows=25))
    found = profile(tmp_path, labelled(100), MODEL, seed=7)
    text = words(profile_page(found, About("bows")))
    assert "Looked at closely: 25 of 100 rows, drawn by seed 7" in text and found.as_dict()["looked_at"]["rows"] == 25  # type: ignore[index,call-overload]
    assert "repair 40 0 10" in text, "labels are counted of all rows"
    rows = [*labelled(100), *(Text(f"odd {i}", "My bow \ufffd") for i in range(20))]
    said = {one.kind: one.because for one in troubles_of(profile(tmp_path, [*rows, *(Text(f"c{i}", "copy") for i in range(9))]))}
    assert said["wrong_characters"].endswith("Counted among 25 of 129 rows, which were drawn by seed.")
    assert said["copies"] == "Copies count twice in training."


def test_without_a_tokenizer_the_page_says_why(tmp_path: Path) -> None:
    text = words(profile_page(profile(tmp_path, labelled(30), "there is no model here"), About("bows")))
    assert "Not known: there is no model here." in text


def test_an_empty_set_and_one_row_have_pages(tmp_path: Path) -> None:
    for rows in ([], [Text("a", "")], [Text("a", "One row.")]):
        found = profile(tmp_path, rows, MODEL)
        parsed(profile_page(found, About("bows")))
        json.dumps(found.as_dict(), allow_nan=False)


def test_any_shape_of_row_has_a_profile(tmp_path: Path) -> None:
    asked, yes, no = Message("user", "Is the bow mended?"), Message("assistant", "Yes."), Message("assistant", "No.")
    turns = (Message("system", "be brief"), asked, yes)
    rows = [Chat(f"c{i}", (*turns, Message("user", f"And the nut {i}?"))) for i in range(30)]
    others = [
        Pair("p", "a", "b"), Text("t", "bow"), Labelled("l", "bow", "part"), Preference("f", (asked,), (yes,), (no,)),
        Ranking("k", (asked,), ((yes,), (no,)), (1, 2)), Rated("r", (asked,), (yes,), True), Rated("s", (asked,), (yes,), False),
        Tagged("g", ("My", "bow"), ("O", "B")), Scored("n", "bow", 0.5), Scored("m", "bow", 0.7),
    ]  # fmt: skip
    assert {type(one) for one in [*rows, *others]} == set(get_args(AnyExample))
    found = profile(tmp_path, [*rows, *others], Model("m", Letters(string.printable), 100))
    value = found.as_dict()
    assert value["shapes"]["chat"] == 30 and value["shapes"]["rated"] == 2 and value["turns"]["max"] == 4  # type: ignore[index,call-overload]
    assert found.gathered.n_copies == 0, "they differ by what is to be answered"
    assert sum(row.n_characters for row in found.gathered.sample) == sum(len(text) for one in [*rows, *others] for text in one.texts())
    assert "turns" in words(profile_page(found, About("talk")))


def test_what_is_gathered_is_what_the_files_say(tmp_path: Path) -> None:
    rows = labelled(20)
    changes = {"r1": (Change("whitespace", "space"), Change("whitespace", "space")), "r2": (Change("html_to_text", "HTML"),)}
    gone = [DroppedRow(rows[0], "exact_duplicates", "duplicate of another row", "", "r3")] * 2
    gone += [DroppedRow(rows[1], "near_duplicates", "nearly the same as another row", "", "r4")]
    gone += [DroppedRow(rows[2], "length", "empty text")]
    found = gather(write_data(tmp_path, rows, gone, changes), Sample(0))
    assert found.sides == {"train": 16, "validation": 2, "test": 2} and found.n_rows == 20 and found.n_read == 24
    assert found.changed == {"whitespace": {"space": 1}, "html_to_text": {"HTML": 1}}
    assert found.dropped["exact_duplicates"] == {"duplicate of another row": 2} and found.dropped["length"] == {"empty text": 1}
    assert found.clusters == (("r3", 2), ("r4", 1)) and found.n_clusters == 2
    assert found.labels == {"question": {"train": 8, "validation": 2, "test": 0}, "repair": {"train": 8, "validation": 0, "test": 2}}
    assert found.n_characters.tolist() == [len(row.text) for row in rows] and not found.is_sampled


def test_no_template_loads_anything() -> None:
    folder = Path(measured.__file__).parent / "templates"
    texts = [path.read_text(encoding="utf-8") for path in folder.iterdir()]
    assert len(texts) >= 5 and not any(re.search(r"https?:|\| *safe|<script|style=", text) for text in texts)
