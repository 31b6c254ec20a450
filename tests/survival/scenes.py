"""The scenes of the drill, each with the conversation that it must end with; and the drill."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.survival.faults import FAULTS, Fault
from tests.survival.stage import REPLY, SILENCE, SPEECH, WAIT, WORDS, Line, Stage

from duologue import Disconnected, Interrupted, Reconnected
from duologue.protocol import ga

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from duologue.client.endpoint import DialectChoice
    from duologue.client.handles import Pending, ResponseHandle

__all__ = ["SCENES", "Outcome", "Scene", "run_cell"]

HISTORY: Final[list[Line]] = [
    ("system", "Be brief."),
    ("user", "Greet me."),
    ("assistant", "Hello to you."),
    ("user", "What time is it?"),
    ("call", "clock{}"),
    ("output", '"noon"'),
    ("assistant", 'It is "noon".'),
]
SPOKEN: Final[Line] = ("user", " ".join(WORDS))
REPLIED: Final[Line] = ("assistant", REPLY.strip())

VAD: Final = {"type": "server_vad", "silence_duration_ms": 300, "prefix_padding_ms": 100}


@dataclass(frozen=True)
class Scene:
    """What the application does when the connection is lost."""

    name: str
    play: Callable[[Stage, Fault], Awaitable[list[Pending[Any] | ResponseHandle]]]
    """Plays the scene to its end, and returns the handles that it used."""
    ends_with: tuple[Line, ...]
    """The items that follow `HISTORY` at the end."""
    asked_again: frozenset[int] = frozenset({0})
    """How many responses may be requested again."""
    missing: frozenset[int] = frozenset({0})
    """How many items of cut responses may be missing in the new session."""
    speaks: bool = False
    detects_turns: bool = True
    hold_after: int | None = None
    resends: bool = False
    """Whether audio of the user has to be sent again."""
    tool_runs: int = 0
    fails_twice: bool = False


@dataclass(frozen=True)
class Outcome:
    """One cell of the table."""

    complaints: tuple[str, ...]
    """Everything that is not as it must be."""
    seconds: float | None
    """Time from the fault to `Reconnected`."""

    @property
    def recovered(self) -> bool:
        return not self.complaints


async def idle(stage: Stage, fault: Fault) -> list[Any]:
    fault.strike(stage)
    await stage.wait(stage.back)
    return []


async def user_speaking(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "input_audio_buffer.speech_started")
    client, quarter = stage.client, len(SPEECH) // 4
    replies = client.completed_items()
    client.append_input_audio(SPEECH[: 2 * quarter])
    stage.on_lost = lambda: client.append_input_audio(SPEECH[3 * quarter :])
    await client.wait_for_next(Interrupted, timeout=WAIT)
    client.append_input_audio(SPEECH[2 * quarter : 3 * quarter])  # nobody may have received it
    await stage.wait(stage.back)
    client.append_input_audio(SILENCE)
    await _reply(replies)
    return []


async def turn_committed(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "input_audio_buffer.committed")
    replies = stage.client.completed_items()
    stage.client.append_input_audio(SPEECH + SILENCE)
    await _reply(replies)
    return []


async def push_to_talk(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "client.input_audio_buffer.commit")
    stage.client.append_input_audio(SPEECH)
    handle = stage.client.create_response()
    fault.has_sent(stage)
    await _done(handle)
    return [handle]


async def commit_answered(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "input_audio_buffer.committed")
    stage.client.append_input_audio(SPEECH)
    pending = stage.client.commit_input_audio()
    handle = stage.client.create_response()
    await _done(handle)
    return [pending, handle]


async def text(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "response.output_text.delta", 2)
    handle = stage.client.send_user_message_content("Count.")
    await _done(handle)
    return [handle]


async def audio(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "response.output_audio.delta", 2)
    handle = stage.client.send_user_message_content("Count.")
    await _done(handle)
    return [handle]


async def turn_answered(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "response.output_audio.delta", 2)
    replies = stage.client.completed_items()
    stage.client.append_input_audio(SPEECH + SILENCE)
    await _reply(replies)
    return []


async def tool(stage: Stage, fault: Fault) -> list[Any]:
    return await _tool(stage, fault, stage.back)


async def tool_while_away(stage: Stage, fault: Fault) -> list[Any]:
    return await _tool(stage, fault, stage.lost)


async def _tool(stage: Stage, fault: Fault, until: asyncio.Event) -> list[Any]:
    fault.arm(stage, "response.output_item.done")
    handle = stage.client.send_user_message_content("How is the weather?")
    await stage.wait(until)
    stage.tool_may_end.set()
    async with asyncio.timeout(WAIT):
        answer = await handle.answer()
    return [handle, answer]


async def out_of_band(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "response.output_text.delta", 2)
    asked = ga.Message(role="user", content=[ga.InputText(text="Count.")])
    handle = stage.client.create_response(
        conversation="none",
        output_modalities=["text"],
        metadata={"topic": "numbers"},
        input=[asked],
    )
    await _done(handle)
    return [handle]


async def resume(stage: Stage, fault: Fault) -> list[Any]:
    fault.arm(stage, "response.output_text.delta", 2, twice=True)
    handle = stage.client.send_user_message_content("Count.")
    await _done(handle)
    return [handle]


async def _done(handle: ResponseHandle) -> None:
    async with asyncio.timeout(WAIT):
        await handle


async def _reply(items: Any) -> None:
    """Wait for a completed message of the assistant."""
    async with asyncio.timeout(WAIT):
        async for item in items:
            if item.role == "assistant":
                return


ASKED_ONCE: Final = frozenset({1})
COUNTED: Final[tuple[Line, ...]] = (("user", "Count."), REPLIED)
SPOKEN_TO: Final[tuple[Line, ...]] = (SPOKEN, REPLIED)
CALLED: Final[tuple[Line, ...]] = (
    ("user", "How is the weather?"),
    ("call", "weather{}"),
    ("output", '"sunny"'),
    ("assistant", 'It is "sunny".'),
)
EITHER: Final = frozenset({0, 1})

SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("idle", idle, ()),
        Scene("user speaking", user_speaking, SPOKEN_TO, resends=True),
        Scene("turn committed", turn_committed, SPOKEN_TO, asked_again=EITHER, hold_after=0),
        Scene(
            "push to talk",
            push_to_talk,
            SPOKEN_TO,
            asked_again=EITHER,
            detects_turns=False,
            hold_after=0,
        ),
        Scene(
            "commit answered",
            commit_answered,
            SPOKEN_TO,
            asked_again=EITHER,
            detects_turns=False,
            hold_after=0,
        ),
        Scene("text", text, COUNTED, asked_again=ASKED_ONCE, missing=ASKED_ONCE, hold_after=3),
        Scene(
            "audio",
            audio,
            COUNTED,
            asked_again=ASKED_ONCE,
            missing=ASKED_ONCE,
            speaks=True,
            hold_after=3,
        ),
        Scene(
            "turn answered",
            turn_answered,
            SPOKEN_TO,
            asked_again=ASKED_ONCE,
            missing=ASKED_ONCE,
            speaks=True,
            hold_after=3,
        ),
        Scene("tool", tool, CALLED, tool_runs=1),
        Scene("tool while away", tool_while_away, CALLED, tool_runs=1),
        Scene("out of band", out_of_band, (), asked_again=ASKED_ONCE, hold_after=3),
        Scene(
            "during resume",
            resume,
            COUNTED,
            asked_again=ASKED_ONCE,
            missing=ASKED_ONCE,
            hold_after=3,
            fails_twice=True,
        ),
    )
}


async def run_cell(fault_name: str, scene_name: str, dialect: DialectChoice) -> Outcome:
    """Play a scene, let the fault strike, and compare what both ends know with what they must."""
    fault, scene = FAULTS[fault_name], SCENES[scene_name]
    session: dict[str, Any] = {
        "output_modalities": ["audio" if scene.speaks else "text"],
        "audio": {
            "input": {
                "turn_detection": VAD if scene.detects_turns else None,
                "transcription": {"model": "whisper-1"},
            }
        },
    }
    async with Stage(dialect, session, fault.keepalive) as stage:
        await _begin(stage)
        stage.hold_after = scene.hold_after
        handles: list[Any] = []
        complaints: list[str] = []
        try:
            handles = await scene.play(stage, fault)
            await stage.wait(stage.back)
        except Exception as error:  # noqa: BLE001  # it is a complaint
            complaints.append(f"the scene failed: {error!r}")
        complaints += [f"not settled: {handle}" for handle in handles if not handle.is_done]
        complaints += _conversation_complaints(stage, scene)
        complaints += _update_complaints(stage, scene, fault)
        if stage.struck_at is None or stage.back_at is None:
            return Outcome(tuple(complaints), None)
        return Outcome(tuple(complaints), stage.back_at - stage.struck_at)


async def _begin(stage: Stage) -> None:
    """Have a conversation with words, a call and its output."""
    client = stage.client
    await client.create_item(ga.Message(role="system", content=[ga.InputText(text="Be brief.")]))
    await client.ask("Greet me.")
    await client.ask("What time is it?")


def _conversation_complaints(stage: Stage, scene: Scene) -> list[str]:
    expected = [*HISTORY, *scene.ends_with]
    complaints: list[str] = []
    if stage.mirrored() != expected:
        complaints.append(f"the client has {stage.mirrored()[len(HISTORY) :]} after the history")
    if stage.held() != expected:
        complaints.append(f"the server has {stage.held()[len(HISTORY) :]} after the history")
    if len(stage.tool_runs) != scene.tool_runs:
        complaints.append(f"tools ran {len(stage.tool_runs)} times")
    answered = sum(event.type == "response.done" for event in stage.record.sent)
    owed = any(line[0] == "assistant" for line in scene.ends_with) or bool(scene.missing - {0})
    owed = owed or scene.name == "out of band"
    if answered != owed:
        complaints.append(f"the new session made {answered} responses, not {int(owed)}")
    return complaints


def _update_complaints(stage: Stage, scene: Scene, fault: Fault) -> list[str]:
    kinds = [type(update) for update in stage.updates]
    complaints: list[str] = []
    if kinds != [Disconnected, Reconnected]:
        return [f"the updates were {stage.updates}"]
    lost, back = stage.updates
    assert isinstance(lost, Disconnected)
    assert isinstance(back, Reconnected)
    figures = {
        "will_retry": (lost.will_retry, {True}),
        "attempts": (back.attempts, {fault.attempts(twice=scene.fails_twice)}),
        "missing": (len(back.missing_items), scene.missing),
        "renamed": (len(back.renamed_items), {0}),
        "asked again": (back.asked_again, scene.asked_again),
        "lost ms": (back.lost_audio_ms, {0.0}),
        "resent audio": (back.resent_audio_ms > 0 or not scene.resends, {True}),
        "failed events": (stage.client.statistics().failed_events, {0}),
    }
    complaints += [
        f"{n}: {found}, not {ok}" for n, (found, ok) in figures.items() if found not in ok
    ]
    created = [e for e in stage.record.received if e.type == "conversation.item.create"]
    if back.restored_items > len(created) or back.restored_items < len(HISTORY):
        complaints.append(f"{back.restored_items} items were restored")
    return complaints
