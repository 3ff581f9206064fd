"""SQuAD as it was published (Rajpurkar et al. 2016, arXiv 1606.05250): articles that hold paragraphs that hold questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from luthier.core.jsonvalue import Json
from luthier.data.files.record import BadRow, RawFile, Record


def is_nested(article: Mapping[str, Json]) -> bool:
    """Whether an object is an article of paragraphs with questions."""
    paragraphs = article.get("paragraphs")
    return isinstance(paragraphs, list) and bool(paragraphs) and isinstance(paragraphs[0], Mapping) and "qas" in paragraphs[0]


def questions_of(article: Mapping[str, Json], line: int, file: RawFile) -> Iterator[Record | BadRow]:
    """A record for each question, in the flat layout in which the set is passed on today; all have the article's line."""
    around = {name: value for name, value in article.items() if name != "paragraphs"}
    paragraphs = article["paragraphs"]
    assert isinstance(paragraphs, list), "is_nested has seen the list"
    for n, paragraph in enumerate(paragraphs, 1):
        if not isinstance(paragraph, Mapping) or not isinstance(paragraph.get("qas"), list):
            yield BadRow(file.place(line), f'paragraph {n} of this article is not an object with "context" and "qas"')
            continue
        beside = {name: value for name, value in paragraph.items() if name != "qas"}
        for m, question in enumerate(paragraph["qas"], 1):
            if isinstance(question, Mapping):
                yield Record({**around, **beside, **question}, line)
            else:
                yield BadRow(file.place(line), f"question {m} of paragraph {n} of this article is not an object")


def nested(records: Iterator[Mapping[str, Json]]) -> Json:
    """The document that holds these records: questions that follow one another on one text, and texts of one title, stand together."""
    articles: list[dict[str, Json]] = []
    for record in records:
        title = {"title": record["title"]} if "title" in record else {}
        context = record.get("context")
        if not articles or {name: value for name, value in articles[-1].items() if name == "title"} != title:
            articles.append({**title, "paragraphs": []})
        paragraphs: list[dict[str, Json]] = articles[-1]["paragraphs"]  # type: ignore[assignment]
        if not paragraphs or paragraphs[-1]["context"] != context:
            paragraphs.append({"context": context, "qas": []})
        questions: list[Json] = paragraphs[-1]["qas"]  # type: ignore[assignment]
        questions.append({name: value for name, value in record.items() if name not in ("title", "context")})
    return {"data": articles}
