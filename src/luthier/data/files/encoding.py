"""Bytes to text: which encoding a file is in, and its lines with their numbers.

Byte-order marks are believed first, then UTF-8 (over the whole file, because one accented letter a million rows down is
what usually breaks a load), then a guess from the lines that hold the evidence. Gzip is recognised by its content.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator

import charset_normalizer

from luthier.core.errors import LuthierError
from luthier.data.files.opening import head, opened
from luthier.data.files.record import OR_DROP, BadRow, RawFile

CHUNK_BYTES = 1 << 18
MAX_LINE = 1 << 26
"""A longer line, in bytes (in UTF-16 and UTF-32: characters), is a bad row, of which no more is ever held."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_MAGIC = ((b"PK\x03\x04", "a ZIP archive or an office document", "unpack it, or save the sheet as CSV in UTF-8"),
          (b"%PDF", "a PDF document", "extract its text into a .txt file"),
          (b"PAR1", "a Parquet file", 'set format = "parquet" under [data]'),
          (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
          (b"BZh", "a bzip2 archive", "unpack it, or pack it with gzip"),
          (b"\xfd7zXZ", "an xz archive", "unpack it, or pack it with gzip"),
          (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it, or pack it with gzip"),
          (b"ARROW1", "an Arrow file", "save it as Parquet"))
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\v\x1b\x08\x1a")) + b"\x7f"
_SHARE_BINARY = 0.05
_EVIDENCE_BYTES = 1 << 16
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_CHAOS = 0.07  # how much messier the text may look as Western and still be taken for it: accents in every word cost it 0.06
_OLD = [
    "cp437", "cp720", "cp737", "cp775", "cp850", "cp852", "cp855", "cp857", "cp858", "cp860", "cp861", "cp862", "cp863", "cp864", "cp865",
    "cp866", "cp869", "cp1125", "cp1006", "cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140", "hp_roman8", "mac_roman",
    "mac_latin2", "mac_greek", "mac_cyrillic", "mac_iceland", "mac_turkish",
]  # fmt: skip
# A letter, then what is neither a letter nor an apostrophe, hyphen or middle dot, then a letter again: no language writes so.
_SIGN_IN_WORD = re.compile(r"[^\W\d_](?![’'\u00ad·-])[^\w\s\x00-\x7f][^\W\d_]")


def detect(file: RawFile, given: str | None = None) -> str:
    """The name of the encoding that a file is in; `given` is believed.

    Raises:
        LuthierError: the file is not text, its encoding is unknown, or it cannot be told.

    """
    start = head(file)
    refuse_binary(file, start)
    marked = next((name for mark, name in _BOMS if start.startswith(mark)), None)
    if given is not None:
        wanted = _known(given)
        return marked if marked is not None and wanted.replace("_", "-").startswith(("utf-16", "utf-32")) else wanted
    if marked is not None:
        return marked
    wide = _unmarked_utf16(start)
    if wide is not None:
        return wide
    if _is_utf8(file):
        return "utf-8"
    return _declared(start) or _legacy(file)


def refuse_binary(file: RawFile, start: bytes) -> None:
    """Raise if these first bytes are not those of a text file."""
    for magic, what, fix in _MAGIC:
        if start.startswith(magic):
            raise LuthierError(file.where, f"this is {what}, not text", fix)
    if any(start.startswith(mark) for mark, _ in _BOMS) or _unmarked_utf16(start) is not None:
        return
    if start and len(start) - len(start.translate(None, _CONTROLS)) > _SHARE_BINARY * len(start):
        raise LuthierError(file.where, "this is a binary file, not text", "give a CSV, TSV, JSON, JSONL, Parquet or text file")


def _known(name: str) -> str:
    try:
        "a".encode(name)
        return codecs.lookup(name).name
    except (LookupError, UnicodeError):
        fix = 'try "utf-8", "cp1252" or "utf-16"'
        raise LuthierError("[data] encoding", f'"{name}" is not an encoding that Python knows', fix) from None


def _unmarked_utf16(start: bytes) -> str | None:
    """UTF-16 without its mark: in mostly Latin text, every other byte is zero."""
    if len(start) < 8:
        return None
    even, odd = start[0::2].count(0) / len(start[0::2]), start[1::2].count(0) / len(start[1::2])
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else None


def _declared(start: bytes) -> str | None:
    """What a web page that is not UTF-8 says of itself (HTML Standard, 13.2.3.2: a `meta` element near the beginning)."""
    found = _META_CHARSET.search(start, 0, 4096)
    try:
        name = None if found is None else codecs.lookup(found[1].decode("ascii")).name
    except LookupError:
        return None
    # As browsers do: what calls itself Latin-1 or ASCII is written on Windows, and UTF-8 it is not.
    return "cp1252" if name in ("iso8859-1", "ascii") else None if name == "utf-8" else name


def _is_utf8(file: RawFile) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with opened(file) as raw:
            while chunk := raw.read(CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _legacy(file: RawFile) -> str:
    """The encoding of a file that is not all UTF-8, judged by its lines that are not ASCII.

    A file most of whose telling lines are valid UTF-8 is UTF-8 with some broken rows: legacy text is hardly ever valid by chance.
    """
    n_valid = n_invalid = n_kept_bytes = 0
    evidence: list[bytes] = []
    with opened(file) as raw:
        while line := raw.readline(CHUNK_BYTES):
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                n_valid += 1
            except UnicodeDecodeError:
                n_invalid += 1
                if n_kept_bytes < _EVIDENCE_BYTES:
                    evidence.append(line)
                    n_kept_bytes += len(line)
    if n_valid > n_invalid:
        return "utf-8"
    return _guess(b"".join(evidence), file)


def _guess(evidence: bytes, file: RawFile) -> str:
    """The likeliest encoding of these bytes; of those equally likely, that of Western Windows, in which most such files are written.

    Encodings of DOS and old Macs have letters where Windows has the euro sign, dashes and curly quotes, so that any of these would
    make them look likelier: they are asked only where all others would put a sign inside a word.
    """
    for left_out in (_OLD, []):
        found = charset_normalizer.from_bytes(evidence, cp_exclusion=left_out)
        matches = [match for match in found if not _SIGN_IN_WORD.search(str(match))] or (list(found) if not left_out else [])
        if matches:
            best = matches[0]
            western = (match for match in matches if "cp1252" in match.could_be_from_charset)
            if any(match.chaos <= best.chaos + _CHAOS and match.coherence >= best.coherence - 0.05 for match in western):
                return "cp1252"
            return codecs.lookup(best.encoding).name
    raise LuthierError(file.where, "its encoding cannot be told", _ENCODING_FIX)


def lines(file: RawFile) -> Iterator[tuple[int, str] | BadRow]:
    """The file's lines with their numbers from 1, without their ends; lines that are not text come as bad rows.

    Lines end at line feeds, with or without a carriage return, or in files without line feeds at carriage returns; never at the
    Unicode separators inside a text.
    """
    start = head(file)
    old_mac = b"\r" in start and b"\n" not in start
    by_bytes = not old_mac and "\n".encode(file.encoding) == b"\n"
    for number, line in enumerate(_byte_lines(file) if by_bytes else _text_lines(file, "\r" if old_mac else "\n"), 1):
        if isinstance(line, BadRow):
            yield line
            continue
        text = line.removeprefix("\ufeff") if number == 1 else line
        if "\0" in text:
            yield BadRow(file.place(number), "the line holds a NUL byte", _NUL_FIX)
        else:
            yield number, text


def _byte_lines(file: RawFile) -> Iterator[str | BadRow]:
    """For encodings in which a line break is the byte 10: each line is decoded by itself, so that one bad line spoils no other."""
    with opened(file) as raw:
        number = 0
        while line := raw.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                yield BadRow(file.place(number), f"the line is longer than {MAX_LINE:,} bytes", _LINE_FIX)
                _skip_line(raw)
                continue
            line = line.removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield line.decode(file.encoding)
            except UnicodeError as error:
                yield BadRow(file.place(number), _undecodable(error, file.encoding), _ENCODING_FIX)


def _skip_line(raw: io.BufferedReader) -> None:
    """Go on to the next line, holding no more than the reader's buffer."""
    while piece := raw.peek():
        at = piece.find(b"\n")
        raw.read(len(piece) if at < 0 else at + 1)
        if at >= 0:
            return


def _text_lines(file: RawFile, newline: str) -> Iterator[str | BadRow]:
    number = 0
    with opened(file) as raw, io.TextIOWrapper(raw, encoding=file.encoding, newline=newline) as text:
        try:
            while line := text.readline(MAX_LINE):
                number += 1
                if len(line) == MAX_LINE and not line.endswith(newline):
                    yield BadRow(file.place(number), f"the line is longer than {MAX_LINE:,} characters", _LINE_FIX)
                    while len(line := text.readline(CHUNK_BYTES)) == CHUNK_BYTES and not line.endswith(newline):
                        pass
                    continue
                yield line.removesuffix(newline).removesuffix("\r")
        except UnicodeError as error:
            problem = "here or a little later, " + _undecodable(error, file.encoding)
            raise LuthierError(file.place(number + 1), problem, _ENCODING_FIX) from error


def chunks(file: RawFile) -> Iterator[str]:
    """The file's text in pieces, for formats that are not made of lines.

    Raises:
        LuthierError: some bytes are not text, with the line they stand on.

    """
    decoder = codecs.getincrementaldecoder(file.encoding)()
    line = 1
    first = True
    with opened(file) as raw:
        while True:
            piece = raw.read(CHUNK_BYTES)
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeError as error:
                line += error.object[: error.start].count(b"\n") if isinstance(error, UnicodeDecodeError) else 0
                raise LuthierError(file.place(line), _undecodable(error, file.encoding), _ENCODING_FIX) from error
            if "\0" in text:
                line += text[: text.index("\0")].count("\n")
                raise LuthierError(file.place(line), "the file holds a NUL byte", _NUL_FIX)
            line += text.count("\n")
            if text:
                yield text.removeprefix("\ufeff") if first else text
                first = False
            if not piece:
                return


_LINE_FIX = f"part it into several rows{OR_DROP}"
_NUL_FIX = "remove it; the file may have been damaged, or be in UTF-16: then set encoding under [data]"
_ENCODING_FIX = 'save the file as UTF-8, or name its encoding under [data], for example encoding = "cp1252"'


def _undecodable(error: UnicodeError, encoding: str) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return f"this is not {encoding.upper()} text ({error})"
    return f"the byte 0x{error.object[error.start]:02x} is not {encoding.upper()} text"
