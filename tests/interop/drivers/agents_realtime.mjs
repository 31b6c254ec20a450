// OpenAI's JavaScript Agents SDK over a WebSocket: `node agents_realtime.mjs [CHECK ...]`.
// What the session has no method for is sent as an event through its transport.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import {
  OpenAIRealtimeWebSocket,
  RealtimeAgent,
  RealtimeSession,
  tool,
} from "@openai/agents-realtime";
import { z } from "zod";

// By path: the session keeps quiet about events that it cannot read.
import { parseRealtimeEvent } from "../node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs";
import { BYTES_PER_MS, drive, equals, expect, frames, KEY, Log, speech, URL_ } from "./driving.mjs";

const VAD = { type: "server_vad", silenceDurationMs: 300, interruptResponse: true };
const IN_BROWSER = process.execArgv.includes("--conditions=browser");
const LONG = "One two three four five six seven eight nine ten ".repeat(3).trim();

const weather = tool({
  name: "get_weather",
  description: "Get the weather of a city.",
  parameters: z.object({ city: z.string() }),
  execute: ({ city }) => JSON.stringify({ weather: `sunny in ${city}` }),
});

const received = [];

/** One session, and everything its server has said. */
class Talk extends Log {
  errors = [];
  interruptions = 0;
  pieces = [];

  constructor(session) {
    super();
    this.session = session;
    session.on("transport_event", (event) => {
      this.add(event);
      received.push(event);
    });
    session.on("audio", (event) => this.pieces.push(Buffer.from(event.data)));
    session.on("audio_interrupted", () => (this.interruptions += 1));
    session.on("error", (event) => this.errors.push(event.error));
  }

  send(event) {
    this.session.transport.sendEvent(event);
  }

  hear(pcm, { commit = false } = {}) {
    const pieces = [...frames(pcm)];
    pieces.forEach((piece, index) => {
      const bytes = new Uint8Array(piece).buffer;
      this.session.sendAudio(bytes, { commit: commit && index === pieces.length - 1 });
    });
  }

  /** Have a long answer spoken; return its item id once some of it has come. */
  async startStory() {
    this.session.sendMessage("Tell me a long story");
    let delta;
    do delta = await this.until("response.output_audio.delta");
    while (Buffer.concat(this.pieces).length < 5000 * BYTES_PER_MS);
    return delta.item_id;
  }

  async retrieve(item_id) {
    this.send({ type: "conversation.item.retrieve", item_id });
    for (;;) {
      const { item } = await this.until("conversation.item.retrieved");
      if (item.id === item_id) return item; // the session retrieves as well
    }
  }

  /** Return the words of the last message of a role in the session's history. */
  said(role) {
    const part = this.session.history.findLast((item) => item.role === role).content[0];
    return part.text ?? part.transcript;
  }
}

/** Run a session as the SDK's guide says, and do something in it. */
async function talk(doing, { key = KEY, text = false, vad = null, tools = [], config } = {}) {
  const agent = new RealtimeAgent({ name: "Assistant", instructions: "Be brief.", tools });
  const session = new RealtimeSession(agent, {
    transport: new OpenAIRealtimeWebSocket({ useInsecureApiKey: true }),
    model: "gpt-realtime",
    tracingDisabled: true,
    config: config ?? {
      outputModalities: text ? ["text"] : ["audio"],
      audio: { input: { transcription: { model: "whisper-1" }, turnDetection: vad } },
    },
  });
  const user = new Talk(session);
  await session.connect({ apiKey: key, url: `${URL_}?model=gpt-realtime` });
  try {
    if (IN_BROWSER) expect(socketOf(session).protocol === "realtime", socketOf(session).protocol);
    return await doing(user);
  } finally {
    session.close();
  }
}

const socketOf = (session) => session.transport.connectionState.websocket;

const checks = {
  connect: () =>
    talk(async (user) => {
      const { session } = await user.until("session.created");
      expect(session.model === "gpt-realtime", session);
    }),

  "wrong key": async () => {
    const error = await talk(async () => null, { key: "sk-wrong" }).catch((error) => error);
    expect(String(error?.message).includes("401"), String(error?.message));
  },

  "browser key": async () => {
    const browser = fileURLToPath(new URL("browser.mjs", import.meta.url));
    const options = ["--conditions=browser", "--import", browser];
    const script = fileURLToPath(import.meta.url);
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...options,
      script,
      "text turn",
    ]);
    const { ok, detail } = JSON.parse(stdout.trim().split("\n").at(-1));
    expect(ok, detail);
  },

  "session update": () =>
    talk(
      async (user) => {
        let session;
        do session = (await user.until("session.updated")).session;
        while (session.instructions !== "Be brief.");
        expect(session.audio.input.turn_detection.silence_duration_ms === 300, session);
        const other = new RealtimeAgent({
          name: "Other",
          instructions: "Be kind.",
          tools: [weather],
        });
        await user.session.updateAgent(other);
        do session = (await user.until("session.updated")).session;
        while (session.instructions !== "Be kind.");
        expect(session.tools.map(({ name }) => name).join() === "get_weather", session.tools);
      },
      { vad: VAD },
    ),

  "text turn": () =>
    talk(
      async (user) => {
        user.session.sendMessage("Hello there");
        await user.until("response.done");
        expect(user.said("user") === "Hello there", user.session.history);
        expect(user.said("assistant") === "You said: Hello there", user.session.history);
        expect(user.session.usage.outputTokens > 0, user.session.usage);
      },
      { text: true },
    ),

  "audio turn": () =>
    talk(
      async (user) => {
        user.hear(speech("hello", 8000));
        await user.until("response.done");
        const words = "Hello, can you hear me?";
        expect(user.said("user") === words, user.session.history);
        expect(user.said("assistant") === `You said: ${words}`, user.session.history);
        expect(Buffer.concat(user.pieces).length > 1000 * BYTES_PER_MS, user.pieces.length);
      },
      { config: {} }, // as the SDK would have it: semantic_vad
    ),

  "push to talk": () =>
    talk(async (user) => {
      user.hear(speech("weather_paris"), { commit: true });
      await user.until("conversation.item.input_audio_transcription.completed");
      expect(!user.types().includes("response.created"), user.types());
      user.session.transport.requestResponse();
      await user.until("response.done");
      expect(user.said("user") === "What is the weather in Paris today?", user.session.history);
      expect(user.said("assistant").includes("Paris"), user.session.history);
    }),

  "tool call": () =>
    talk(
      async (user) => {
        const called = [];
        user.session.on("agent_tool_end", (_context, _agent, { name }, result, { toolCall }) =>
          called.push({ name, result, given: JSON.parse(toolCall.arguments) }),
        );
        user.session.sendMessage("What is the weather in Paris?");
        await user.until("response.done");
        await user.until("response.done");
        const result = JSON.stringify({ weather: "sunny in Paris" });
        const expected = [{ name: "get_weather", result, given: { city: "Paris" } }];
        expect(equals(called, expected), called);
        expect(user.said("assistant") === "sunny in Paris", user.session.history);
      },
      { text: true, tools: [weather] },
    ),

  cancel: () =>
    talk(async (user) => {
      await user.startStory();
      user.session.interrupt();
      const done = (await user.until("response.done")).response;
      expect(done.status === "cancelled", done);
      expect(done.status_details.reason === "client_cancelled", done);
      expect(user.interruptions === 1, user.interruptions);
    }),

  "barge-in": () =>
    talk(
      async (user) => {
        const id = await user.startStory();
        user.hear(speech("hello"));
        const cut = (await user.until("response.done")).response;
        expect(cut.status === "cancelled", cut);
        expect(cut.status_details.reason === "turn_detected", cut);
        const heard = user.joined("response.output_audio_transcript.delta");
        const truncated = await user.until("conversation.item.truncated"); // the session's doing
        expect(truncated.item_id === id && truncated.audio_end_ms > 400, truncated);
        expect(user.interruptions === 1, user.interruptions);
        await user.until("response.done");
        expect(user.said("assistant").endsWith("can you hear me?"), user.session.history);
        const kept = (await user.retrieve(id)).content[0].transcript;
        expect(kept && heard.startsWith(kept) && kept.length < heard.length, kept);
      },
      { vad: VAD },
    ),

  truncate: () =>
    talk(async (user) => {
      user.session.sendMessage(LONG);
      const item = (await user.until("response.done")).response.output[0];
      const whole = item.content[0].transcript;
      user.session.interrupt(); // the speaker still plays what came faster than real time
      const truncated = await user.until("conversation.item.truncated");
      expect(truncated.item_id === item.id && truncated.audio_end_ms > 400, truncated);
      const kept = (await user.retrieve(item.id)).content[0].transcript;
      expect(kept && whole.startsWith(kept) && kept.length < whole.length, kept);
    }),

  delete: () =>
    talk(
      async (user) => {
        const content = [{ type: "input_text", text: "Forget this" }];
        user.send({
          type: "conversation.item.create",
          item: { type: "message", role: "user", content },
        });
        const { item } = await user.until("conversation.item.done");
        user.session.updateHistory((history) => history.filter(({ itemId }) => itemId !== item.id));
        const deleted = await user.until("conversation.item.deleted");
        expect(deleted.item_id === item.id, deleted);
        expect(user.session.history.length === 0, user.session.history);
        user.session.transport.requestResponse();
        await user.until("response.done");
        expect(user.said("assistant") === "I am listening.", user.session.history);
      },
      { text: true },
    ),

  retrieve: () =>
    talk(async (user) => {
      user.session.sendMessage("Remember this");
      const spoken = (await user.until("response.done")).response.output[0];
      const part = (await user.retrieve(spoken.id)).content[0];
      expect(part.transcript === "You said: Remember this", part.transcript);
      const audio = Buffer.from(part.audio, "base64");
      expect(audio.equals(Buffer.concat(user.pieces)), "the audio that was sent");
    }),

  "out of band": () =>
    talk(
      async (user) => {
        const content = [{ type: "input_text", text: "An aside" }];
        user.session.transport.requestResponse({
          conversation: "none",
          metadata: { topic: "aside" },
          input: [{ type: "message", role: "user", content }],
        });
        const done = (await user.until("response.done")).response;
        expect(equals(done.metadata, { topic: "aside" }), done);
        expect(done.conversation_id === null, done);
        expect(done.output[0].content[0].text === "You said: An aside", done);
        const beside = user.types().filter((type) => type.startsWith("conversation.item"));
        expect(beside.length === 0, beside);
        user.session.sendMessage("The conversation");
        await user.until("response.done");
        expect(user.said("assistant") === "You said: The conversation", user.session.history);
      },
      { text: true },
    ),

  "bad event": () =>
    talk(
      async (user) => {
        const turn_detection = { type: "server_vad", threshold: "loud" };
        const session = { type: "realtime", audio: { input: { turn_detection } } };
        user.send({ type: "session.update", event_id: "wrong_1", session });
        const { error } = await user.until("error");
        expect(error.type === "invalid_request_error" && error.code === "invalid_type", error);
        expect(error.param === "session.audio.input.turn_detection.threshold", error);
        expect(error.event_id === "wrong_1", error);
        user.session.sendMessage("Still there?");
        await user.until("response.done");
        expect(user.said("assistant") === "You said: Still there?", user.session.history);
        expect(user.errors.length === 1, user.errors);
      },
      { text: true },
    ),

  "event types": async () => {
    const unread = received.filter(
      (event) => parseRealtimeEvent({ data: JSON.stringify(event) }).isGeneric,
    );
    expect(received.length > 0 && unread.length === 0, unread);
  },
};

await drive("@openai/agents-realtime", checks);
