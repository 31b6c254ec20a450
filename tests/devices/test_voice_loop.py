"""Decisions of a voice conversation: literal times in, actions out."""

from __future__ import annotations

import pytest

from duologue import ConfigurationError
from duologue.devices import Backchannel, BackchannelHeard, EchoHeard, ReplyAskedAgain, VoicePolicy
from duologue.devices.voice_loop import Action, Gate, Playback, Request, StopReply, VoiceLoop

QUIET, LOUD = -70.0, -20.0
STOPPED = [StopReply(cancels=True), Playback.NORMAL]
UH_HUH = frozenset({"uh", "huh", "yeah"})


def frames(
    loop: VoiceLoop, start: float, end: float, level: float = QUIET, *, silent: float = 0.0
) -> list[Action]:
    """Pass frames of 20 ms; return the actions."""
    actions: list[Action] = []
    for number in range(round(start * 50) + 1, round(end * 50) + 1):
        actions += loop.frame(level, number / 50, silent_seconds=silent)[1]
    return actions


def gate(loop: VoiceLoop, *, silent: float = 10.0) -> Gate:
    return loop.frame(QUIET, 0.0, silent_seconds=silent)[0]


def speaks_over(backchannel: Backchannel) -> VoiceLoop:
    """Return a loop in which the user begins to speak over the assistant, at 1.2 s."""
    loop = VoiceLoop(VoicePolicy(backchannel=backchannel))
    loop.response_began("resp")
    frames(loop, 0.0, 1.0)
    frames(loop, 1.0, 1.2, LOUD)
    expected = {"duck": Playback.DUCKED, "pause": Playback.PAUSED, "play": Playback.NORMAL}
    assert loop.speech_started("msg", 1.2, is_playing=True) == [expected[backchannel.meanwhile]]
    return loop


def test_by_default_all_speech_stops_the_reply_which_the_server_has_cancelled() -> None:
    loop = VoiceLoop(VoicePolicy())
    stopped = [StopReply(cancels=False), Playback.NORMAL]
    assert loop.speech_started("msg", 1.0, is_playing=True) == stopped
    assert loop.speech_stopped("msg", 2.0) == []
    assert loop.committed("msg") == []


@pytest.mark.parametrize("meanwhile", ["duck", "pause", "play"])
def test_short_speech_does_not_stop_the_reply(meanwhile: str) -> None:
    loop = speaks_over(Backchannel(max_ms=500, meanwhile=meanwhile))  # type: ignore[arg-type]  # one of three
    assert frames(loop, 1.2, 1.4, LOUD) == []
    assert frames(loop, 1.4, 1.8) == []
    assert loop.speech_stopped("msg", 1.8) == [Playback.NORMAL, BackchannelHeard("msg", None)]
    assert loop.committed("msg") == []
    assert loop.committed("msg") == [Request.RESPONSE], "only once"


def test_long_speech_stops_the_reply_as_soon_as_it_is_long() -> None:
    loop = speaks_over(Backchannel(max_ms=500))  # it began at 1.02
    assert frames(loop, 1.2, 1.5, LOUD) == []
    assert frames(loop, 1.5, 1.54, LOUD) == STOPPED
    assert loop.speech_stopped("msg", 2.5) == []
    assert loop.committed("msg") == [Request.RESPONSE]


def test_a_word_that_is_none_of_a_backchannel_stops_the_reply_at_once() -> None:
    loop = speaks_over(Backchannel(max_ms=5000, words=UH_HUH))
    assert loop.user_words("msg", "Uh-h", is_final=False) == []
    assert loop.user_words("msg", "Uh-huh but", is_final=False) == []
    assert loop.user_words("msg", "Uh-huh, but what", is_final=False) == STOPPED


def test_words_decide_when_speech_was_short() -> None:
    for words, is_backchannel in (("Uh-huh. Yeah!", True), ("Stop.", False), ("", True)):
        loop = speaks_over(Backchannel(words=UH_HUH))
        assert loop.speech_stopped("msg", 1.6) == []
        assert loop.committed("msg") == []
        decided = loop.user_words("msg", words, is_final=True)
        heard = [Playback.NORMAL, BackchannelHeard("msg", words)]
        assert decided == (heard if is_backchannel else [*STOPPED, Request.RESPONSE])


def test_without_its_words_short_speech_is_an_interruption_in_the_end() -> None:
    loop = speaks_over(Backchannel(words=UH_HUH))
    loop.speech_stopped("msg", 1.6)
    loop.committed("msg")
    assert frames(loop, 1.6, 3.08) == []
    assert frames(loop, 3.08, 3.12) == [*STOPPED, Request.RESPONSE]


def test_a_user_who_goes_on_interrupts() -> None:
    loop = speaks_over(Backchannel(words=UH_HUH))
    loop.speech_stopped("msg", 1.6)
    loop.committed("msg")
    assert loop.speech_started("msg2", 1.9, is_playing=True) == [*STOPPED, Request.RESPONSE]


def test_a_turn_without_a_reply_to_talk_over_is_answered() -> None:
    loop = VoiceLoop(VoicePolicy(backchannel=Backchannel()))
    assert loop.speech_started("msg", 1.0, is_playing=False) == []
    assert loop.speech_stopped("msg", 1.2) == []
    assert loop.committed("msg") == [Request.RESPONSE]


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_turn_that_goes_on_before_the_answer_is_audible_cancels_it(has_begun: bool) -> None:
    loop = VoiceLoop(VoicePolicy(backchannel=Backchannel()))
    loop.speech_started("msg", 1.0, is_playing=False)
    assert loop.committed("msg") == [Request.RESPONSE]
    if has_begun:
        loop.response_began("resp")
    assert loop.speech_started("msg2", 2.0, is_playing=False) == STOPPED
    loop.response_ended("resp", is_cancelled=True)
    assert loop.committed("msg2") == [Request.RESPONSE]


def test_a_reply_that_the_server_cancelled_for_a_backchannel_is_asked_again() -> None:
    loop = speaks_over(Backchannel())
    loop.response_ended("resp", is_cancelled=True)
    assert loop.speech_stopped("msg", 1.6) == [
        Playback.NORMAL,
        BackchannelHeard("msg", None),
        ReplyAskedAgain(),
        Request.RESPONSE,
    ]


def test_with_text_speech_is_answered_and_stops_nothing() -> None:
    loop = VoiceLoop(VoicePolicy(interrupted_by="text"))
    assert loop.speech_started("msg", 1.0, is_playing=True) == []
    assert loop.committed("msg") == [Request.RESPONSE]
    assert loop.interrupt() == STOPPED
    assert loop.press() == STOPPED


def test_push_to_talk_sends_only_what_is_said_between_press_and_release() -> None:
    loop = VoiceLoop(VoicePolicy(interrupted_by="push_to_talk"))
    assert gate(loop) is Gate.CLOSED
    assert loop.press() == [*STOPPED, Request.SEND_PRE_ROLL]
    assert loop.press() == STOPPED
    assert gate(loop) is Gate.OPEN
    assert loop.release(500.0) == [Request.COMMIT, Request.RESPONSE]
    assert loop.release(500.0) == []
    assert gate(loop) is Gate.CLOSED
    loop.press()
    assert loop.release(99.0) == [Request.CLEAR]


def test_a_muted_microphone_sends_silence() -> None:
    loop = VoiceLoop(VoicePolicy(starts_muted=True))
    assert gate(loop) is Gate.SILENT
    loop.is_muted = False
    assert gate(loop) is Gate.OPEN


def test_half_duplex_sends_silence_until_shortly_after_the_assistant() -> None:
    loop = VoiceLoop(VoicePolicy(echo="half_duplex", echo_tail_ms=250))
    assert gate(loop, silent=0.0) is Gate.SILENT
    assert gate(loop, silent=0.24) is Gate.SILENT
    assert gate(loop, silent=0.25) is Gate.OPEN


def test_an_echo_is_reported_once_and_makes_the_conversation_half_duplex() -> None:
    loop = VoiceLoop(VoicePolicy())
    assert gate(loop, silent=0.0) is Gate.OPEN
    assert loop.echo() == [EchoHeard(is_half_duplex=True)]
    assert loop.echo() == []
    assert gate(loop, silent=0.0) is Gate.SILENT
    cancelling = VoiceLoop(VoicePolicy(), cancels_echo=True)
    assert cancelling.echo() == [EchoHeard(is_half_duplex=False)]
    assert gate(cancelling, silent=0.0) is Gate.OPEN


def test_an_echo_is_no_interruption() -> None:
    loop = speaks_over(Backchannel())
    assert loop.echo() == [Playback.NORMAL, EchoHeard(is_half_duplex=True)]
    assert loop.speech_stopped("msg", 2.0) == []
    assert loop.committed("msg") == []


@pytest.mark.parametrize("backchannel", [None, Backchannel()])
def test_a_reply_that_is_cancelled_for_its_own_echo_is_asked_again(
    backchannel: Backchannel | None,
) -> None:
    loop = VoiceLoop(VoicePolicy(backchannel=backchannel))
    loop.response_began("resp")
    assert loop.echo_started("msg") == [EchoHeard(is_half_duplex=True), Request.CLEAR]
    again = [ReplyAskedAgain(), Request.RESPONSE]
    assert loop.response_ended("resp", is_cancelled=True) == again
    assert loop.committed("msg") == [], "if it was too late to clear it"
    loop.response_began("resp2")
    assert loop.response_ended("resp2", is_cancelled=True) == []


def test_a_reply_that_the_user_cancels_after_an_echo_is_not_asked_again() -> None:
    loop = VoiceLoop(VoicePolicy())
    loop.echo_started("msg")
    loop.speech_started("msg2", 1.0, is_playing=True)
    assert loop.response_ended("resp", is_cancelled=True) == []


def test_a_new_session_forgets_what_was_under_way() -> None:
    loop = speaks_over(Backchannel())
    assert loop.reconnected() == [Playback.NORMAL]
    assert loop.speech_started("msg", 3.0, is_playing=False) == []


def test_in_a_noisy_room_only_louder_speech_counts() -> None:
    loop = VoiceLoop(VoicePolicy(backchannel=Backchannel(max_ms=300)))
    frames(loop, 0.0, 60.0, -40.0)  # a fan
    loop.speech_started("msg", 60.0, is_playing=True)
    assert frames(loop, 60.0, 61.0, -40.0) == []
    assert frames(loop, 61.0, 61.02, -25.0) == STOPPED


def test_a_backchannel_is_only_for_speech() -> None:
    with pytest.raises(ConfigurationError, match="interrupted_by='speech'"):
        VoicePolicy(interrupted_by="text", backchannel=Backchannel())
