"""llama.cpp, as xllamacpp binds it: its own server, called without HTTP."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, Protocol

from duologue.errors import ModelUnavailable
from duologue.server.engine.local.native import package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duologue.server.engine.chat import ChatObject

__all__ = ["ChatServer", "load_llama"]

BATCH_TOKENS: Final = 64
"""How much of a prompt is read between two chances to stop: 0.3 s on two cores. It costs 4 % of
the reading speed (190 of 197 tokens a second)."""

CACHE_MIB: Final = 256
"""Keeps the prompts of sessions that wait, 12 KB a token. Left alone it may take 8 GB."""


REUSE_TOKENS: Final = 32
"""Stretches of this length are kept when what stood before them is forgotten, not read again."""


SAME_CONVERSATION: Final = 0.005
"""A slot goes on with a conversation that shares this much of its start: the instructions.
With llama.cpp's 0.1 the first turn after forgetting is read anew: 22 s of 2800 tokens, now 3 s."""


class ChatServer(Protocol):
    """`xllamacpp.Server`."""

    def handle_chat_completions(
        self, body: ChatObject, on_chunk: Callable[[dict[str, Any]], bool], /
    ) -> None:
        """Answer a chat completion; blocks.

        Calls `on_chunk` in this thread with each chunk, an error among them, until it returns True.

        Raises:
            ValueError: If a message makes no sense to it.
        """
        ...


def load_llama(path: Path, *, threads: int, slots: int, context_tokens: int) -> ChatServer:
    """Load a GGUF file; blocks for one or two seconds.

    Args:
        path: The file.
        threads: Cores for one answer.
        slots: How many answers at a time.
        context_tokens: The longest conversation, in each slot.

    Raises:
        MissingExtra: If xllamacpp is not installed.
        ModelUnavailable: If the file is missing or broken.
    """
    xllamacpp = package("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context_tokens * slots
    params.n_parallel = slots
    params.n_batch = BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = CACHE_MIB
    params.n_cache_reuse = REUSE_TOKENS
    params.slot_prompt_similarity = SAME_CONVERSATION
    params.use_jinja = True
    params.offline = True
    params.prefill_assistant = False  # an answer is a new message, whoever spoke last
    params.verbosity = -1
    # It opens an HTTP port on 127.0.0.1, unasked: nobody may use it.
    params.api_keys = [secrets.token_urlsafe(32)]
    params.ui = params.endpoint_slots = params.endpoint_props = False
    try:
        server: ChatServer = xllamacpp.Server(params)
    except RuntimeError as error:  # the same words for an absent, a cut and a wrong file
        raise ModelUnavailable(f"the language model {path} does not load") from error
    return server
