"""Full screen of `duologue talk`, built on Textual.

The screen reads the view twelve times a second and draws what has changed; updates of the session
draw nothing by themselves, however many arrive.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from textual.app import App
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from duologue.cli.talk.conversation import REDRAW_SECONDS
from duologue.cli.talk.view import Phase
from duologue.devices import list_devices
from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from duologue.cli.talk.conversation import Talk
    from duologue.cli.talk.view import Line, LineKind
    from duologue.devices import AudioDevice

__all__ = ["DevicePicker", "TalkApp"]

METER_CELLS: Final = 12
METER_DB: Final = 60.0
"""Range of a meter: speech is at -40 to -10 dB, a quiet room at -60 and below."""

_LABELS: Final[dict[LineKind, tuple[str, str]]] = {
    "user": ("you", "bold cyan"),
    "assistant": ("assistant", "bold green"),
    "tool": ("tool", "bold yellow"),
    "note": ("·", "dim"),
}

_PHASES: Final = {
    Phase.LISTENING: "green",
    Phase.USER_SPEAKS: "bold cyan",
    Phase.THINKING: "yellow",
    Phase.CALLING: "yellow",
    Phase.SPEAKING: "bold green",
    Phase.CONNECTING: "bold red",
    Phase.CLOSED: "bold red",
}


class TalkApp(App[None]):
    """The screen of a conversation.

    Args:
        talk: The conversation; the screen runs it.
        server: Name of the server, for the title.
    """

    ENABLE_COMMAND_PALETTE: ClassVar[bool] = False
    AUTO_FOCUS: ClassVar[str | None] = None  # keys are commands until text is typed
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "turn", "Talk"),
        Binding("m", "mute", "Mute"),
        Binding("t", "write", "Type"),
        Binding("i", "pick('input')", "Microphone"),
        Binding("o", "pick('output')", "Speaker"),
        Binding("escape", "leave", show=False),
        Binding("q", "end", "Quit"),
        Binding("ctrl+c", "end", show=False, priority=True),
    ]
    CSS: ClassVar[str] = """
    #title { background: $panel; padding: 0 1; }
    #lines { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    #lines Horizontal { height: auto; }
    #lines .label { width: 11; padding: 0 2 0 0; text-align: right; }
    #lines .words { width: 1fr; }
    #meters, #totals { padding: 0 1; height: 1; }
    #totals { color: $text-muted; }
    DevicePicker { align: center middle; }
    DevicePicker OptionList { width: 70; max-width: 90%; height: auto; max-height: 80%; }
    """

    def __init__(self, talk: Talk, server: str) -> None:
        super().__init__()
        self.talk: Final = talk
        self.running: asyncio.Task[None] | None = None
        """The conversation; its error is to be raised once the screen has gone."""
        self._server: Final = server
        # Kept, because a query would search the list of devices while it is open.
        self._title: Final = Static(id="title")
        self._lines: Final = VerticalScroll(id="lines", can_focus=False)
        self._meters: Final = Static(id="meters")
        self._totals: Final = Static(id="totals")
        self._input: Final = Input(placeholder="t: type a message", id="typed", compact=True)
        self._drawn: Final[dict[str, tuple[Static, Content]]] = {}  # words, by the line's id

    def compose(self) -> ComposeResult:
        """Yield the parts of the screen, from top to bottom."""
        yield from (self._title, self._lines, self._meters, self._totals, self._input)
        yield Footer()

    def on_mount(self) -> None:
        """Begin the conversation and the redraws."""
        self._lines.anchor()
        self.running = asyncio.create_task(self.talk.run())
        self.running.add_done_callback(lambda _: self.exit())
        self.set_interval(REDRAW_SECONDS, self.redraw)

    # Keys.

    def action_turn(self) -> None:
        """Begin or end the user's turn, or interrupt the answer."""
        self.talk.toggle_turn()

    def action_mute(self) -> None:
        """Mute the microphone, or end that."""
        self.talk.toggle_mute()

    def action_write(self) -> None:
        """Go to the field for text."""
        self.set_focus(self._input)  # at once, for the keys that follow

    def action_leave(self) -> None:
        """Leave the field for text, or interrupt the answer."""
        if self.focused is None:
            self.talk.interrupt()
        self.set_focus(None)

    def action_end(self) -> None:
        """End the conversation; the second time at once."""
        if self.running is None or self.talk.is_over:
            self.exit()
        self.talk.stop()

    def action_pick(self, kind: Literal["input", "output"]) -> None:
        """Let the user pick a sound card."""
        try:
            devices = list_devices()
        except ConfigurationError as error:
            self.talk.view.note(str(error))
            return
        is_input = kind == "input"
        found = [d for d in devices if (d.input_channels if is_input else d.output_channels)]
        if not found:
            self.talk.view.note(f"there is no sound card for {kind}")
            return

        def picked(index: int | None) -> None:
            if index is not None:
                self.talk.pick(**{kind: index})

        self.push_screen(DevicePicker(found), picked)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send what was typed."""
        self.talk.send_text(event.value)
        event.input.clear()

    # Drawing.

    def redraw(self) -> None:
        """Draw what has changed."""
        self.talk.tick()
        self._title.update(self._draw_title(), layout=False)
        self._meters.update(self._draw_meters(), layout=False)
        view = self.talk.view
        totals = "  ·  ".join(filter(None, (view.latency, view.usage)))
        self._totals.update(Content(totals), layout=False)
        self._draw_lines()

    def _draw_lines(self) -> None:
        lines = self.talk.view.lines
        known = {line.id for line in lines}
        for line_id in [line_id for line_id in self._drawn if line_id not in known]:
            row = self._drawn.pop(line_id)[0].parent
            if isinstance(row, Horizontal):
                row.remove()
        new: list[Horizontal] = []
        for line in lines:
            content = drawn(line)
            words, before = self._drawn.get(line.id, (None, None))
            if words is None:
                words = Static(content, classes="words")
                new.append(Horizontal(Static(_label(line), classes="label"), words))
            elif content != before:
                words.update(content)
            self._drawn[line.id] = words, content
        if new:
            self._lines.mount(*new)

    def _draw_title(self) -> Content:
        phase = self.talk.view.phase(is_playing=self.talk.is_playing)
        return Content.assemble(
            ("duologue talk", "bold"), f"  {self._server}  ", (f"● {phase}", _PHASES[phase])
        )

    def _draw_meters(self) -> Content:
        talk = self.talk
        microphone, speaker = talk.levels
        state = ""
        if talk.is_muted:
            state = "muted"
        elif talk.policy.interrupted_by == "push_to_talk":
            state = "space: send" if talk.is_pressed else "space: talk"
        return Content.assemble(
            ("you ", "bold cyan"), (meter(microphone), "cyan"), (f" {state:<12}", "bold red"),
            ("assistant ", "bold green"), (meter(speaker), "green"),
        )  # fmt: skip


class DevicePicker(ModalScreen[int | None]):
    """List of sound cards; returns the number of the one that was picked.

    Args:
        devices: The sound cards.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Back")]

    def __init__(self, devices: list[AudioDevice]) -> None:
        super().__init__()
        self._devices: Final = devices

    def compose(self) -> ComposeResult:
        """Yield the list."""
        yield OptionList(
            *(Option(f"{d.index}  {d.name}", str(d.index)) for d in self._devices), markup=False
        )

    def on_mount(self) -> None:
        """Let the keys choose."""
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the choice."""
        self.dismiss(self._devices[event.option_index].index)


def meter(level_db: float) -> str:
    """Return a bar for a level in dB."""
    filled = round((1 + max(-METER_DB, level_db) / METER_DB) * METER_CELLS)
    return "█" * filled + "░" * (METER_CELLS - filled)


def drawn(line: Line) -> Content:
    """Return the words of a line as they are drawn: those that were not heard yet are dim."""
    if line.kind == "note":
        return Content.styled(line.text, "dim italic")
    unheard = line.unheard_text
    if line.is_cut and unheard.strip():
        unheard = f" [not heard: {unheard.strip()}]"
    detail = f" → {line.detail}" if line.kind == "tool" else f"  ({line.detail})"
    return Content.assemble(
        line.heard_text if line.text else ("…", "dim"),
        (unheard, "dim"),
        (detail if line.detail else "", "dim"),
    )


def _label(line: Line) -> Content:
    return Content.styled(*_LABELS[line.kind])
