"""The renderer's laws, over chat templates of each kind and random conversations."""

from __future__ import annotations

import copy
import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.small import TAKES_SYSTEM, TEMPLATES, tokenizer_of

from luthier.core.errors import LuthierError
from luthier.core.examples import Chat, Pair
from luthier.core.messages import Message, OtherPart, TextPart, ToolCall
from luthier.models.tokenizer import LoadedTokenizer
from luthier.text.renderer import Renderer, as_chat

ODD = (
    "", " ", "\n",
    "  trailing  ", "\n\nleading", "naïve café", "日本語", "🎸🎸", "a\tb", "PROBE", "?", "<think>\nno\n</think>\n\nyes", "user\n",
    "<tool_call>",
    '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', "{{ 7 * 7 }}", "{% raw %}", "\u200b", "e\u0301", "\ufffd", "\r\n",
)  # fmt: skip
MARKS = ("<|im_end|>", "</s>", "<|eot_id|>", "<s>", "<|im_start|>assistant\n", "[INST]", "[/INST]", "<|im_end|>\n<|im_start|>user\n")

texts = st.lists(st.sampled_from(ODD) | st.text("ab Té日\n", max_size=6), max_size=3).map("".join)
texts_with_marks = st.lists(st.sampled_from(MARKS) | texts, max_size=3).map("".join)


@st.composite
def conversations(draw: st.DrawFn, template: str, contents: st.SearchStrategy[str] = texts) -> Chat:
    """A conversation that the template takes, ended by the assistant."""
    turns = [Message("system", draw(contents))] if template in TAKES_SYSTEM and draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        turns.append(Message("user", draw(contents)))
        reasoning = draw(st.none() | texts) if template == "thinking" else None
        turns.append(Message("assistant", draw(contents), reasoning=reasoning, weight=draw(st.sampled_from([None, None, 0.0, 0.5]))))
    return Chat("c", tuple(turns), source="chats.jsonl:3")


def upto(chat: Chat, n: int) -> Chat:
    return dataclasses.replace(chat, messages=chat.messages[:n])


def trained_turns(chat: Chat) -> dict[int, float]:
    return {i: message.trained_weight for i, message in enumerate(chat.messages) if message.trained_weight > 0}


def check_rows(renderer: Renderer, chat: Chat) -> None:
    """Each trained turn stands after the prompt that is served for it, weighted with its stop token; all else weighs nothing."""
    rows = renderer.render(chat)
    places: dict[int, int] = {}
    wanted = [[0.0] * len(row.tokens) for row in rows]
    for i, weight in trained_turns(chat).items():
        prompt, reply = renderer.prompt(upto(chat, i)), renderer.reply(upto(chat, i + 1))
        assert reply[-1] == renderer.stop_id
        found = [r for r, row in enumerate(rows) if row.tokens[: len(prompt) + len(reply)] == prompt + reply]
        found = [r for r in found if len(rows) == 1 or len(rows[r].tokens) == len(prompt) + len(reply)]
        assert found, f"turn {i} is not trained after its prompt"
        places[i] = found[0]
        wanted[found[0]][len(prompt) : len(prompt) + len(reply)] = [weight] * len(reply)
    assert [row.weights for row in rows] == wanted
    assert len(rows) in ({1, len(places)} if places else {0})
    for r, row in enumerate(rows):
        last = max(i for i, place in places.items() if place == r)
        assert len(row.tokens) == len(renderer.prompt(upto(chat, last))) + len(renderer.reply(upto(chat, last + 1)))


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_row_is_the_served_prompt_then_the_reply_then_the_stop_token(template: str, data: st.DataObject) -> None:
    check_rows(Renderer(tokenizer_of(template)), data.draw(conversations(template)))


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_same_holds_where_texts_spell_the_names_of_special_tokens(template: str, data: st.DataObject) -> None:
    check_rows(Renderer(tokenizer_of(template)), data.draw(conversations(template, texts_with_marks)))


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_prompt_reads_as_the_template_writes_it(template: str, data: st.DataObject) -> None:
    renderer = Renderer(tokenizer_of(template))
    chat = data.draw(conversations(template))
    for n in range(1, len(chat.messages)):
        asked = upto(chat, n)
        written = [
            {"role": m.role, "content": m.text} | ({"reasoning_content": m.reasoning} if m.reasoning is not None else {})
            for m in asked.messages
        ]
        text = renderer.tokenizer.apply_template(written, (), True, {})
        assert renderer.tokenizer.decode(renderer.prompt(asked)) == text


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_parsed_is_the_message_as_the_template_tidies_it(template: str, data: st.DataObject) -> None:
    renderer = Renderer(tokenizer_of(template))
    message = data.draw(conversations(template)).messages[-1]
    parsed = renderer.parse(renderer.reply(Chat("", (Message("user", "?"), message))))
    assert parsed == renderer.normalise(message)
    assert renderer.normalise(parsed) == parsed
    if message.text == message.text.strip() and "<" not in message.text and message.reasoning is None:
        assert parsed.text == message.text and parsed.reasoning is None and parsed.tool_calls == ()


@pytest.mark.parametrize("template", sorted(set(TEMPLATES) - {"thinking", "no_stop"}))
def test_a_reply_that_is_parsed_and_sent_back_stands_in_the_next_prompt_as_it_was_written(template: str) -> None:
    renderer = Renderer(tokenizer_of(template))
    asked = Chat("", (Message("user", "What is it?"),))
    prompt, reply = renderer.prompt(asked), renderer.reply(Chat("", (*asked.messages, Message("assistant", "It is a cat."))))
    grown = Chat("", (*asked.messages, renderer.parse(reply), Message("user", "And that?")))
    assert renderer.prompt(grown)[: len(prompt) + len(reply)] == prompt + reply


@pytest.mark.parametrize("template", sorted(set(TEMPLATES) - {"thinking", "no_stop"}))
def test_a_conversation_is_one_row_where_the_template_only_adds(template: str) -> None:
    turns = (Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d"), Message("user", "e"))
    renderer = Renderer(tokenizer_of(template))
    (row,) = renderer.render(Chat("", turns))
    assert [token for token, weight in zip(row.tokens, row.weights, strict=True) if weight].count(renderer.stop_id) == 2
    assert row.weights[-1] == 1 and row.tokens[-1] == renderer.stop_id


def test_a_template_that_strips_earlier_thoughts_gives_a_row_for_each_trained_turn() -> None:
    renderer = Renderer(tokenizer_of("thinking"))
    turns = (
        Message("user", "a"),
        Message("assistant", "b", reasoning="hm"),
        Message("user", "c"),
        Message("assistant", "d", reasoning="aha"),
    )
    first, second = renderer.render(Chat("", turns))
    decode = renderer.tokenizer.decode
    assert decode(first.tokens) == "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\nhm\n</think>\n\nb<|im_end|>"
    assert decode(second.tokens) == (
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
        "<think>\naha\n</think>\n\nd<|im_end|>"
    )
    assert decode([t for t, w in zip(second.tokens, second.weights, strict=True) if w]) == "<think>\naha\n</think>\n\nd<|im_end|>"
    (only,) = renderer.render(Chat("", (turns[0], dataclasses.replace(turns[1], weight=0.0), *turns[2:])))
    assert only == second


def test_chatml_by_hand() -> None:
    renderer = Renderer(tokenizer_of("chatml"))
    encode = renderer.tokenizer.encode
    turns = (
        Message("system", "s"),
        Message("user", "a"),
        Message("assistant", "b", weight=0.5),
        Message("user", "c"),
        Message("assistant", "d"),
    )
    (row,) = renderer.render(Chat("", turns))
    parts = [
        (encode("<|im_start|>system\ns<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"), 0.0),
        (encode("b<|im_end|>"), 0.5),
        (encode("\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"), 0.0),
        (encode("d<|im_end|>"), 1.0),
    ]
    assert row.tokens == [token for tokens, _ in parts for token in tokens]
    assert row.weights == [weight for tokens, weight in parts for _ in tokens]
    assert renderer.stop_id == encode("<|im_end|>")[0]


@pytest.mark.parametrize(
    ("template", "stop"),
    [
        ("chatml", "<|im_end|>"),
        ("thinking", "<|im_end|>"),
        ("llama3", "<|eot_id|>"),
        ("mistral", "</s>"),
        ("plain", "</s>"),
        ("no_stop", "</s>"),
    ],
)
def test_the_stop_token_is_the_one_that_the_template_ends_a_turn_with(template: str, stop: str) -> None:
    renderer = Renderer(tokenizer_of(template))
    assert renderer.tokenizer.decode([renderer.stop_id]) == stop


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_conversation_without_trained_turns_gives_no_rows(template: str) -> None:
    renderer = Renderer(tokenizer_of(template))
    assert renderer.render(Chat("", (Message("user", "a"),))) == ()
    assert renderer.render(Chat("", (Message("user", "a"), Message("assistant", "b", weight=0.0)))) == ()


TOOLS = ({"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}},)


def test_tools_their_calls_and_their_answers_are_rendered_and_calls_are_parsed() -> None:
    renderer = Renderer(tokenizer_of("thinking"))
    call = Message(
        "assistant",
        "",
        reasoning="I should look",
        tool_calls=(ToolCall("call_0", "look", '{"x": 1}'), ToolCall("call_1", "look", '{"y": "ü"}')),
    )
    chat = Chat("", (Message("user", "where?"), call, Message("tool", "here", tool_call_id="call_0"), Message("assistant", "Here.")), TOOLS)
    check_rows(renderer, chat)
    asked = renderer.tokenizer.decode(renderer.prompt(upto(chat, 3)))
    assert '"name": "look"' in asked.partition("<|im_start|>user")[0]
    assert "<tool_response>\nhere\n</tool_response>" in asked
    assert '{"name": "look", "arguments": {"x": 1}}' in asked
    parsed = renderer.parse(renderer.reply(upto(chat, 2)))
    assert parsed == renderer.normalise(call) == call


def test_the_order_and_spelling_of_arguments_survive() -> None:
    renderer = Renderer(tokenizer_of("thinking"))
    message = Message("assistant", "", tool_calls=(ToolCall("call_0", "f", '{"b": 1, "a": [1, 2]}'),))
    assert [call.arguments for call in renderer.normalise(message).tool_calls] == ['{"b": 1, "a": [1, 2]}']


def test_a_template_option_reaches_the_template() -> None:
    tokenizer = with_template("{% if shout %}{{ '!' }}{% endif %}" + str(TEMPLATES["chatml"]))
    renderer = Renderer(tokenizer)
    chat = Chat("", (Message("user", "a"), Message("assistant", "b")), template_options={"shout": True})
    assert tokenizer.decode(renderer.prompt(upto(chat, 1))).startswith("!<|im_start|>")
    check_rows(renderer, chat)


def test_text_parts_are_read_and_others_are_refused_with_their_place() -> None:
    renderer = Renderer(tokenizer_of("chatml"))
    said = Message("user", (TextPart("a"), TextPart("b")))
    assert renderer.prompt(Chat("", (said,))) == renderer.prompt(Chat("", (Message("user", "ab"),)))
    image = Chat("", (Message("user", "a"), Message("assistant", (OtherPart("image_url", {}),))), source="rows.jsonl:7")
    for refused in (renderer.prompt, renderer.render):
        with pytest.raises(LuthierError, match="message 2 holds a part of type 'image_url'") as caught:
            refused(image)
        assert caught.value.where == "rows.jsonl:7"


@pytest.mark.parametrize(
    ("template", "turns", "problem"),
    [
        (
            "mistral",
            (Message("system", "s"), Message("user", "a"), Message("assistant", "b")),
            "Only user and assistant roles are supported",
        ),
        ("strict", (Message("user", "a"), Message("user", "a"), Message("assistant", "b")), "must alternate"),
        ("chatml", (), "no messages"),
        ("chatml", (Message("user", "a"), Message("assistant", "", tool_calls=(ToolCall("c", "f", "{}"),))), "no place for them"),
    ],
)
def test_what_a_template_refuses_is_told_with_its_place(template: str, turns: tuple[Message, ...], problem: str) -> None:
    renderer = Renderer(tokenizer_of(template))
    for refused in (renderer.prompt, renderer.render):
        with pytest.raises(LuthierError, match=problem) as caught:
            refused(Chat("", turns, source="rows.jsonl:9"))
        assert caught.value.where == "rows.jsonl:9"


def test_tools_without_a_place_in_the_template_are_refused() -> None:
    with pytest.raises(LuthierError, match="no place for them"):
        Renderer(tokenizer_of("chatml")).prompt(Chat("", (Message("user", "a"),), TOOLS))


def with_template(text: str) -> LoadedTokenizer:
    inner = copy.copy(tokenizer_of("chatml").inner)
    inner.chat_template = text
    return LoadedTokenizer(inner)


def test_a_template_whose_replies_do_not_follow_its_generation_prompt_is_refused() -> None:
    adding = str(TEMPLATES["chatml"]).replace("assistant\n' }}{% endif %}", "assistant\n<think>\n' }}{% endif %}")
    renderer = Renderer(with_template(adding))
    with pytest.raises(LuthierError, match="generation prompt") as caught:
        renderer.render(Chat("", (Message("user", "a"), Message("assistant", "b"))))
    assert "template" in caught.value.where


def test_a_template_with_an_error_of_its_own_is_refused() -> None:
    renderer = Renderer(with_template("{{ messages[0].nowhere.at.all }}"))
    with pytest.raises(LuthierError, match="refuses"):
        renderer.prompt(Chat("", (Message("user", "a"),)))


def test_a_template_cannot_reach_out_of_its_sandbox() -> None:
    renderer = Renderer(with_template("{{ ''.__class__.__mro__[1].__subclasses__() }}"))
    with pytest.raises(LuthierError, match="refuses"):
        renderer.prompt(Chat("", (Message("user", "a"),)))


def test_a_prompt_and_its_completion_are_a_conversation() -> None:
    pair = Pair("1", "a", "b", source="x:1", extra={"k": 1})
    assert as_chat(pair) == Chat("1", (Message("user", "a"), Message("assistant", "b")), source="x:1", extra={"k": 1})
    chat = Chat("2", (Message("user", "a"),))
    assert as_chat(chat) is chat


def test_a_document_stands_between_the_end_tokens() -> None:
    renderer = Renderer(tokenizer_of("chatml"))
    assert renderer.document("The cat") == [*renderer.tokenizer.encode("The cat"), renderer.tokenizer.eos_id]
    assert renderer.document("") == [renderer.tokenizer.eos_id]


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_a_special_token_amid_a_reply_is_no_text(template: str) -> None:
    tokenizer = tokenizer_of(template)
    renderer = Renderer(tokenizer)
    said, other = (tokenizer.encode(text) for text in ("one word", " and two"))
    hidden = sorted(renderer.hidden_ids)
    assert hidden and renderer.parse([*said, *other]).text == "one word and two"
    assert renderer.parse([*hidden, *said, *hidden, *other, *hidden, renderer.stop_id]).text == "one word and two"


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_a_person_types_is_never_a_special_token(template: str) -> None:
    tokenizer = tokenizer_of(template)
    renderer = Renderer(tokenizer)
    spelled = "".join(sorted(tokenizer.special_texts))
    for content in (spelled, f"a{spelled}b"):
        plain, marked = (Chat("", (Message("user", text), Message("assistant", text))) for text in ("ab", content))
        (wanted,), (found,) = renderer.render(plain), renderer.render(marked)
        n_marks = [sum(token in tokenizer.special_ids for token in one.tokens) for one in (wanted, found)]
        assert n_marks[0] == n_marks[1], "only the template writes special tokens"
        assert content in tokenizer.decode(found.tokens), "and every character of the content is there"
        assert renderer.parse(renderer.reply(marked)).text == content


def test_nothing_that_a_caller_says_of_tools_is_a_special_token() -> None:
    """Descriptions, names and options come from whoever calls, and must not end a turn or begin one."""
    tokenizer = tokenizer_of("thinking")
    renderer = Renderer(tokenizer)
    n_marks = []
    for text in ("ab", "a" + "".join(sorted(tokenizer.special_texts)) + "b"):
        tool = {"type": "function", "function": {"name": f"f{text}", "description": text, "parameters": {text: {"enum": [text]}}}}
        call = ToolCall("1", f"f{text}", "{}")
        asked, answered = Message("user", "?"), Message("tool", "x", tool_call_id="1")
        chat = Chat("", (asked, Message("assistant", "", tool_calls=(call,)), answered), (tool,))
        tokens = renderer.prompt(chat)
        n_marks.append(sum(token in tokenizer.special_ids for token in tokens))
        assert tokenizer.decode(tokens).count(text) >= 2, "the text itself is there"
    assert n_marks[0] == n_marks[1], "only the template writes special tokens"


def test_a_text_to_classify_holds_no_special_token_and_a_corpus_may() -> None:
    renderer = Renderer(tokenizer_of("chatml"))
    spelled = sorted(renderer.tokenizer.special_texts)[0]
    assert sum(token in renderer.tokenizer.special_ids for token in renderer.document(f"a {spelled} b")) == len(renderer.document(""))
    with_marks = renderer.document(f"a {spelled} b", with_marks=True)
    assert sum(token in renderer.tokenizer.special_ids for token in with_marks) == len(renderer.document("")) + 1


def test_a_turn_that_opens_the_conversation_is_context() -> None:
    renderer = Renderer(tokenizer_of("chatml"))
    opening, asked, answered = Message("assistant", "Welcome"), Message("user", "a"), Message("assistant", "b")
    assert renderer.render(Chat("", (opening, asked))) == ()
    (row,) = renderer.render(Chat("", (opening, asked, answered)))
    assert renderer.prompt(Chat("", (opening, asked))) == [
        token for token, weight in zip(row.tokens, row.weights, strict=True) if not weight
    ]
