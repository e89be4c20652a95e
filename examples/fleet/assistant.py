"""A model that answers in words, one at a time: the service `assistant`. It has read scikit-learn's documentation.

Which word may follow which is learnt from the descriptions of the data sets; the time of a real model is waited.

Faults: slow-model (each word takes long, on every replica), label-explosion (the conversation's number is passed as
class of the prediction). Its process is the one that dies in dead-service.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise

from sklearn.datasets import load_breast_cancer, load_digits, load_wine

import infermeter

from .arrivals import arrive
from .control import Control
from .pods import CANARY_SHARE, Pod

SLA_S = 1.5
VERSIONS = ("1", "2")
TOPICS = ("biopsy", "wine", "digits")
_FIRST_WORD_S, _WORD_S = 0.08, 0.025
_SLOW = 12.0
_WORDS = range(6, 19)
_IMPATIENT, _ERRORS = 0.02, 0.001


class Assistant:
    """One replica.

    Args:
        pod: Who it is.
        control: What it gets wrong.
    """

    def __init__(self, pod: Pod, control: Control) -> None:
        self._pod, self._control = pod, control
        self._chance = pod.chance
        self._followers = _followers()
        self._starts = list(self._followers)
        self._generators = {}
        self._conversations = 0
        for version in VERSIONS:
            infermeter.register_model(pod.model, version=version, sla_s=SLA_S, classes=TOPICS, framework="bigrams")
            self._generators[version] = infermeter.generation(pod.model, version=version)(self._answer)

    async def serve(self) -> None:
        """Answer requests until cancelled."""
        await arrive(self._pod.rate, self._chance, self._request)

    async def _request(self) -> None:
        version = "2" if self._chance.random() < CANARY_SHARE else "1"
        self._conversations += 1
        patience = 3 if self._chance.random() < _IMPATIENT else len(_WORDS) + min(_WORDS)
        async with aclosing(self._generators[version]()) as words:
            async for _ in words:
                patience -= 1
                if patience == 0:
                    return
        topic = self._chance.choice(TOPICS)
        if self._control.has("label-explosion"):
            topic = f"conversation-{self._pod.name}-{self._conversations}"
        infermeter.record_prediction(
            self._pod.model, version=version, label=topic, confidence=self._chance.betavariate(8, 2)
        )

    async def _answer(self) -> AsyncGenerator[str]:
        slow = _SLOW if self._control.has("slow-model") else 1.0
        await asyncio.sleep(_FIRST_WORD_S * slow * self._chance.uniform(0.7, 1.3))
        word = self._chance.choice(self._starts)
        for _ in range(self._chance.choice(_WORDS)):
            if self._chance.random() < _ERRORS / len(_WORDS):
                raise ArithmeticError("no word has a probability")
            yield word
            word = self._next_word(word, self._chance)
            await asyncio.sleep(_WORD_S * slow)

    def _next_word(self, word: str, chance: random.Random) -> str:
        followers = self._followers.get(word)
        return chance.choice(followers) if followers else chance.choice(self._starts)


def _followers() -> dict[str, list[str]]:
    """Return which words follow which, as often as they do."""
    followers: dict[str, list[str]] = defaultdict(list)
    for data in (load_breast_cancer(), load_wine(), load_digits()):
        words = str(data.DESCR).split()
        for word, following in pairwise(words):
            followers[word].append(following)
    return dict(followers)
