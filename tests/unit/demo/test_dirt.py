from __future__ import annotations

import csv
import re
import tomllib
from collections import Counter, defaultdict
from datetime import date, datetime
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from luthier.core.examples import Labelled
from luthier.data.decisions import Changed
from luthier.data.likeness.compared import normalised
from luthier.data.likeness.neighbours import similar_pairs, similarity
from luthier.data.pipeline import DEFAULT_STEPS, clean
from luthier.data.source.reading import BadRow, Data, read, recognise
from luthier.data.steps import HtmlToText, RepairEncoding
from luthier.demo import COLUMNS, SHARES, clean_messages, dirty_rows, write_csv
from luthier.demo.clean import Clean
from luthier.demo.customers import customers_of
from luthier.demo.dirt import CONFUSED
from luthier.demo.spoilt import N_HTML_STYLES, as_html, broken_off, likeness, misread, quoted, retold, second_tries, typographic

CLEAN = clean_messages()
DIRTY = dirty_rows()
ROWS = {row["ticket_id"]: row for row in DIRTY.rows}
RECORD = DIRTY.record
TEXTS = {one.id: one.text for one in CLEAN}
INTENTS = Counter(one.intent for one in CLEAN)


def squeezed(text: str) -> str:
    return " ".join(text.split())


def tickets(kind: str) -> list[str]:
    return [ticket for ticket, dirt in RECORD.items() if kind in dirt.kinds]


def after(step: RepairEncoding | HtmlToText, text: str) -> str:
    """The text as a cleaning step leaves it."""
    match step.apply(Labelled("x", text, "y")):
        case Changed(Labelled() as row):
            return row.text
        case _:
            return text


def repaired(text: str) -> str:
    return after(RepairEncoding(), text)


# The clean messages.


def test_every_message_has_the_intent_of_its_file_and_an_id_of_its_own() -> None:
    assert len({one.id for one in CLEAN}) == len(CLEAN) >= 1_400 and len(INTENTS) == 12
    assert all(re.fullmatch(rf"{one.intent}-\d{{3}}", one.id) and one.text == one.text.strip() != "" for one in CLEAN)
    assert {one.lang for one in CLEAN} == {"en", "de", "fr", "es", "pl"}
    assert CLEAN[0].id == "complaint_service-001"


def test_each_intent_has_enough_messages_for_a_quarter_to_be_twelve() -> None:
    assert min(INTENTS.values()) * 0.25 >= 12


def test_no_run_of_six_words_stands_in_more_than_a_hundredth_of_the_messages() -> None:
    counts: Counter[tuple[str, ...]] = Counter()
    for one in CLEAN:
        words = re.findall(r"\w+", one.text.lower())
        counts.update({tuple(words[i : i + 6]) for i in range(len(words) - 5)})
    assert [some for some in counts.most_common(3) if some[1] > 0.01 * len(CLEAN)] == []


def test_messages_are_of_all_lengths_some_with_an_order_number_some_in_haste_and_some_with_two_questions() -> None:
    texts = [one.text for one in CLEAN]
    n_words = np.array([len(text.split()) for text in texts])
    assert n_words.min() <= 4 and n_words.max() >= 100 and (n_words <= 10).sum() >= 50 and (n_words >= 50).sum() >= 50
    assert sum(bool(re.search(r"\b\d{4,6}\b", text)) for text in texts) >= 80
    assert sum(text.count("?") >= 2 for text in texts) >= 80
    assert sum(text[0].islower() for text in texts) >= 80


def test_intents_are_of_uneven_size() -> None:
    assert max(INTENTS.values()) >= 3 * min(INTENTS.values())


def test_no_two_clean_messages_are_alike() -> None:
    texts = [normalised(one.text) for one in CLEAN]
    assert [(CLEAN[i].id, CLEAN[j].id, value) for i, j, value in similar_pairs(texts, 0.8)] == []


def test_phone_numbers_and_addresses_are_those_that_belong_to_nobody() -> None:
    for row in DIRTY.rows:
        assert all(found.startswith("01632 960") for found in re.findall(r"\b0\d{3,4}[ -]\d{3,}", row["message"])), row
        assert all(found.startswith("555-01") for found in re.findall(r"\b\d{3}-\d{4}\b", row["message"])), row
        assert all(re.search(r"(^|\.)example(\.(org|com|net))?$", found) for found in re.findall(r"@([\w.-]+\w)", row["message"])), row


# The rows.


def test_the_same_seed_gives_the_same_rows_and_another_seed_gives_others() -> None:
    assert dirty_rows() == DIRTY
    other = dirty_rows(1)
    for kind in SHARES:
        here, there = ({one.clean_id for one in some.values() if kind in one.kinds} for some in (RECORD, other.record))
        assert here != there, kind
    assert {kind for dirt in other.record.values() for kind in dirt.kinds} == set(SHARES)


def test_rows_come_in_the_order_in_which_they_were_received() -> None:
    days = [row["received"] for row in DIRTY.rows]
    assert days == sorted(days) and all(date.fromisoformat(day) for day in days)
    numbers = [row["ticket_id"] for row in DIRTY.rows]
    assert numbers == sorted(set(numbers)) and set(numbers) == set(RECORD)
    assert all(tuple(row) == COLUMNS and row["channel"] in ("email", "web form", "chat") for row in DIRTY.rows)


@pytest.mark.parametrize("kind", list(SHARES))
def test_each_kind_of_dirt_has_about_its_share(kind: str) -> None:
    share = SHARES[kind]  # type: ignore[index]
    assert share == pytest.approx(len(tickets(kind)) / len(DIRTY.rows), rel=0.15)


def test_every_clean_message_is_there_once_and_what_is_not_in_the_record_was_not_done() -> None:
    originals = [dirt.clean_id for dirt in RECORD.values() if dirt.of is None and "empty" not in dirt.kinds]
    assert sorted(originals) == sorted(TEXTS)
    for ticket, dirt in RECORD.items():
        if not dirt.kinds:
            assert ROWS[ticket]["message"] == dirt.plain == TEXTS[dirt.clean_id] and ROWS[ticket]["intent"] == dirt.true_label


def test_only_wrong_labels_differ_from_the_true_ones() -> None:
    assert [ticket for ticket, dirt in RECORD.items() if ROWS[ticket]["intent"] != dirt.true_label] == tickets("wrong_label")
    assert all(dirt.true_label == dirt.clean_id.rsplit("-", 1)[0] for dirt in RECORD.values())


def test_each_intent_is_confused_with_others_and_not_with_itself() -> None:
    assert set(CONFUSED) == set(INTENTS)
    assert all(others and set(others) <= set(INTENTS) - {intent} for intent, others in CONFUSED.items())


def test_exact_duplicates_repeat_an_earlier_ticket_to_the_letter() -> None:
    for ticket in tickets("exact_duplicate"):
        first = RECORD[ticket].of
        assert first is not None and first < ticket
        assert (ROWS[ticket]["message"], ROWS[ticket]["intent"]) == (ROWS[first]["message"], ROWS[first]["intent"])


def test_near_duplicates_are_near_an_earlier_ticket_and_not_equal_to_it() -> None:
    for ticket in tickets("near_duplicate"):
        dirt = RECORD[ticket]
        assert dirt.of is not None and dirt.of < ticket
        here, there = normalised(dirt.plain), normalised(RECORD[dirt.of].plain)
        assert here != there and similarity(here, there) >= 0.8
        assert ROWS[ticket]["message"] == dirt.plain and ROWS[ticket]["intent"] == ROWS[dirt.of]["intent"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_copies_are_as_true_under_other_seeds(seed: int) -> None:
    record = dirty_rows(seed).record
    for dirt in record.values():
        if dirt.of is not None:
            assert not {"wrong_label", "cut_off", "empty"} & set(dirt.kinds)
            assert similarity(normalised(dirt.plain), normalised(record[dirt.of].plain)) >= 0.8


def test_some_copies_come_from_another_account() -> None:
    copies = [(ticket, dirt.of) for ticket, dirt in RECORD.items() if dirt.of is not None]
    n_elsewhere = sum(ROWS[ticket]["customer_id"] != ROWS[first]["customer_id"] for ticket, first in copies)
    assert 0.1 * len(copies) < n_elsewhere < 0.45 * len(copies)


def test_misread_messages_can_be_read_again_and_others_are_not_misread() -> None:
    for ticket, dirt in RECORD.items():
        message = ROWS[ticket]["message"]
        if "mojibake" in dirt.kinds:
            again = repaired(message)
            assert message != again and misread(again) == message
            assert again == dirt.plain or "html" in dirt.kinds
        else:
            assert message.isascii() or repaired(message) == message


def test_markup_shows_what_was_written_and_nothing_else_is_markup() -> None:
    for ticket, dirt in RECORD.items():
        message = ROWS[ticket]["message"]
        read_rightly = repaired(message) if "mojibake" in dirt.kinds else message
        shown = after(HtmlToText(), read_rightly)
        assert (shown != read_rightly) is ("html" in dirt.kinds), message
        assert squeezed(shown) == squeezed(dirt.plain)
        assert "html" not in dirt.kinds or ROWS[ticket]["channel"] in ("email", "web form")


def test_quoted_replies_and_signatures_stand_around_the_message() -> None:
    for ticket, dirt in RECORD.items():
        is_quoted = re.search(r"^(On|Am|Le|El|W dniu) .* Hollis & Wren.*:\n(>.*\n?)+", dirt.plain, re.MULTILINE) is not None
        assert is_quoted is ("quoted_reply" in dirt.kinds), ticket
        if "quoted_reply" in dirt.kinds:
            assert ROWS[ticket]["channel"] == "email"
        if "signature" in dirt.kinds:
            assert ROWS[ticket]["channel"] in ("email", "web form")
            assert CUSTOMERS[dirt.clean_id].signature in dirt.plain
        if "near_duplicate" not in dirt.kinds and not {"cut_off", "empty"} & set(dirt.kinds):
            text, plain = squeezed(TEXTS[dirt.clean_id]), squeezed(dirt.plain)
            assert text in plain or ("mojibake" in dirt.kinds and typographic(text) in plain)


def test_a_quoted_reply_is_older_than_the_ticket() -> None:
    found = 0
    for ticket in tickets("quoted_reply"):
        said = re.search(r"On (\d+) (\w+) (\d{4}), Hollis & Wren wrote:", RECORD[ticket].plain)
        if said:
            found += 1
            assert datetime.strptime(said[0], "On %d %B %Y, Hollis & Wren wrote:").date() < date.fromisoformat(ROWS[ticket]["received"])
    assert found > 50


def test_cut_off_rows_are_the_beginning_of_what_was_written() -> None:
    for ticket in tickets("cut_off"):
        dirt = RECORD[ticket]
        whole = TEXTS[dirt.clean_id]
        assert whole.startswith(dirt.plain) and 0.3 * len(whole) < len(dirt.plain) < 0.9 * len(whole)


def test_empty_rows_say_nothing_and_no_other_row_does() -> None:
    assert [ticket for ticket, row in ROWS.items() if not row["message"].strip()] == tickets("empty")


# The customers.


CUSTOMERS = customers_of(CLEAN, 0)


def test_a_customer_wrote_one_to_six_messages_in_one_language_on_different_matters() -> None:
    wrote: defaultdict[str, list[Clean]] = defaultdict(list)
    for one in CLEAN:
        wrote[CUSTOMERS[one.id].id].append(one)
    assert 600 <= len(wrote) <= 800
    assert {len(some) for some in wrote.values()} == set(range(1, 7))
    assert all(len({one.lang for one in some}) == 1 for some in wrote.values())
    assert all(len({one.intent for one in some}) > 1 for some in wrote.values() if len(some) > 1)
    assert len({customer.name for customer in CUSTOMERS.values()}) == len(wrote)


def test_a_customer_writes_under_a_number_of_their_own() -> None:
    names = {customer.id: customer.name for customer in CUSTOMERS.values()}
    assert len(names) == len(set(names.values()))
    assert not {customer.second_account() for customer in CUSTOMERS.values()} & set(names)
    for row in DIRTY.rows:
        customer = CUSTOMERS[RECORD[row["ticket_id"]].clean_id]
        assert row["customer_id"] in (customer.id, customer.second_account())


def test_a_customer_number_does_not_tell_the_language() -> None:
    others = {int(CUSTOMERS[one.id].id[2:]) for one in CLEAN if one.lang != "en"}
    english = {int(CUSTOMERS[one.id].id[2:]) for one in CLEAN if one.lang == "en"}
    assert min(others) < sorted(english)[len(english) // 4] and max(english) > sorted(others)[len(others) * 3 // 4]


# What is done to a text.


def test_quotes_and_dashes_become_typographic() -> None:
    assert typographic("""She said "it's 'fine' - no" ('so') "I'd go\"""") == "She said “it’s ‘fine’ – no” (‘so’) “I’d go”"


def test_misread_text_is_utf_8_read_as_windows_1252() -> None:
    assert misread("café – it’s") == "cafÃ© â€“ itâ€™s" == "café – it’s".encode().decode("cp1252")
    assert misread("”") == "â€\x9d", "a byte that Windows-1252 leaves open stays what it is"


@pytest.mark.parametrize("style", range(N_HTML_STYLES))
def test_every_style_of_markup_shows_the_text(style: int) -> None:
    text = "A & B <3 \"it's\". Two? Yes\nline\n\n> quoted"
    marked = as_html(text, style)
    assert squeezed(after(HtmlToText(), marked)) == squeezed(text)
    assert "&amp;" in marked and re.search(r"<(p|br|br /|div style=.*|div class=.*)>|&nbsp;", marked)


def test_a_quoted_reply_by_hand() -> None:
    text = quoted("Una Satterley", "en", date(2026, 5, 3), 3)
    assert text == "On 3 May 2026, Hollis & Wren wrote:\n> Hello Una,\n> thanks for writing. Could you tell us a little more?"
    assert quoted("Jörg Dreyer", "de", date(2026, 5, 3), 2).startswith("Am 03.05.2026 schrieb Hollis & Wren:\n> We have")


def test_a_message_breaks_off_inside_a_word() -> None:
    assert broken_off("one two three four five six", 0.0) == "one two t"
    assert broken_off("one two three four five six", 0.99) == "one two three four f"


def test_a_second_try_differs_by_an_ending_a_slip_a_word_or_a_greeting() -> None:
    assert set(second_tries("Was kostet es?", "de", 0)) == {"Was kostet es", "Was kostet es??", "Was ksotet es?"}
    tries = second_tries("Is it up", "en", 0)
    assert set(tries) == {"Is it up!", "Is it up...", "Is it up Thanks.", "Is it up Thank you", "Hi, Is it up", "Hello again. Is it up"}
    greeted = set(second_tries("Hi, my uke", "en", 0))
    assert greeted == {"Hi, my uke!", "Hi, my uke...", "Hi, my uke Thanks.", "Hi, my uke Thank you", "Hi, our uke"}
    assert tries == second_tries("Is it up", "en", 0) and any(tries != second_tries("Is it up", "en", seed) for seed in range(1, 5))


def test_only_a_try_that_is_near_enough_is_taken() -> None:
    # 10 letters have 6 five-grams; a letter more or less has one more or less: 6/7 and 5/6. Two more give 6/8.
    assert retold("abcdefghij", "abcdefghij", ["abcdefghijkl", "abcdefghijk"]) == "abcdefghijk"
    assert retold("abcdefghij", "abcdefghij", ["abcdefghijkl"]) is None
    # With a word behind it, four grams across the gap change too.
    assert retold("abcdefghij", "abcdefghij so", ["abcdefghijk"]) is None


def test_likeness_is_the_similarity_that_cleaning_uses() -> None:
    a, b = "How much is a new  bridge for my cello?", "How much is a new bridge for your Cello?"
    assert likeness(a, b) == similarity(normalised(a), normalised(b)) < 1
    assert likeness(a, a) == 1 and likeness("abcdefg", "vwxyz12") == 0


# The files.


def test_the_table_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "help-desk.csv"
    write_csv(DIRTY.rows, path)
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == list(DIRTY.rows)
    assert path.read_bytes().startswith(b"ticket_id,customer_id,received,channel,message,intent\r\nHW-20001,")
    assert [one.name for one in tmp_path.iterdir()] == ["help-desk.csv"]


def test_cleaning_finds_all_the_dirt_that_can_be_cleaned(tmp_path: Path) -> None:
    write_csv(DIRTY.rows, tmp_path / "help-desk.csv")
    data = Data(source=str(tmp_path / "help-desk.csv"), fields={"text": "message", "label": "intent"}, id="ticket_id", group="customer_id")
    rows = list(read(data, recognise(data, "labelled")))
    examples = [row for row in rows if not isinstance(row, BadRow)]
    assert len(rows) - len(examples) <= len(tickets("empty"))
    cleaned = clean(examples, DEFAULT_STEPS)
    dropped = {row.example.id for row in cleaned.dropped} | (set(ROWS) - {example.id for example in examples})
    assert dropped == {*tickets("empty"), *tickets("exact_duplicate"), *tickets("near_duplicate")}
    assert all(row.kept_id == RECORD[row.example.id].of for row in cleaned.dropped if row.kept_id is not None)
    texts = {row.example.id: row.example.text for row in cleaned.kept if isinstance(row.example, Labelled)}
    assert all(squeezed(text) == squeezed(RECORD[ticket].plain) for ticket, text in texts.items())


def test_the_recipe_is_for_these_columns_and_has_shares_of_one_whole() -> None:
    recipe = tomllib.loads(resources.files("luthier.demo").joinpath("recipe.toml").read_text(encoding="utf-8"))
    data = recipe["data"]
    assert {*data["fields"].values(), data["id"], data["group"]} <= set(COLUMNS)
    assert sum(data["split"].values()) == pytest.approx(1) and data["split"]["test"] * min(INTENTS.values()) >= 12


def test_the_wheel_holds_the_messages_the_recipe_and_the_card() -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="the build backend is not in this environment")
    root = Path(__file__).resolve().parents[3]
    packed = {file.distribution_path for file in wheel.WheelBuilder(str(root)).recurse_included_files()}
    wanted = {f"luthier/demo/messages/{intent}.jsonl" for intent in INTENTS} | {"luthier/demo/recipe.toml", "luthier/demo/CARD.md"}
    assert wanted <= packed


# What the messages are worth.


@pytest.mark.prove
def test_a_classical_model_finds_the_intents_neither_trivial_nor_hopeless() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline, make_union

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    model = make_pipeline(make_union(words, characters), LogisticRegression(C=10, max_iter=300))
    labels = np.array([one.intent for one in CLEAN])
    groups = np.array([CUSTOMERS[one.id].id for one in CLEAN])
    answers = cross_val_predict(model, [one.text for one in CLEAN], labels, groups=groups, cv=GroupKFold(5))
    macro_f1 = f1_score(labels, answers, average="macro")
    print({intent: round(float(value), 2) for intent, value in zip(sorted(INTENTS), f1_score(labels, answers, average=None), strict=True)})
    assert 0.60 <= macro_f1 <= 0.88, macro_f1
