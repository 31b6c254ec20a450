"""Checks of the settings: packages, URL, key and configuration. Nothing is connected to."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast
from urllib.parse import parse_qs, urlsplit

from duologue.client.session_keywords import AUDIO_FIELDS
from duologue.errors import ConfigurationError, DecodeError
from duologue.protocol import codec
from duologue.protocol.validate import validate
from duologue.transport.handshake import check_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duologue.protocol.codec import Dialect, Surface
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.protocol.validate import Problem

__all__ = [
    "Check", "ConfigurationFile", "Status", "check_configuration", "check_key", "check_packages",
    "check_url_form", "explain_bad_url", "is_local", "read_configuration", "removed",
]  # fmt: skip

Status = Literal["ok", "warning", "failed", "skipped"]
"""Result of a check."""

MAX_PROBLEMS: Final = 20
"""Problems of a configuration that are listed."""

_AZURE: Final = (".azure.com", ".azure.us", ".azure.cn")
_OPENAI: Final = (".openai.com",)
_KNOWN_KEYS: Final[Sequence[tuple[str, str, tuple[str, ...]]]] = (
    (r"ek_", "an ephemeral key", (*_OPENAI, *_AZURE, ".x.ai")),
    (r"sk-ant-", "a key of Anthropic", (".anthropic.com",)),
    (r"sk-or-", "a key of OpenRouter", (".openrouter.ai",)),
    (r"sk-admin-", "an admin key, which opens no sessions", ()),
    (r"sk-", "a key of OpenAI", _OPENAI),
    (r"xai-", "a key of xAI", (".x.ai",)),
    (r"gsk_", "a key of Groq", (".groq.com",)),
    (r"AIza", "a key of Google", (".googleapis.com",)),
    (r"hf_", "a token of Hugging Face", (".hf.co", ".huggingface.co")),
    (r"(org|proj)[-_]", "the id of an organization or project", ()),
    (r"eyJ", "a token, such as Microsoft Entra's", _AZURE),
    (r"[0-9a-f]{32}$|[0-9A-Za-z]{84}$", "a key of Azure", _AZURE),
)
"""Beginnings of keys, their kinds, and the hosts that they are for; the first match counts."""

_PROVIDERS: Final = (*_OPENAI, *_AZURE, ".x.ai")
"""Providers of Realtime, whose keys have a known form."""

_PLACEHOLDER: Final = re.compile(
    r"[<{$%].*|.*(\.\.\.|…).*|(sk-)?(your|my|the|xxx).*|changeme|.*api[-_ ]?key.*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check, as the report shows it."""

    name: str
    status: Status
    fact: str
    """What was found."""
    fix: str | None = None
    """What to do about it."""


def removed(text: str, secrets: frozenset[str]) -> str:
    """Return a text without secrets, such as the key in a server's words.

    Short secrets, such as the key `none`, are removed where they stand alone, not inside words.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        pattern = re.escape(secret)
        text = re.sub(pattern if len(secret) >= 8 else rf"\b{pattern}\b", "[removed]", text)
    return text


def is_local(host: str) -> bool:
    """Return whether a host is this machine, by its name."""
    return host in {"localhost", "::1"} or host.endswith(".localhost") or host.startswith("127.")


def check_packages(version: str, python: str, tls: str, missing: Mapping[str, list[str]]) -> Check:
    """Return the check of the environment.

    Args:
        version: Version of duologue.
        python: Version of Python.
        tls: Version of the TLS library.
        missing: Packages that are not installed, by extra; empty if the extra is complete.
    """
    present = [extra for extra, packages in missing.items() if not packages]
    absent = [f"{extra} ({', '.join(packages)})" for extra, packages in missing.items() if packages]
    fact = f"duologue {version}, Python {python}, {tls}"
    if present:
        fact += f"; extras: {', '.join(present)}"
    if absent:
        fact += f"; not installed: {', '.join(absent)}"
    return Check("environment", "ok", fact)


# The URL.


def explain_bad_url(given: str, error: ConfigurationError) -> Check:
    """Return the check of a URL that no endpoint accepts.

    Args:
        given: The URL of the command line; empty if the environment names it.
        error: The refusal.
    """
    fix = "write wss://host/v1/realtime, or for Azure --azure https://my-resource.openai.azure.com"
    likely = _likely_url(given)
    if likely is not None:
        fix = f"write --azure {likely}" if _is_azure(likely) else f"write --url {likely}"
    return Check("url", "failed", str(error), fix)


_LIKE_A_URL: Final = re.compile(
    r"((?P<scheme>https?|wss?):/*)?(?P<host>[\w-]+(\.[\w-]+)+|localhost)(?P<port>:\d+)?(?P<path>/[^?#]*)?"
    r"([?#].*)?"
)


def _likely_url(given: str) -> str | None:
    """Return the URL that was meant, without its query."""
    match = _LIKE_A_URL.fullmatch(given.strip().strip("'\""))
    if match is None:
        return None
    host, port, path = match["host"], match["port"] or "", (match["path"] or "").strip("/")
    if host.endswith(_AZURE):
        return f"https://{host}"
    scheme = "ws" if match["scheme"] in {"http", "ws"} or is_local(host) else "wss"
    if not path or path.endswith("v1"):
        path = f"{path or 'v1'}/realtime"
    return f"{scheme}://{host}{port}/{path}"


def check_url_form(url: str, *, is_azure: bool, model: str | None) -> Check:
    """Return the check of a URL that an endpoint accepts: common mistakes are warnings.

    Args:
        url: URL of the endpoint.
        is_azure: Whether the endpoint was made for Azure.
        model: The model that the command line names.
    """
    shown, parts = check_url(url), urlsplit(url)
    host, query = parts.hostname or "", parse_qs(parts.query)
    in_query = query.get("model", query.get("deployment", [None]))[0]
    fact, fix = shown, None
    if not is_azure and _is_azure(url):
        fact = f"{shown} is Azure's, which expects its key in another header"
        fix = f"use --azure https://{host}"
    elif not parts.path.rstrip("/").endswith(("/realtime", "/translations")):
        fact, fix = f"{shown} does not end in /realtime", f"try {_likely_url(shown) or shown}"
    elif parts.path == "/realtime":
        fact, fix = f"{shown} has no /v1", f"try {parts.scheme}://{parts.netloc}/v1/realtime"
    elif parts.scheme == "ws" and not is_local(host):
        fact, fix = f"{shown} sends key and speech unencrypted", "use wss:// if the server has TLS"
    elif model is not None and in_query is not None and in_query != model:
        fact, fix = f"{shown}: its query names another model than --model", "leave one of them out"
    return Check("url", "warning" if fix else "ok", fact, fix)


def _is_azure(url: str) -> bool:
    return (urlsplit(url).hostname or "").endswith(_AZURE)


# The key.


def check_key(key: str | None, host: str) -> Check:
    """Return the check of a key's form; the text does not contain the key."""
    if key is None:
        if is_local(host):
            return Check("key", "ok", "no key is sent")
        fix = "pass --api-key; OPENAI_API_KEY is for OpenAI and the server of OPENAI_BASE_URL only"
        return Check("key", "warning", f"no key is sent to {host}, which may require one", fix)
    is_provider = f".{host}".endswith(_PROVIDERS)
    fault = _fault_of_key(key)
    if fault is None and is_provider and _PLACEHOLDER.fullmatch(key):
        fault = "is a placeholder"
    if fault is not None:
        return Check("key", "failed", f"the key {fault}", "set the key again, exactly as issued")
    if not is_provider:
        return Check("key", "ok", f"a key is sent to {host}")
    known = next((known for known in _KNOWN_KEYS if re.match(known[0], key)), None)
    if known is None or not f".{host}".endswith(known[2]):
        found = "its form is not known there" if known is None else f"it looks like {known[1]}"
        fix = f"use a key that {host} issued"
        return Check("key", "warning", f"the key may not be for {host}: {found}", fix)
    expiry = ", which expires minutes after its creation" if known[0] == r"ek_" else ""
    return Check("key", "ok", f"{known[1]}{expiry} is sent to {host}")


def _fault_of_key(key: str) -> str | None:
    if key != key.strip():
        return "begins or ends with white space, or a line break"
    if key[:1] in "'\"" or key[-1:] in "'\"":
        return "is in quotation marks, which are not part of it"
    if key.lower().startswith(("bearer ", "authorization:", "api-key:")):
        return "contains the name of its header: only the key itself belongs there"
    if re.search(r"\s", key):
        return "contains white space"
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        return "contains characters that are not ASCII"
    return None


# The configuration.


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """Content of a file: a session, or the parameters of a response."""

    kind: Literal["session", "response"]
    body: Mapping[str, object]

    def event(self, event_id: str) -> bytes:
        """Return the client event that sends it."""
        kind = "session.update" if self.kind == "session" else "response.create"
        return json.dumps({"type": kind, "event_id": event_id, self.kind: self.body}).encode()

    @property
    def secrets(self) -> frozenset[str]:
        """Tokens in it: those of MCP servers."""
        return frozenset(_secrets_in(self.body, is_secret=False))


def _secrets_in(value: object, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for name, entry in cast("dict[str, object]", value).items():
            secret = is_secret or name.lower() in {"authorization", "headers"}
            yield from _secrets_in(entry, is_secret=secret)
    elif isinstance(value, list):
        for entry in cast("list[object]", value):
            yield from _secrets_in(entry, is_secret=is_secret)
    elif is_secret and isinstance(value, str) and value:
        yield value


def read_configuration(text: str) -> ConfigurationFile | Check:
    """Return the configuration of a file: of a session or response, or the event that sends it."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        fix = "write one JSON object, such as a session"
        return Check("configuration", "failed", f"the file is not JSON: {error}", fix)
    if not isinstance(value, dict):
        return Check("configuration", "failed", "the file holds no object", "write {…} around it")
    fields = cast("dict[str, object]", value)
    for kind in ("session", "response"):
        inner = fields.get(kind)
        if isinstance(inner, dict):
            return ConfigurationFile(kind, cast("dict[str, object]", inner))
    if "type" not in fields and not fields.keys().isdisjoint({"conversation", "input", "metadata"}):
        return ConfigurationFile("response", fields)
    return ConfigurationFile("session", fields)


def check_configuration(
    configuration: ConfigurationFile, dialect: Dialect, surface: Surface
) -> Sequence[Check]:
    """Return one check for each problem of a configuration, or one that is ok."""
    try:
        found = validate(_decoded(configuration, dialect, surface), dialect)
    except DecodeError as error:  # too large, or with NaN, which JSON does not have
        return [Check("configuration", "failed", str(error), "shorten or correct it")]
    if not found:
        fact = f"the {configuration.kind} is valid in {_NAMES[dialect]}"
        return [Check("configuration", "ok", fact)]
    other: Dialect = "beta" if dialect == "ga" else "ga"
    checks = [
        Check("configuration", "failed", _fact(problem), _fix(problem))
        for problem in found[:MAX_PROBLEMS]
    ]
    is_flat = not configuration.body.keys().isdisjoint({*_MOVED, "temperature"})
    is_other = is_flat == (other == "beta") and surface == "realtime"
    if is_other and not validate(_decoded(configuration, other, surface), other):
        fact = f"the file is valid in {_NAMES[other]}, but the session is in {_NAMES[dialect]}"
        fix = f"use --dialect {other} if the server speaks it, or correct the fields"
        checks.insert(0, Check("configuration", "failed", fact, fix))
    if len(found) > MAX_PROBLEMS:
        fact = f"there are {len(found) - MAX_PROBLEMS} more problems"
        checks.append(Check("configuration", "failed", fact, "correct those above first"))
    return checks


_NAMES: Final = {"ga": "GA", "beta": "beta"}
_MOVED: Final = {
    "modalities": "output_modalities, as ['audio'] or ['text']",
    "max_response_output_tokens": "max_output_tokens",
    **{name: f"audio.{side}.{field}" for name, (side, field) in AUDIO_FIELDS.items()},
}
"""Fields of beta, and their places in GA."""


def _decoded(
    configuration: ConfigurationFile, dialect: Dialect, surface: Surface
) -> Event | UnknownEvent:
    frame = configuration.event("event_doctor")
    return codec.decode(frame, dialect=dialect, direction="client", surface=surface)


def _fact(problem: Problem) -> str:
    names_it = problem.path in problem.message
    return problem.message if names_it else f"{problem.path}: {problem.message}"


def _fix(problem: Problem) -> str:
    owner, _, field = problem.path.partition(".")
    if problem.code == "unknown_parameter" and field in _MOVED:
        return f"write it as {owner}.{_MOVED[field]}"
    if problem.path == "session.type":
        return "set it to 'realtime' or 'transcription'; duologue's client adds it by itself"
    return problem.fix
