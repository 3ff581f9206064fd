"""The pipeline's bookkeeping: rows that part, change twice, are dropped, and rows that were here before."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.core.examples import AnyExample, Labelled, Text
from luthier.data.decisions import Changed, Kept, Parted
from luthier.data.kept.prepared import known_sides, sides_to_record
from luthier.data.pipeline import Change, Prepare, clean, refuse
from luthier.data.steps import ExactDuplicates, HtmlToText, Length, NearDuplicates, Whitespace


@dataclass(frozen=True)
class BySentence:
    """Parts a text at full stops."""

    kind: str = "by_sentence"

    def apply(self, example: AnyExample) -> Kept | Parted:
        assert isinstance(example, Text)
        found = [one for one in example.text.split(".") if one]
        return Parted(tuple(Text(f"{example.id}.{i}", one) for i, one in enumerate(found))) if len(found) > 1 else Kept()


@dataclass(frozen=True)
class Shout:
    """Writes in capitals."""

    kind: str = "shout"

    def apply(self, example: AnyExample) -> Changed:
        return Changed(example.map_text(str.upper), "capitals")


def test_rows_that_part_are_counted_as_added() -> None:
    cleaned = clean([Text("a", "one.two.x"), Text("b", "four")], [BySentence(), Length(min_characters=2)])
    assert [row.example for row in cleaned.kept] == [Text("a.0", "one"), Text("a.1", "two"), Text("b", "four")]
    assert cleaned.added == {"by_sentence": 2}
    assert 2 + sum(cleaned.added.values()) == len(cleaned.kept) + len(cleaned.dropped)


def test_changes_are_noted_in_order_and_survive_parting() -> None:
    cleaned = clean([Text("a", " one.two ")], [Whitespace(), BySentence(), Shout()])
    assert [row.changes for row in cleaned.kept] == [(Change("whitespace", "space"), Change("shout", "capitals"))] * 2
    assert cleaned.changed() == {"whitespace": 2, "shout": 2}


def test_a_dropped_row_is_kept_as_it_was_when_it_went() -> None:
    cleaned = clean([Text("a", "  x  ")], [Whitespace(), Length(min_characters=2)])
    (row,) = cleaned.dropped
    assert (row.example, row.step, row.reason, row.detail) == (Text("a", "x"), "length", "text under 2 characters", "1 characters")


def test_rows_come_out_in_the_order_they_came_in() -> None:
    rows = [Text(str(i), text) for i, text in enumerate(["b", "a", "b", "c", "a", "d"])]
    assert [row.example.id for row in clean(rows, [ExactDuplicates()]).kept] == ["0", "1", "3", "5"]


def test_a_row_that_was_here_before_outranks_a_new_one() -> None:
    line = "The peg of the D string slips in dry weather, what shall I do"
    rows = [Labelled("new", line, "x"), Labelled("old", line + "?", "x"), Labelled("twin", line.upper(), "x")]
    for steps in ([NearDuplicates()], [ExactDuplicates(), NearDuplicates()]):
        assert {row.example.id for row in clean(rows, steps, {"old"}).kept} == {"old"}
        assert {row.example.id for row in clean(rows, steps).kept} == {"new"}


def test_refused_rows_leave_with_a_reason() -> None:
    cleaned = refuse(clean([Text("a", "x"), Text("b", "y")], []), {"b": ("split", "two sides", "because")})
    assert [row.example.id for row in cleaned.kept] == ["a"]
    assert [(row.example.id, row.step, row.reason, row.detail) for row in cleaned.dropped] == [("b", "split", "two sides", "because")]


def test_a_row_that_stands_for_others_inherits_their_side() -> None:
    # The majority of labels moves to b: old row 1 goes, and new row 2 stands in its place, on its side.
    rows = [Labelled("1", "t", "a"), Labelled("2", "t", "b"), Labelled("3", "t", "b")]
    cleaned = clean(rows, [ExactDuplicates()], {"1"})
    assert [row.example.id for row in cleaned.kept] == ["2"]
    assert known_sides({"1": "test"}, cleaned.kept, cleaned.dropped) == {"2": frozenset(["test"])}
    assert known_sides({"1": "test", "3": "train"}, cleaned.kept, cleaned.dropped) == {"2": frozenset(["test", "train"])}
    assert known_sides({"1": "test", "2": "train"}, cleaned.kept, cleaned.dropped) == {"2": frozenset(["train"])}


def test_sides_are_remembered_for_rows_that_are_gone_and_for_twins() -> None:
    cleaned = clean([Text("1", "t"), Text("2", "T"), Text("3", "u")], [ExactDuplicates()])
    now, absent = sides_to_record({"1": "test", "3": "train"}, {"3": "train", "gone": "validation"}, cleaned.dropped)
    assert now == {"1": "test", "3": "train"}
    assert absent == {"2": "test", "gone": "validation"}


def test_a_chain_of_twins_leads_to_the_row_that_stayed() -> None:
    line = "My bow arm hurts after an hour of practice, is the frog too heavy"
    cleaned = clean([Text("1", line), Text("2", line + "?"), Text("3", line.upper() + "?")], [ExactDuplicates(), NearDuplicates()])
    assert {row.example.id: row.kept_id for row in cleaned.dropped} == {"3": "2", "2": "1"}
    assert sides_to_record({"1": "test"}, {}, cleaned.dropped)[1] == {"2": "test", "3": "test"}


def test_a_decoder_after_the_search_for_duplicates_is_a_complaint() -> None:
    assert [path for path, *_ in Prepare((ExactDuplicates(), HtmlToText())).complaints(frozenset())] == ["steps[1]"]
