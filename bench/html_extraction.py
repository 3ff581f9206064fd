"""Main text of web pages against what people say it is: ours beside extraction libraries used directly, by word F1.

    python bench/html_extraction.py SHARED/data/readability_html/pages.tar.gz --half 0

The archive holds `PAGE/source.html` and `PAGE/expected.html`; of the expected page the text of all its elements counts. Words
are runs of letters and digits, in small letters; F1 is over the multiset of words of a page, and the figure is the mean over
pages, with a 95 % bootstrap interval over pages for the difference. `--half 0` and `--half 1` part the pages by a hash of their
names: one half to decide on, one to judge by. A folder with `ground-truth.json` and `html/*.html.gz` (`articleBody` by page) is read too.
Libraries that are not installed are left out; an error or no text counts 0.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
import re
import statistics
import tarfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from luthier.data.cleaning.html_tree import parsed
from luthier.data.cleaning.page_text import page_text, rendered

WORD = re.compile(r"[^\W_]+")


def pages_of(source: Path) -> Iterator[tuple[str, str, str]]:
    """(Name, HTML, expected text) of every page."""
    if source.is_dir():
        truth = json.loads((source / "ground-truth.json").read_text(encoding="utf-8"))
        for name, found in sorted(truth.items()):
            with gzip.open(source / "html" / f"{name}.html.gz", "rt", encoding="utf-8", errors="replace") as file:
                yield name, file.read(), found["articleBody"]
        return
    with tarfile.open(source) as archive:
        files = {member.name.removeprefix("./"): member for member in archive.getmembers() if member.isfile()}

        def read(name: str) -> str:
            file = archive.extractfile(files[name])
            assert file is not None
            return file.read().decode("utf-8", "replace")

        for name in sorted(one.removesuffix("/source.html") for one in files if one.endswith("/source.html")):
            yield name, read(f"{name}/source.html"), rendered(parsed(read(f"{name}/expected.html")))


def word_f1(found: str, expected: str) -> float:
    """F1 of the words found; 1 if both are empty."""
    a, b = Counter(WORD.findall(found.lower())), Counter(WORD.findall(expected.lower()))
    if not a and not b:
        return 1.0
    common = sum((a & b).values())
    return 2 * common / (sum(a.values()) + sum(b.values()))


def trafilatura_text(page: str) -> str:
    import trafilatura

    return trafilatura.extract(page) or ""


def trafilatura_recall(page: str) -> str:
    import trafilatura

    return trafilatura.extract(page, include_comments=False, favor_recall=True) or ""


def readability_text(page: str) -> str:
    from lxml import html as lxml_html
    from readability import Document

    return lxml_html.fromstring(Document(page).summary()).text_content()


def readability_laid_out(page: str) -> str:
    from readability import Document

    return rendered(parsed(Document(page).summary()))


def resiliparse_text(page: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(page, main_content=True))


def justext_text(page: str) -> str:
    import justext

    return "\n".join(one.text for one in justext.justext(page, justext.get_stoplist("English")) if not one.is_boilerplate)


SYSTEMS: dict[str, tuple[str | None, Callable[[str], str]]] = {
    "ours": (None, page_text),
    "all text": (None, lambda page: rendered(parsed(page))),
    "trafilatura": ("trafilatura", trafilatura_text),
    "trafilatura, favor_recall": ("trafilatura", trafilatura_recall),
    "readability-lxml": ("readability", readability_text),
    "readability-lxml, our layout": ("readability", readability_laid_out),
    "resiliparse": ("resiliparse", resiliparse_text),
    "jusText": ("justext", justext_text),
}


def scored(extract: Callable[[str], str], pages: list[tuple[str, str, str]]) -> list[float]:
    found: list[float] = []
    for _, page, expected in pages:
        try:
            found.append(word_f1(extract(page), expected))
        except Exception:  # a library's failure is its result
            found.append(0.0)
    return found


def interval(differences: list[float], rng: random.Random) -> tuple[float, float]:
    """The 95 % percentile interval of the mean, of 2,000 resamples."""
    means = sorted(statistics.fmean(rng.choices(differences, k=len(differences))) for _ in range(2000))
    return means[50], means[1949]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1))
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS))
    parser.add_argument("--pages", action="store_true", help="each page's figures")
    arguments = parser.parse_args()
    pages = [one for one in pages_of(arguments.source) if arguments.half is None or zlib.crc32(one[0].encode()) % 2 == arguments.half]
    results: dict[str, list[float]] = {}
    for name in arguments.systems:
        package, extract = SYSTEMS[name]
        if package is None or importlib.util.find_spec(package):
            started = time.perf_counter()
            results[name] = scored(extract, pages)
            seconds = time.perf_counter() - started
            low = sum(value < 0.5 for value in results[name])
            print(f"{name:30} F1 {statistics.fmean(results[name]):.4f}  median {statistics.median(results[name]):.4f}  "
                  f"under 0.5: {low} of {len(pages)}  {seconds:.1f} s")  # fmt: skip
    rng = random.Random(0)
    for name, values in results.items():
        if name != "ours" and "ours" in results:
            differences = [a - b for a, b in zip(results["ours"], values, strict=True)]
            low_end, high_end = interval(differences, rng)
            print(f"ours - {name:28} {statistics.fmean(differences):+.4f} ({low_end:+.4f} to {high_end:+.4f})")
    if arguments.pages:
        for i, (name, _, _) in enumerate(pages):
            print(f"{name[:40]:40}", *(f"{values[i]:.3f}" for values in results.values()))


if __name__ == "__main__":
    main()
