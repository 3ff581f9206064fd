"""Many streams at once against one at a time, over loopback: `python bench/serving.py [--seconds 60] [--streams 64]`.

One server process with `sprout`, and this process as its callers, by turns: one caller, then many, then one again, so
that what else the machine does in between falls on both. Every stream must be whole: its role first, its finish reason
and [DONE] last. Prints tokens per second of both and their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import httpx2

MAX_TOKENS = 96


@dataclass
class Counted:
    """What came in while it was measured."""

    n_tokens: int = 0
    n_whole: int = 0
    n_broken: int = 0
    first_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.n_tokens / self.seconds


def body(seed: int) -> dict[str, object]:
    """A question, and a reply of one's own: hot enough that replies differ in length."""
    question = f"Write a short story about number {seed % 97}, a river and a violin."
    messages = [{"role": "system", "content": "You are a patient storyteller."}, {"role": "user", "content": question}]
    return {
        "model": "sprout", "messages": messages, "temperature": 1.0, "seed": seed, "max_tokens": MAX_TOKENS, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip


async def one_stream(client: httpx2.AsyncClient, url: str, seed: int, counted: Counted) -> None:
    began = time.perf_counter()
    events: list[str] = []
    try:
        async with client.stream("POST", f"{url}/chat/completions", json=body(seed)) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    if not events:
                        counted.first_s.append(time.perf_counter() - began)
                    events.append(line[6:])
        chunks = [json.loads(text) for text in events[:-1]]
        is_whole = answer.status_code == 200 and events[-1] == "[DONE]" and chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        is_whole = is_whole and chunks[-2]["choices"][0]["finish_reason"] in ("stop", "length")
        counted.n_tokens += chunks[-1]["usage"]["completion_tokens"]
    except (httpx2.HTTPError, IndexError, KeyError, ValueError) as error:
        print(f"broken: {error!r}", file=sys.stderr)
        is_whole = False
    counted.n_whole += is_whole
    counted.n_broken += not is_whole


async def measure(url: str, n_callers: int, seconds: float) -> Counted:
    """Keep so many streams running for so long; those that run at the end are finished and counted, time included."""
    counted = Counted()
    until = time.perf_counter() + seconds
    began = time.perf_counter()
    async with httpx2.AsyncClient(timeout=120, limits=httpx2.Limits(max_connections=n_callers)) as client:

        async def caller(number: int) -> None:
            seed = 1000 * number
            while time.perf_counter() < until:
                seed += 1
                await one_stream(client, url, seed, counted)

        await asyncio.gather(*(caller(number) for number in range(n_callers)))
    counted.seconds = time.perf_counter() - began
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--streams", type=int, default=64)
    said = parser.parse_args()
    process = subprocess.Popen([sys.executable, "-m", "luthier", "serve", "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = next(line.split()[-1] for line in process.stderr if line.startswith("serving "))
        # What the server logs from here on is read away, so that it never waits for a full pipe.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        asyncio.run(measure(url, 4, 2))  # what the first calls pay for is not measured
        alone = [asyncio.run(measure(url, 1, said.seconds / 4))]
        together = asyncio.run(measure(url, said.streams, said.seconds))
        alone.append(asyncio.run(measure(url, 1, said.seconds / 4)))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    rate = sum(one.n_tokens for one in alone) / sum(one.seconds for one in alone)
    n_whole, n_broken = sum(one.n_whole for one in alone), sum(one.n_broken for one in alone)
    print(f"one at a time     {rate:8.0f} tokens/s   {n_whole} streams whole, {n_broken} broken")
    print(
        f"{said.streams} at once        {together.rate:8.0f} tokens/s   {together.n_whole} streams whole, {together.n_broken} broken, "
        f"{together.seconds:.0f} s; first event after {statistics.median(together.first_s):.3f} s (median)"
    )
    print(f"ratio             {together.rate / rate:8.2f}   (at least 3)")
    sys.exit(0 if together.n_broken == 0 and together.rate >= 3 * rate else 1)


if __name__ == "__main__":
    main()
