"""From a request's body to the jobs that answer it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.core.draws import seed_of
from luthier.core.errors import LuthierError
from luthier.core.examples import Labelled
from luthier.core.generator import Sampling
from luthier.core.jsonvalue import dump
from luthier.data.pipeline import tidied
from luthier.generate.engine import room_for
from luthier.generate.growing import Growing
from luthier.serve.bodies import ChatBody, CompletionBody, refuse_what_is_not_done
from luthier.serve.failures import ApiError
from luthier.serve.limits import Limits
from luthier.serve.models import Served
from luthier.serve.requests import chat_of, prompt_tokens
from luthier.serve.worker import Job
from luthier.text.rows import make_row
from luthier.text.truncation import Cut, Unfit, cut_to

LOG = logging.getLogger("luthier.serve")


@dataclass(frozen=True, eq=False)
class Asked:
    """A request that can be answered: its model, and a job for each choice, prompt by prompt."""

    served: Served
    jobs: tuple[Job, ...]
    n_prompt_tokens: int
    is_stream: bool
    with_usage: bool
    n_top: int | None

    @property
    def n_cached(self) -> int:
        """Prompt tokens that did not have to be computed, those of further choices of one prompt left out."""
        return sum({id(job.tokens): job.growing.n_cached for job in reversed(self.jobs) if job.growing is not None}.values())


def ask_chat(served: Served, body: ChatBody, limits: Limits) -> Asked:
    """The jobs of a chat request.

    Raises:
        ApiError: it asks for what is not done here.
        LuthierError: its conversation cannot be read.

    """
    refuse_what_is_not_done(body)
    conversation = {"messages": body.messages, "tools": body.tools, "chat_template_kwargs": body.chat_template_kwargs}
    _refuse_many(body, 1, limits)
    if len(body.messages) > limits.messages:
        problem = f"The conversation has {len(body.messages)} messages; this server reads {limits.messages} at most."
        raise ApiError(400, problem, "messages", "context_length_exceeded")
    _refuse_odd_text(conversation, "messages")
    n_top = (body.top_logprobs or 0) if body.logprobs else None
    if served.labels:
        return _asked(served, body, [_text_tokens(served, _one_text(body))], limits, n_top)
    if served.task == "pretrain":
        raise ApiError(400, f"{served.id} continues plain text; use /v1/completions.", "model", "unsupported_endpoint")
    return _asked(served, body, [_chat_tokens(served, conversation)], limits, n_top)


def ask_completion(served: Served, body: CompletionBody, limits: Limits) -> Asked:
    """The jobs of a completion request: one for each prompt and choice.

    Raises:
        ApiError: it asks for what is not done here.

    """
    refuse_what_is_not_done(body)
    _refuse_odd_text({"prompt": body.prompt}, "prompt")
    given = body.prompt
    if isinstance(given, str):
        prompts: list[str | list[int]] = [given]
    elif given and all(isinstance(one, int) for one in given):
        prompts = [list(given)]  # type: ignore[arg-type]
    else:
        prompts = list(given)  # type: ignore[arg-type]
    if not prompts:
        raise ApiError(400, "There is no prompt.", "prompt", "invalid_value")
    _refuse_many(body, len(prompts), limits)
    if served.labels:
        texts = [one for one in prompts if isinstance(one, str)]
        if len(texts) < len(prompts):
            raise ApiError(400, f"{served.id} is a classifier, and reads texts, not token ids.", "prompt", "invalid_value")
        return _asked(served, body, [_text_tokens(served, text) for text in texts], limits, body.logprobs)
    return _asked(served, body, [_continued(served, one) for one in prompts], limits, body.logprobs)


def _asked(served: Served, body: ChatBody | CompletionBody, prompts: list[list[int]], limits: Limits, n_top: int | None) -> Asked:
    n = body.n or 1
    _refuse_long(served, prompts, limits)
    if served.labels:
        _refuse_for_classifiers(body)
        jobs = [Job(served, prompt) for prompt in prompts]
    else:
        sampling = _sampling(body, served, limits)
        jobs = [_job(served, prompt, sampling, i, n_top, bool(body.stream)) for prompt in prompts for i in range(n)]
    usage = bool(body.stream_options and body.stream_options.include_usage)
    return Asked(served, tuple(jobs), sum(map(len, prompts)), bool(body.stream), usage, n_top)


def _chat_tokens(served: Served, conversation: Mapping[str, Any]) -> list[int]:
    """The conversation's prompt. A template is a program of the model's maker: what it stumbles over is not the server's failure."""
    try:
        return prompt_tokens(served.tokenizer, conversation, served.steps)
    except LuthierError:
        raise
    except Exception as error:
        LOG.warning("%s: the chat template failed", served.id, exc_info=error)
        raise ApiError(400, f"The model's chat template cannot write it: {type(error).__name__}.", "messages", "invalid_value") from error


def _job(served: Served, prompt: list[int], sampling: Sampling, i: int, n_top: int | None, is_watched: bool) -> Job:
    room = room_for(prompt, served.context)
    seed = sampling.seed if i == 0 else seed_of(sampling.seed, "choice", i)
    # A most that the context cannot hold is cut: the finish reason `length` says so where it matters.
    fitted = Sampling(
        min(sampling.max_tokens, room), sampling.temperature, sampling.top_p, sampling.top_k, seed, sampling.stop, sampling.stop_tokens
    )
    growing = Growing(
        prompt, fitted, served.tokenizer, served.stop_ids, served.adapter, n_top or 0, is_watched, served.hidden_ids
    )
    return Job(served, prompt, growing)


def _sampling(body: ChatBody | CompletionBody, served: Served, limits: Limits) -> Sampling:
    """How the reply is chosen. Without a temperature it is greedy, which is how the report measured the model."""
    asked = body.max_tokens if body.max_tokens is not None else getattr(body, "max_completion_tokens", None)
    if asked is not None and asked > limits.max_tokens:
        raise ApiError(400, f"max_tokens is {asked}; this server gives at most {limits.max_tokens}.", "max_tokens", "invalid_value")
    if asked is None:
        asked = min(served.context if served.card is None else served.card.max_reply_tokens, limits.max_tokens)
    return Sampling(
        asked, body.temperature or 0.0, 1.0 if body.top_p is None else body.top_p, body.top_k or 0,
        secrets.randbits(62) if body.seed is None else body.seed, body.stops, tuple(body.stop_token_ids or ()),
    )  # fmt: skip


def _refuse_many(body: ChatBody | CompletionBody, n_prompts: int, limits: Limits) -> None:
    """Said before anything is turned into tokens, which takes its time."""
    n = (body.n or 1) * n_prompts
    if n > limits.choices:
        raise ApiError(400, f"It asks for {n} replies; one request may ask for {limits.choices}.", "n", "invalid_value")


def _refuse_long(served: Served, prompts: list[list[int]], limits: Limits) -> None:
    most = min(served.context - (0 if served.labels else 1), limits.prompt_tokens)
    longest = max(map(len, prompts))
    if longest > most:
        raise ApiError(
            400, f"The prompt has {longest} tokens; {served.id} reads {most} here. Shorten it.", None, "context_length_exceeded"
        )
    if not all(prompts):
        raise ApiError(400, "A prompt is empty.", "prompt", "invalid_value")


def _refuse_for_classifiers(body: ChatBody | CompletionBody) -> None:
    """A classifier answers with its likeliest label: what would ask for another answer is refused."""
    for name, asks in (
        ("n", (body.n or 1) > 1), ("temperature", body.temperature), ("stop", body.stops), ("stop_token_ids", body.stop_token_ids),
        ("tools", getattr(body, "tools", None)), ("chat_template_kwargs", getattr(body, "chat_template_kwargs", None)),
    ):  # fmt: skip
        if asks:
            problem = f"{name} has no meaning for a classifier, which answers with its likeliest label."
            raise ApiError(400, problem, name, "unsupported_parameter")


def _one_text(body: ChatBody) -> str:
    """The text of the one user message."""
    chat = chat_of({"messages": body.messages})
    if len(chat.messages) != 1 or chat.messages[0].role != "user":
        raise ApiError(400, "A classifier reads one text: send it as one user message, and nothing else.", "messages", "invalid_value")
    return chat.messages[0].text


def _text_tokens(served: Served, text: str) -> list[int]:
    """A text to classify, tidied, rendered and cut as in training."""
    waiting = tidied(Labelled("", text, None), served.steps)
    assert isinstance(waiting, Labelled), "steps keep an example's shape"
    fitted = cut_to(make_row(served.renderer.document(waiting.text)), served.context)
    assert not isinstance(fitted, Unfit), "a text to classify can always be cut"
    tokens: list[int] = (fitted.row if isinstance(fitted, Cut) else fitted).tokens.tolist()
    return tokens


def _continued(served: Served, prompt: str | list[int]) -> list[int]:
    """The tokens of a prompt to continue: those given, or those of a text in which marks count, behind the model's begin token."""
    n_vocabulary = served.decoder.network.n_vocabulary
    if not isinstance(prompt, str):
        if any(token >= n_vocabulary for token in prompt):
            raise ApiError(400, f"The model has {n_vocabulary} tokens, and the prompt names others.", "prompt", "invalid_value")
        return prompt
    begin = [] if served.tokenizer.bos_id is None else [served.tokenizer.bos_id]
    tokens = served.tokenizer.encode(prompt)
    return tokens if begin and tokens[:1] == begin else [*begin, *tokens]


def _refuse_odd_text(value: Mapping[str, Any], param: str) -> None:
    """Halves of surrogate pairs and numbers that JSON does not have are no text that a tokenizer could read."""
    try:
        dump(value).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "It holds text that is no valid Unicode, or a number that is not finite.", param, "invalid_value") from error
