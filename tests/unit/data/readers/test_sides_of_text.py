"""Texts with a structure of their own: parallel files, CoNLL columns, one long text in parts, web pages in old encodings."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.core.examples import Pair, Tagged
from luthier.data.readers.paragraphs import PART_CHARACTERS
from luthier.data.source.reading import BadRow, Data, Recognised, read, recognise


def rows_of(*sources: Path, **data: object) -> list:
    wanted = Data(tuple(map(str, sources)), **data)  # type: ignore[arg-type]
    return list(read(wanted, recognise(wanted)))


def recognised(*sources: Path) -> Recognised:
    return recognise(Data(tuple(map(str, sources))))


def written(folder: Path, **files: str) -> dict[str, Path]:
    paths = {name.replace("__", "."): folder / name.replace("__", ".") for name in files}
    for path, text in zip(paths.values(), files.values(), strict=True):
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return paths


def test_two_files_alike_but_for_their_language_are_read_side_by_side(tmp_path: Path) -> None:
    paths = written(tmp_path, train__de="Ein Hund.\n\nEine Katze.\n", train__en="A dog.\n\nA cat.\n")
    rows = rows_of(*paths.values())
    assert [(type(row), row.prompt, row.completion, row.source) for row in rows] == [
        (Pair, "Ein Hund.", "A dog.", "train.de:1"), (Pair, "Eine Katze.", "A cat.", "train.de:3"),
    ]  # fmt: skip
    assert recognised(tmp_path).fields == {"prompt": "en", "completion": "de"}


def test_a_folder_of_parallel_files_is_read_pair_by_pair_and_what_stands_beside_them_is_left(tmp_path: Path) -> None:
    written(tmp_path, train__de__gz="eins\nzwei\n", train__en__gz="one\ntwo\n", val__de__gz="drei\n", val__en__gz="three\n")
    written(tmp_path, README__md="About.")
    rows = rows_of(tmp_path)
    assert [(row.prompt, row.completion) for row in rows] == [("one", "eins"), ("two", "zwei"), ("three", "drei")]


def test_files_of_unequal_length_are_no_translations(tmp_path: Path) -> None:
    paths = written(tmp_path, train__de="eins\nzwei\n", train__en="one\n")
    with pytest.raises(LuthierError, match="2 lines and train.en has 1") as caught:
        rows_of(*paths.values())
    assert caught.value.where == str(paths["train.de"])


def test_two_files_of_any_name_are_parallel_where_the_recipe_says_so(tmp_path: Path) -> None:
    paths = written(tmp_path, dog__txt="eins\nzwei\n", cat__txt="one\n\n")
    rows = rows_of(*paths.values(), format="parallel")
    assert [(row.prompt, row.completion) for row in rows] == [("eins", "one"), ("zwei", "")]
    with pytest.raises(LuthierError, match="no second file"):
        rows_of(paths["dog.txt"], format="parallel")


def test_texts_that_are_not_called_by_languages_stay_documents(tmp_path: Path) -> None:
    written(tmp_path, report__old__txt="a\nb", report__new__txt="c\nd")
    assert sorted(row.text for row in rows_of(tmp_path)) == ["a\nb", "c\nd"]


CONLL = "-DOCSTART- -X- O\n\nAnn NNP B-PER\nsings VBZ O\n\n\nBo NNP B-PER\n"


def test_sentences_of_columns_become_tokens_with_their_last_column_as_tags(tmp_path: Path) -> None:
    for name in ("a.conll", "a.txt", "a.tsv"):
        (tmp_path / name).write_text(CONLL if name != "a.tsv" else CONLL.replace(" ", "\t"))
        rows = rows_of(tmp_path / name)
        assert [(type(row), row.tokens, row.tags, row.source) for row in rows] == [
            (Tagged, ("Ann", "sings"), ("B-PER", "O"), f"{name}:3"), (Tagged, ("Bo",), ("B-PER",), f"{name}:7"),
        ]  # fmt: skip
        assert rows[0].extra == {"column_2": ["NNP", "VBZ"]}


def test_conll_u_has_names_for_its_columns_and_keeps_its_comments(tmp_path: Path) -> None:
    tokens = ("1\tAnn\tAnn\tPROPN\t_\t_\t2\tnsubj\t_\t_", "2\tsings\tsing\tVERB\t_\t_\t0\troot\t_\t_")
    (tmp_path / "a.conllu").write_text("\n".join(("# text = Ann sings", *tokens)))
    [row] = rows_of(tmp_path / "a.conllu")
    assert (row.tokens, row.tags) == (("Ann", "sings"), ("PROPN", "VERB"))
    assert row.extra["comments"] == ["# text = Ann sings"] and row.extra["lemmas"] == ["Ann", "sing"]


def test_a_sentence_with_a_ragged_line_is_one_bad_row_with_the_lines_place(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ann B-PER\n\nBo B-PER\nsings\nloud O\n\nCy B-PER\n")
    rows = rows_of(tmp_path / "a.conll")
    assert [row.source for row in rows if isinstance(row, BadRow)] == ["a.conll:4"]
    assert [row.tokens for row in rows if isinstance(row, Tagged)] == [("Ann",), ("Cy",)]


def test_prose_and_poems_are_not_taken_for_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("To be\nor not\n\nthat is\nthe O\n")
    assert [row.text for row in rows_of(tmp_path / "a.txt")] == ["To be\nor not\n\nthat is\nthe O"]


def test_one_long_text_is_parted_at_blank_lines_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {n}. " + "It goes on. " * (n % 90) for n in range(200)]
    (tmp_path / "a.txt").write_text("\n\n\n" + "\n\n".join(paragraphs) + "\n\n")
    rows = rows_of(tmp_path / "a.txt", format="paragraphs")
    assert "\n\n".join(row.text for row in rows).split("\n\n") == [text.rstrip("\n") for text in paragraphs]
    assert all(PART_CHARACTERS <= len(row.text) < 2 * PART_CHARACTERS for row in rows[:-1])
    lines = (tmp_path / "a.txt").read_text().split("\n")
    assert all(lines[int(row.source.rpartition(":")[2]) - 1] == row.text.partition("\n")[0] for row in rows)


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1251", "Shift_JIS"])
def test_a_web_page_that_is_not_utf_8_is_read_as_it_says_it_is_written(tmp_path: Path, declared: str) -> None:
    word = {"iso-8859-1": "Brücke", "windows-1251": "скрипка", "Shift_JIS": "弓"}[declared]
    page = f'<!doctype html><html><head><meta charset="{declared}"><title>x</title></head><body><p>{word}</p></body></html>'
    (tmp_path / "a.html").write_bytes(page.encode(declared))
    [row] = rows_of(tmp_path / "a.html")
    assert word in row.text


def test_a_page_in_utf_8_is_utf_8_whatever_it_says(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<html><head><meta charset="windows-1251"></head><body>Brücke</body></html>', encoding="utf-8")
    [row] = rows_of(tmp_path / "a.html")
    assert "Brücke" in row.text
