// The classic reference client, from npm: `node realtime_api.mjs [CHECK ...]`.
// What its client has no method for is sent through `client.realtime.send`.

import { RealtimeClient } from "openai-realtime-api";
import { WebSocket } from "ws";

import {
  drive,
  equals,
  expect,
  frames,
  KEY,
  Log,
  speech,
  URL_,
  WEATHER,
} from "./driving.mjs";

const MODEL = "gpt-4o-realtime-preview";
const VAD = { type: "server_vad", silence_duration_ms: 300 };
const { type: _, ...DEFINITION } = WEATHER;

/** One client, and everything its server has said. */
class Talk extends Log {
  interruptions = 0;

  constructor(client) {
    super();
    this.client = client;
    client.realtime.on("server.*", (event) => this.add(event));
    client.on("conversation.interrupted", () => (this.interruptions += 1));
  }

  say(text) {
    this.client.sendUserMessageContent([{ type: "input_text", text }]);
  }

  hear(pcm) {
    for (const frame of frames(pcm)) {
      const bytes = new Uint8Array(frame).buffer;
      this.client.appendInputAudio(new Int16Array(bytes));
    }
  }

  /** Have a long answer spoken; return its item once a second of it has come. */
  async startStory() {
    this.say("Tell me a long story");
    for (;;) {
      const { item_id } = await this.until("response.audio.delta");
      const item = this.client.conversation.getItem(item_id);
      if (item.formatted.audio.length >= 24_000) return item;
    }
  }

  async retrieve(item_id) {
    this.client.realtime.send("conversation.item.retrieve", { item_id });
    return (await this.until("conversation.item.retrieved")).item;
  }

  /** Return the last item of a role, as the client's conversation has it. */
  last(role) {
    return this.client.conversation.getItems().findLast((item) => item.role === role);
  }
}

/** Connect as the client's readme says, and do something over it. */
async function talk(doing, { key = KEY, text = false, vad = null } = {}) {
  const client = new RealtimeClient({
    url: URL_,
    apiKey: key,
    model: MODEL,
    sessionConfig: {
      modalities: text ? ["text"] : ["text", "audio"],
      turn_detection: vad,
    },
  });
  const user = new Talk(client);
  await client.connect();
  await client.waitForSessionCreated();
  try {
    return await doing(user);
  } finally {
    client.disconnect();
  }
}

const checks = {
  connect: () =>
    talk(async (user) => {
      const { session } = user.events[0];
      expect(user.types()[0] === "session.created" && session.model === MODEL, user.events[0]);
    }),

  "wrong key": async () => {
    const error = await talk(async () => null, { key: "sk-wrong" }).catch((error) => error);
    expect(String(error).includes("Could not connect"), String(error));
  },

  "browser key": async () => {
    globalThis.WebSocket = WebSocket; // with one it behaves as in a browser
    try {
      await talk(
        async (user) => {
          expect(user.client.realtime.ws.protocol === "realtime", user.client.realtime.ws.protocol);
          user.say("Hello there");
          await user.until("response.done");
          expect(user.last("assistant").formatted.text === "You said: Hello there", user.events);
        },
        { text: true },
      );
    } finally {
      delete globalThis.WebSocket;
    }
  },

  "session update": () =>
    talk(async (user) => {
      user.client.updateSession({ instructions: "Be brief.", turn_detection: VAD });
      let session;
      do session = (await user.until("session.updated")).session;
      while (session.instructions !== "Be brief.");
      expect(session.turn_detection.silence_duration_ms === 300, session);
      expect(session.temperature === 0.8 && session.max_response_output_tokens === 4096, session);
      user.client.addTool(DEFINITION, () => ({}));
      session = (await user.until("session.updated")).session;
      expect(session.tools[0].name === "get_weather", session.tools);
    }),

  "text turn": () =>
    talk(
      async (user) => {
        user.say("Hello there");
        await user.until("response.done");
        expect(user.last("user").formatted.text === "Hello there", user.last("user"));
        const { formatted, status } = user.last("assistant");
        expect(formatted.text === "You said: Hello there" && status === "completed", formatted);
      },
      { text: true },
    ),

  "audio turn": () =>
    talk(
      async (user) => {
        user.hear(speech("hello"));
        await user.until("response.done");
        const words = "Hello, can you hear me?";
        const asked = user.last("user").formatted;
        expect(asked.transcript === words, asked.transcript);
        expect(asked.audio.length > 24_000, asked.audio.length);
        const { transcript, audio } = user.last("assistant").formatted;
        expect(transcript === `You said: ${words}`, transcript);
        expect(audio.length > 24_000, audio.length);
      },
      { vad: VAD },
    ),

  "push to talk": () =>
    talk(async (user) => {
      user.hear(speech("weather_paris"));
      expect(user.client.getTurnDetectionType() === undefined, user.client.sessionConfig);
      user.client.createResponse(); // commits first
      await user.until("response.done");
      const asked = user.last("user").formatted;
      expect(asked.transcript === "What is the weather in Paris today?", asked.transcript);
      expect(user.last("assistant").formatted.transcript.includes("Paris"), user.types());
      expect(!user.types().includes("input_audio_buffer.speech_started"), user.types());
    }),

  "tool call": () =>
    talk(
      async (user) => {
        const called = [];
        user.client.addTool(DEFINITION, (given) => {
          called.push(given);
          return { weather: "sunny" };
        });
        user.say("What is the weather in Paris?");
        await user.until("response.done");
        await user.until("response.done");
        expect(equals(called, [{ city: "Paris" }]), called);
        expect(user.last("assistant").formatted.text === "sunny", user.last("assistant"));
        expect(!user.types().includes("error"), user.events);
      },
      { text: true },
    ),

  cancel: () =>
    talk(async (user) => {
      const item = await user.startStory();
      user.client.cancelResponse(item.id, 900 * 24);
      const done = (await user.until("response.done")).response;
      expect(done.status === "cancelled", done);
      expect(done.status_details.reason === "client_cancelled", done);
      const truncated = await user.until("conversation.item.truncated");
      expect(truncated.item_id === item.id && truncated.audio_end_ms === 900, truncated);
    }),

  "barge-in": () =>
    talk(
      async (user) => {
        const item = await user.startStory();
        user.hear(speech("hello"));
        await user.until("input_audio_buffer.speech_started");
        expect(user.interruptions === 1, user.interruptions);
        const cut = (await user.until("response.done")).response;
        expect(cut.status_details.reason === "turn_detected", cut);
        const heard = user.joined("response.audio_transcript.delta");
        user.client.realtime.send("conversation.item.truncate", {
          item_id: item.id,
          content_index: 0,
          audio_end_ms: 900,
        });
        await user.until("conversation.item.truncated");
        expect(item.formatted.audio.length === 900 * 24, item.formatted.audio.length);
        const kept = (await user.retrieve(item.id)).content[0].transcript;
        expect(kept && heard.startsWith(kept) && kept.length < heard.length, kept);
        await user.until("response.done");
        const { transcript } = user.last("assistant").formatted;
        expect(transcript.endsWith("can you hear me?"), transcript);
      },
      { vad: VAD },
    ),

  truncate: () =>
    talk(async (user) => {
      user.say("One two three four five six");
      const item = (await user.until("response.done")).response.output[0];
      const whole = item.content[0].transcript;
      user.client.realtime.send("conversation.item.truncate", {
        item_id: item.id,
        content_index: 0,
        audio_end_ms: 1000,
      });
      const truncated = await user.until("conversation.item.truncated");
      expect(truncated.item_id === item.id, truncated);
      const kept = (await user.retrieve(item.id)).content[0].transcript;
      expect(kept && whole.startsWith(kept) && kept.length < whole.length, kept);
    }),

  delete: () =>
    talk(
      async (user) => {
        user.say("Forget this");
        await user.until("response.done");
        for (const { id } of user.client.conversation.getItems()) {
          user.client.deleteItem(id);
          expect((await user.until("conversation.item.deleted")).item_id === id, id);
        }
        expect(user.client.conversation.getItems().length === 0, user.client.conversation.items);
        user.client.createResponse();
        await user.until("response.done");
        expect(user.last("assistant").formatted.text === "I am listening.", user.events);
      },
      { text: true },
    ),

  retrieve: () =>
    talk(async (user) => {
      user.say("Remember this");
      await user.until("response.done");
      const { id, formatted } = user.last("assistant");
      const part = (await user.retrieve(id)).content[0];
      expect(part.transcript === "You said: Remember this", part.transcript);
      const audio = Buffer.from(part.audio, "base64");
      expect(audio.equals(Buffer.from(formatted.audio.buffer)), audio.length);
    }),

  "out of band": () =>
    talk(
      async (user) => {
        const content = [{ type: "input_text", text: "An aside" }];
        user.client.realtime.send("response.create", {
          response: {
            conversation: "none",
            metadata: { topic: "aside" },
            input: [{ type: "message", role: "user", content }],
          },
        });
        const done = (await user.until("response.done")).response;
        expect(equals(done.metadata, { topic: "aside" }), done);
        expect(done.output[0].content[0].text === "You said: An aside", done);
        expect(user.client.conversation.getItems().length === 0, user.types());
        user.say("The conversation");
        await user.until("response.done");
        const { text } = user.last("assistant").formatted;
        expect(text === "You said: The conversation", text);
      },
      { text: true },
    ),

  "bad event": () =>
    talk(
      async (user) => {
        user.client.realtime.send("session.update", {
          event_id: "wrong_1",
          session: { turn_detection: { type: "server_vad", threshold: "loud" } },
        });
        const { error } = await user.until("error");
        expect(error.type === "invalid_request_error" && error.code === "invalid_type", error);
        expect(error.param === "session.turn_detection.threshold", error);
        expect(error.event_id === "wrong_1", error);
        user.say("Still there?");
        await user.until("response.done");
        expect(user.last("assistant").formatted.text === "You said: Still there?", user.types());
        expect(user.types().filter((type) => type === "error").length === 1, user.types());
      },
      { text: true },
    ),
};

await drive("openai-realtime-api", checks);
