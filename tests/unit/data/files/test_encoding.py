"""Which encoding a file is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import LuthierError
from luthier.data.files.encoding import detect, lines
from luthier.data.files.record import RawFile

WEST = "Le garçon n’était pas là — dommage.\nDas Mädchen heißt Müller.\n"


@pytest.mark.parametrize(("text", "written", "named"), [
    ("plain ascii\n", "ascii", "utf-8"), (WEST, "utf-8", "utf-8"), (WEST, "utf-8-sig", "utf-8"), (WEST, "utf-16", "utf-16"),
    (WEST, "utf-16-le", "utf-16-le"), (WEST, "utf-16-be", "utf-16-be"), (WEST, "utf-32", "utf-32"), (WEST, "cp1252", "cp1252"),
    ("Where is my café card, señor?\n", "latin-1", "cp1252"),
    ("Příliš žluťoučký kůň úpěl ďábelské ódy.\nKdy dorazí moje karta? Děkuji.\n", "cp1250", "cp1250"),
    ("Привет, как дела? Я хотел бы узнать,\nкогда придёт моя карта.\n", "cp1251", "cp1251"),
    ("これは日本語のテキストです。\n明日は天気がいいでしょう。\n", "shift_jis", "cp932"),
])  # fmt: skip
def test_the_encoding_is_found_and_the_lines_are_the_text(tmp_path: Path, text: str, written: str, named: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(written))
    assert detect(RawFile(path, path.name)) == named
    assert [line[1] for line in lines(RawFile(path, "a.txt", named)) if isinstance(line, tuple)] == text.splitlines()


@pytest.mark.parametrize(("text", "written"), [
    ("I’ll pay €5 – don’t “worry”.\nThe shop’s card isn’t here…\n" * 5, "cp1252"), ("order 12;the parcel costs €5;Billing\n" * 6, "cp1252"),
    ("Hello, my password – Thänks – €5! Bob Dee, order 2013\n" * 10, "cp1252"),
    ("Le garçon n'était pas là, dommage. Où êtes-vous, hélas ?\nÇa va très bien à Paris, déjà vu.\n", "cp1252"),
    ("Das Mädchen heißt Müller.\nDer Bär isst Öl für zwölf Mäuse. Schöne Grüße\n", "cp850"),
    ("¿Dónde está mi señora mañana? El niño comió jamón.\n", "cp850"),
    ("Příliš žluťoučký kůň úpěl ďábelské ódy.\nKdy dorazí moje karta? Děkuji.\n", "cp852"),
    ("Das Mädchen heißt Müller.\nDer Bär isst Öl für zwölf Mäuse. Schöne Grüße\n", "mac_roman"),
])  # fmt: skip
def test_signs_of_a_spreadsheet_are_no_letters_of_an_old_machine_and_the_other_way_round(tmp_path: Path, text: str, written: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(written))
    file = RawFile(path, "a.txt", detect(RawFile(path, path.name)))
    assert [line[1] for line in lines(file) if isinstance(line, tuple)] == text.splitlines()


def test_an_accented_letter_far_down_decides_for_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"only ascii here\n" * 50_000 + "Der Bär isst Öl für zwölf Mäuse.\n".encode("cp1252"))
    assert detect(RawFile(path, path.name)) == "cp1252"


def test_a_utf8_letter_across_two_pieces_of_the_file_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * ((1 << 18) - 1) + "é\n".encode())
    assert detect(RawFile(path, path.name)) == "utf-8"


def test_a_letter_cut_off_at_the_very_end_is_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("Un garçon entre dans le café".encode("cp1252"))
    assert detect(RawFile(path, path.name)) == "cp1252"
    path.write_bytes(b"Un homme entre dans le caf\xe9")
    assert detect(RawFile(path, path.name)) == "cp1252"


def test_a_few_broken_lines_do_not_make_a_utf8_file_legacy(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("schön\n".encode() * 3 + b"sch\xf6n\n")
    assert detect(RawFile(path, path.name)) == "utf-8"


def test_a_given_encoding_is_believed_and_a_mark_still_fixes_the_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("été\n".encode("cp1252"))
    assert detect(RawFile(path, path.name), "ISO-8859-15") == "iso8859-15"
    path.write_bytes("été\n".encode("utf-16"))
    assert detect(RawFile(path, path.name), "utf-16-be") == "utf-16"


@pytest.mark.parametrize("name", ["utf-9", "hex"])
def test_an_unknown_encoding_is_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a")
    with pytest.raises(LuthierError, match="not an encoding"):
        detect(RawFile(path, path.name), name)


@pytest.mark.parametrize(
    ("start", "what"), [(b"PK\x03\x04rest", "ZIP"), (b"%PDF-1.7", "PDF"), (b"PAR1", "Parquet"), (bytes(range(32)) * 4, "binary")]
)
def test_a_file_that_is_no_text_says_what_it_is(tmp_path: Path, start: bytes, what: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(start)
    with pytest.raises(LuthierError, match=what):
        detect(RawFile(path, path.name))
