"""Answer telephone calls from Twilio: greet the caller, take orders, and hang up.

Set `OPENAI_API_KEY`, and `TWILIO_AUTH_TOKEN` to refuse all others than Twilio. Make the port
public, for example with a tunnel, pass its address as `--public wss://YOUR-HOST/phone`, and enter
`https://YOUR-HOST/voice` as the webhook of your number. It needs `pip install 'duologue[server]'`.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from duologue import DuologueError, RealtimeClient
from duologue.telephony import PhoneBridge, PhoneCall, Twilio

TWIML = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Connect><Stream url="{}" /></Connect></Response>"""


@dataclass(frozen=True)
class Pizzeria:
    """What the calls are about."""

    url: str

    def new_client(self, call: PhoneCall) -> RealtimeClient:
        """Return the client of a call, with its tools."""
        client = RealtimeClient(
            url=self.url,
            instructions="You take orders of a pizzeria, in short sentences. When the caller has "
            "ordered, repeat the order, say goodbye, and call hang_up.",
            input_audio_transcription={"model": "gpt-4o-mini-transcribe"},
        )

        @client.tool
        def order(dish: str, pieces: int) -> str:
            """Order a dish.

            Args:
                dish: Its name on the menu.
                pieces: How many.
            """
            print(f"Order: {pieces} x {dish}", flush=True)
            return "The order is placed."

        @client.tool
        async def hang_up() -> None:
            """End the call, after the farewell."""
            await call.wait_until_heard()
            call.hang_up()

        return client

    def greet(self, call: PhoneCall, client: RealtimeClient) -> None:
        """Speak first."""
        print(f"Call {call.id}", flush=True)
        client.create_response(instructions="Greet the caller, and ask for the order.")

    def show(self, call: PhoneCall, client: RealtimeClient) -> None:
        """Print the conversation when the call has ended."""
        for item in client.conversation:
            words = item.formatted.transcript or item.formatted.text
            if words:
                print(f"{item.role}: {words}", flush=True)
        print(f"Ended by the {call.ending}", flush=True)


def application(url: str, public: str) -> Starlette:
    """Return the ASGI application: the webhook, and the WebSocket that it names."""
    token = os.environ.get("TWILIO_AUTH_TOKEN")
    pizzeria = Pizzeria(url)
    bridge = PhoneBridge(
        Twilio(auth_token=token, url=public) if token else Twilio(),
        pizzeria.new_client,
        on_call=pizzeria.greet,
        on_end=pizzeria.show,
    )

    async def voice(_request: object) -> Response:
        return Response(TWIML.format(public), media_type="text/xml")

    routes = [Route("/voice", voice, methods=["GET", "POST"]), WebSocketRoute("/phone", bridge)]
    return Starlette(routes=routes)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--public", default="wss://example.com/phone", help="seen by Twilio")
    options = parser.parse_args()
    try:
        RealtimeClient(url=options.url)  # says now, not in the first call, that the key is missing
    except DuologueError as error:
        sys.exit(str(error))
    uvicorn.run(application(options.url, options.public), port=options.port)


if __name__ == "__main__":
    main()
