"""llama.cpp through xllamacpp: its server, called in this process instead of over HTTP."""

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
"""The model can be stopped only between batches. This batch takes 0.3 s on two cores, and costs 4 %
of the reading speed (190 instead of 197 tokens a second)."""

CACHE_MIB: Final = 256
"""Bound of the cache for prompts of sessions that are not in a slot, at 12 KB a token. llama.cpp's
default is 8 GB."""

REUSE_TOKENS: Final = 32
"""Parts of at least this length keep their state when the turns before them are dropped: the model
does not read them again."""

SAME_CONVERSATION: Final = 0.005
"""A slot accepts a prompt that shares this much of its beginning, as a share of the prompt. After
old turns are dropped, only the instructions are the same. With llama.cpp's default of 0.1 the model
then reads the whole prompt again: 22 s for 2,800 tokens instead of 3 s."""


class ChatServer(Protocol):
    """`xllamacpp.Server`."""

    def handle_chat_completions(
        self, body: ChatObject, on_chunk: Callable[[dict[str, Any]], bool], /
    ) -> None:
        """Answer a chat completion; blocks.

        Calls `on_chunk` in this thread with each chunk, including errors, until it returns True.

        Raises:
            ValueError: If a message is invalid.
        """
        ...


def load_llama(path: Path, *, threads: int, slots: int, context_tokens: int) -> ChatServer:
    """Load a GGUF file; blocks for 1 to 2 seconds.

    Args:
        path: The file.
        threads: Number of cores for one response.
        slots: Number of responses at a time.
        context_tokens: Length of the longest conversation, in each slot.

    Raises:
        MissingExtra: If xllamacpp is not installed.
        ModelUnavailable: If the file is missing or broken.
    """
    xllamacpp = package("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context_tokens * slots  # llama.cpp divides it among the slots
    params.n_parallel = slots
    params.n_batch = BATCH_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = CACHE_MIB
    params.n_cache_reuse = REUSE_TOKENS
    params.slot_prompt_similarity = SAME_CONVERSATION
    params.use_jinja = True  # llama.cpp accepts functions only with the file's own chat template
    params.offline = True
    params.prefill_assistant = False  # or a last assistant message would be continued, not answered
    params.verbosity = -1
    # The server always opens an HTTP port on 127.0.0.1. A random key locks it.
    params.api_keys = [secrets.token_urlsafe(32)]
    params.ui = params.endpoint_slots = params.endpoint_props = False
    try:
        server: ChatServer = xllamacpp.Server(params)
    except RuntimeError as error:  # one message for a missing, a truncated and a wrong file
        raise ModelUnavailable(f"the language model {path} does not load") from error
    return server
