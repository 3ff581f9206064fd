"""Answers in the shapes of the OpenAI interface: whole, and as the chunks of a stream."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from luthier.core.generator import Finish, Piece
from luthier.core.jsonvalue import Json
from luthier.core.messages import Message, to_dict
from luthier.serve.asking import Asked
from luthier.serve.worker import Job, Scores, Told
from luthier.text.replies import ReplyFormat

DONE = "data: [DONE]\n\n"
_THOUGHT, _END_OF_THOUGHT, _CALL = "<think>", "</think>", "<tool_call>"


def event(value: Json) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(',', ':'))}\n\n"


@dataclass(eq=False)
class Choice:
    """One choice of an answer as it comes in."""

    index: int
    job: Job
    n_top: int | None
    wants_tools: bool = False
    text: str = ""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: Finish | None = None
    scores: dict[str, float] | None = None
    n_sent: int = 0
    _n_logprobs: int = 0
    _offset: int = 0
    _is_thought_told: bool = False

    def take(self, told: Told) -> None:
        """Add what came in."""
        if isinstance(told, Scores):
            labels = self.job.served.labels
            self.scores = dict(zip(labels, told.probabilities, strict=True))
            self.text, self.finish = max(labels, key=lambda label: self.scores[label] if self.scores else 0.0), "stop"
        elif isinstance(told, Piece):
            self.text += told.text
            self.tokens += told.tokens
            self.logprobs += told.logprobs
            self.finish = told.finish

    @property
    def n_tokens(self) -> int:
        """Tokens that were generated; a classifier generates none."""
        return len(self.tokens)

    @property
    def _format(self) -> ReplyFormat:
        """How thoughts and calls stand in the reply; calls are only looked for where tools were offered."""
        found = self.job.served.renderer.replies
        return ReplyFormat(found.has_reasoning, found.has_tool_calls and self.wants_tools)

    @property
    def message(self) -> Message:
        """What was said, as a message."""
        if self.scores is not None:
            return Message("assistant", self.text)
        return self._format.parse(self.text.removeprefix(self.job.served.renderer.reply_head))

    def reason(self, message: Message | None = None) -> str | None:
        """The finish reason in the interface's words."""
        if message is not None and message.tool_calls and self.finish == "stop":
            return "tool_calls"
        return self.finish

    def chat(self) -> dict[str, Json]:
        """The choice of a chat completion."""
        message = self.message
        said: dict[str, Json] = {**to_dict(message), "refusal": None}
        if message.tool_calls:
            said["content"] = message.text or None
            said["tool_calls"] = _called(message)
        found: dict[str, Json] = {
            "index": self.index, "message": said, "logprobs": self.chat_logprobs(), "finish_reason": self.reason(message),
        }  # fmt: skip
        return found if self.scores is None else {**found, "scores": self.scores}

    def completion(self) -> dict[str, Json]:
        """The choice of a completion: its text as it came, thoughts and all."""
        found: dict[str, Json] = {
            "index": self.index, "text": self.text, "logprobs": self.completion_logprobs(), "finish_reason": self.finish,
        }  # fmt: skip
        return found if self.scores is None else {**found, "scores": self.scores}

    def delta(self) -> dict[str, Json]:
        """What a stream can tell of a chat message and has not told: text at once, a thought or a call when it is whole."""
        if self.finish is not None:
            message = self.message
            found = {**self._thought(message), **self._rest(message.text)}
            if message.tool_calls:
                found["tool_calls"] = [{"index": i, **call} for i, call in enumerate(_called(message))]
            return found
        head, style = self.job.served.renderer.reply_head, self._format
        if head.startswith(self.text):
            return {}
        found, text = {}, self.text.removeprefix(head)
        if style.has_reasoning and _THOUGHT.startswith(text.lstrip()[: len(_THOUGHT)]):
            if _END_OF_THOUGHT not in text:
                return {}
            message = ReplyFormat(has_reasoning=True, has_tool_calls=False).parse(text)
            found, text = self._thought(message), message.text
        return {**found, **self._rest(_before(text, _CALL) if style.has_tool_calls else text)}

    def _thought(self, message: Message) -> dict[str, Json]:
        """The thought, once."""
        if message.reasoning is None or self._is_thought_told:
            return {}
        self._is_thought_told = True
        return {"reasoning_content": message.reasoning}

    def _rest(self, text: str) -> dict[str, Json]:
        new, self.n_sent = text[self.n_sent :], max(self.n_sent, len(text))
        return {"content": new} if new else {}

    def chat_logprobs(self) -> dict[str, Json] | None:
        """Log-probabilities of the tokens that came in since the last call, where they were asked for."""
        if self.n_top is None:
            return None
        if self.scores is not None:
            ranked = sorted(self.scores.items(), key=lambda item: -item[1])[: self.n_top]
            entry = _entry(self.text, _log(self.scores[self.text]), [(label, _log(p)) for label, p in ranked])
            return {"content": [entry], "refusal": None}
        growing, tokenizer = self.job.growing, self.job.served.tokenizer
        assert growing is not None, "what is no text to classify is generated"
        places = range(self._n_logprobs, len(self.tokens))
        self._n_logprobs = len(self.tokens)
        content: list[Json] = []
        for t in places:
            top = [(tokenizer.decode([token]), logp) for token, logp in growing.tops[t]]
            content.append(_entry(tokenizer.decode([self.tokens[t]]), self.logprobs[t], top))
        return {"content": content, "refusal": None}

    def completion_logprobs(self) -> dict[str, Json] | None:
        """The same in the older shape: parallel lists, and where each token's text begins in the reply."""
        if self.n_top is None:
            return None
        if self.scores is not None:
            ranked = sorted(self.scores.items(), key=lambda item: -item[1])[: self.n_top]
            lists: dict[str, Json] = {"tokens": [self.text], "token_logprobs": [_log(self.scores[self.text])]}
            return {**lists, "top_logprobs": [{label: _log(p) for label, p in ranked}], "text_offset": [0]}
        growing, tokenizer = self.job.growing, self.job.served.tokenizer
        assert growing is not None, "what is no text to classify is generated"
        low, self._n_logprobs = self._n_logprobs, len(self.tokens)
        names = [tokenizer.decode([token]) for token in self.tokens[low:]]
        offsets = [self._offset]
        for name, token in zip(names, self.tokens[low:], strict=True):
            offsets.append(offsets[-1] + (0 if token in self.job.served.hidden_ids else len(name)))
        self._offset = offsets[-1]
        top: list[Json] = [{tokenizer.decode([token]): logp for token, logp in tops} for tops in growing.tops[low : len(self.tokens)]]
        return {"tokens": names, "token_logprobs": self.logprobs[low:], "top_logprobs": top, "text_offset": offsets[:-1]}


@dataclass(frozen=True)
class Answer:
    """What the parts of one answer have in common."""

    asked: Asked
    is_chat: bool
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def name(self) -> str:
        """Its id in the interface's style."""
        return f"{'chatcmpl' if self.is_chat else 'cmpl'}-{self.id}"

    def usage(self, choices: Sequence[Choice]) -> dict[str, Json]:
        """How many tokens it took."""
        n_prompt, n_reply = self.asked.n_prompt_tokens, sum(choice.n_tokens for choice in choices)
        return {
            "prompt_tokens": n_prompt, "completion_tokens": n_reply, "total_tokens": n_prompt + n_reply,
            "prompt_tokens_details": {"cached_tokens": self.asked.n_cached},
        }  # fmt: skip

    def whole(self, choices: Sequence[Choice]) -> dict[str, Json]:
        """The answer at once."""
        parts: list[Json] = [choice.chat() if self.is_chat else choice.completion() for choice in choices]
        kind = "chat.completion" if self.is_chat else "text_completion"
        return {**self._head(kind), "choices": parts, "usage": self.usage(choices)}

    def opening(self, choices: Sequence[Choice]) -> Iterator[str]:
        """The events before anything is said: of a chat, whose turn it is."""
        if self.is_chat:
            for choice in choices:
                delta: dict[str, Json] = {"role": "assistant", "content": ""}
                yield event(self._chunk({"index": choice.index, "delta": delta, "logprobs": None, "finish_reason": None}))

    def said(self, choice: Choice) -> Iterator[str]:
        """The events for what came in last; the reason for a chat's end comes in an event of its own, as clients expect."""
        scores: dict[str, Json] = {} if choice.scores is None or choice.finish is None else {"scores": choice.scores}
        if not self.is_chat:
            text, choice.n_sent = choice.text[choice.n_sent :], len(choice.text)
            if text or choice.finish is not None:
                logprobs = choice.completion_logprobs()
                part: dict[str, Json] = {"index": choice.index, "text": text, "logprobs": logprobs, "finish_reason": choice.finish}
                yield event(self._chunk({**part, **scores}))
            return
        if delta := choice.delta():
            logprobs = choice.chat_logprobs()
            yield event(self._chunk({"index": choice.index, "delta": delta, "logprobs": logprobs, "finish_reason": None}))
        if choice.finish is not None:
            left = None if choice.scores is not None and delta else choice.chat_logprobs()
            reason = choice.reason(choice.message)
            last: dict[str, Json] = {"index": choice.index, "delta": {}, "logprobs": left if left and left["content"] else None}
            yield event(self._chunk({**last, "finish_reason": reason, **scores}))

    def closing(self, choices: Sequence[Choice]) -> Iterator[str]:
        """The events after all has been said."""
        if self.asked.with_usage:
            yield event({**self._head(self._chunk_kind), "choices": [], "usage": self.usage(choices)})
        yield DONE

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.is_chat else "text_completion"

    def _chunk(self, choice: dict[str, Json]) -> dict[str, Json]:
        found = {**self._head(self._chunk_kind), "choices": [choice]}
        return {**found, "usage": None} if self.asked.with_usage else found

    def _head(self, kind: str) -> dict[str, Json]:
        return {"id": self.name, "object": kind, "created": self.created, "model": self.asked.served.id, "system_fingerprint": None}


def _called(message: Message) -> list[dict[str, Json]]:
    return [
        {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]


def _entry(text: str, logp: float, top: Sequence[tuple[str, float]]) -> dict[str, Json]:
    likeliest: list[Json] = [{"token": one, "logprob": p, "bytes": list(one.encode())} for one, p in top]
    return {"token": text, "logprob": logp, "bytes": list(text.encode()), "top_logprobs": likeliest}


def _log(p: float) -> float:
    """The logarithm of a probability; what rounds to nothing is said to be very unlikely, since JSON has no infinity."""
    return max(math.log(p), -9999.0) if p > 0 else -9999.0


def _before(text: str, mark: str) -> str:
    """The text before a mark, or before what may become one."""
    place = text.find(mark)
    if place >= 0:
        return text[:place].rstrip()
    held = max((n for n in range(1, len(mark)) if text.endswith(mark[:n])), default=0)
    return text[: len(text) - held].rstrip()
