// OpenAI's JavaScript SDK: `node openai_sdk.mjs ga|beta [CHECK ...]`.
// It has one method for what a client says, `send`, and builds `wss:` addresses only.

import OpenAI from "openai";
import { OpenAIRealtimeWS as BetaWS } from "openai/beta/realtime/ws";
import { OpenAIRealtimeWebSocket as BetaWebSocket } from "openai/beta/realtime/websocket";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { WebSocket } from "ws";

import { drive, equals, expect, frames, KEY, Log, speech, URL_, WEATHER } from "./driving.mjs";

const IS_GA = process.argv[2] === "ga";
const MODEL = IS_GA ? "gpt-realtime" : "gpt-4o-realtime-preview";
const TEXT = IS_GA ? "response.output_text" : "response.text";
const SPEECH = IS_GA ? "response.output_audio" : "response.audio";
const PLACED = IS_GA ? "conversation.item.done" : "conversation.item.created";
const WORDS_OF = {
  hello: "Hello, can you hear me?",
  weather_paris: "What is the weather in Paris today?",
};
const TRANSCRIBED = "conversation.item.input_audio_transcription.completed";
const VAD = { type: "server_vad", silence_duration_ms: 300 };

function settings({ text = false, vad = null, ...others } = {}) {
  const transcription = { model: "whisper-1" };
  return IS_GA
    ? {
        type: "realtime",
        output_modalities: text ? ["text"] : ["audio"],
        audio: { input: { transcription, turn_detection: vad } },
        ...others,
      }
    : {
        modalities: text ? ["text"] : ["text", "audio"],
        input_audio_transcription: transcription,
        turn_detection: vad,
        ...others,
      };
}

const says = (text) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const detection = (session) =>
  IS_GA ? session.audio.input.turn_detection : session.turn_detection;

/** One connection, and everything it has received. */
class Talk extends Log {
  constructor(rt) {
    super();
    this.rt = rt;
    rt.on("event", (event) => this.add(event));
    rt.on("error", () => {}); // kept as an event
  }

  async configure(config) {
    this.rt.send({ type: "session.update", session: settings(config) });
    return (await this.until("session.updated")).session;
  }

  async say(text) {
    this.rt.send({ type: "conversation.item.create", item: says(text) });
    return (await this.until(PLACED)).item;
  }

  async answer(response) {
    this.rt.send({ type: "response.create", ...(response && { response }) });
    return (await this.until("response.done")).response;
  }

  hear(pcm) {
    for (const frame of frames(pcm)) {
      this.rt.send({ type: "input_audio_buffer.append", audio: frame.toString("base64") });
    }
  }

  /** Have a long answer spoken; return its item id once a second of it has come. */
  async startStory() {
    await this.say("Tell me a long story");
    this.rt.send({ type: "response.create" });
    let delta;
    do delta = await this.until(`${SPEECH}.delta`);
    while (this.audio(`${SPEECH}.delta`).length < 48_000);
    return delta.item_id;
  }

  truncate(item_id, audio_end_ms) {
    this.rt.send({ type: "conversation.item.truncate", item_id, content_index: 0, audio_end_ms });
  }

  async retrieve(item_id) {
    this.rt.send({ type: "conversation.item.retrieve", item_id });
    return (await this.until("conversation.item.retrieved")).item;
  }
}

/** Return the SDK's client, pointed at the server. */
function makeClient(key) {
  const baseURL = URL_.replace("wss:", "https:").replace(/\/realtime$/, "");
  return new OpenAI({ apiKey: key, baseURL });
}

/** Open a connection with one of the SDK's classes, and do something over it. */
async function talk(
  doing,
  { key = KEY, target = { model: MODEL }, Socket = IS_GA ? OpenAIRealtimeWS : BetaWS } = {},
) {
  const rt = new Socket({ ...target, dangerouslyAllowBrowser: true }, makeClient(key));
  const user = new Talk(rt);
  await new Promise((resolve, reject) => {
    rt.socket.addEventListener("open", resolve);
    rt.on("error", reject);
  });
  try {
    return await doing(user);
  } finally {
    rt.close();
  }
}

const checks = {
  connect: () =>
    talk(async (user) => {
      const { session } = await user.until("session.created");
      expect(session.model === MODEL, session);
    }),

  "wrong key": async () => {
    const error = await talk(async () => null, { key: "sk-wrong" }).catch((error) => error);
    expect(String(error).includes("401"), String(error));
  },

  "browser key": async () => {
    globalThis.WebSocket = WebSocket; // as browsers and later versions of Node have it
    const Socket = IS_GA ? OpenAIRealtimeWebSocket : BetaWebSocket;
    await talk(
      async (user) => {
        expect(user.rt.socket.protocol === "realtime", user.rt.socket.protocol);
        await user.configure({ text: true });
        await user.say("Hello there");
        const done = await user.answer();
        expect(done.output[0].content[0].text === "You said: Hello there", done);
      },
      { Socket },
    );
    const error = await talk(async () => null, { key: "sk-wrong", Socket }).catch((error) => error);
    expect(error instanceof Error, error);
  },

  "client secret": async () => {
    const client = makeClient(KEY);
    const wanted = { model: MODEL, instructions: "Be brief." };
    let key;
    if (IS_GA) {
      const session = { type: "realtime", ...wanted };
      key = (await client.realtime.clientSecrets.create({ session })).value;
    } else {
      key = (await client.beta.realtime.sessions.create(wanted)).client_secret.value;
    }
    await talk(
      async (user) => {
        const { session } = await user.until("session.created");
        expect(session.instructions === "Be brief.", session);
        await user.configure({ text: true });
        await user.say("Hello there");
        expect((await user.answer()).status === "completed", user.types());
      },
      { key },
    );
  },

  "session update": () =>
    talk(async (user) => {
      let session = await user.configure({
        vad: VAD,
        instructions: "Be brief.",
        tools: [WEATHER],
        tool_choice: "none",
      });
      expect(session.instructions === "Be brief." && session.tool_choice === "none", session);
      expect(detection(session).silence_duration_ms === 300, session);
      session = await user.configure({ instructions: "" });
      expect(detection(session) === null && session.instructions === "", session);
      expect(session.tools[0].name === "get_weather", session);
    }),

  "text turn": () =>
    talk(async (user) => {
      await user.configure({ text: true });
      await user.say("Hello there");
      const done = await user.answer();
      const { text } = done.output[0].content[0];
      expect(done.status === "completed" && done.usage.output_tokens > 0, done);
      expect(text === "You said: Hello there" && text === user.joined(`${TEXT}.delta`), text);
    }),

  "audio turn": () =>
    talk(async (user) => {
      await user.configure({ vad: VAD });
      user.hear(speech("hello"));
      const started = await user.until("input_audio_buffer.speech_started");
      const stopped = await user.until("input_audio_buffer.speech_stopped");
      const committed = await user.until("input_audio_buffer.committed");
      expect(started.audio_start_ms < 1000 && stopped.audio_end_ms > 1000, stopped);
      expect(started.item_id === committed.item_id, committed);
      const done = (await user.until("response.done")).response;
      const said = user.events.find((event) => event.type === TRANSCRIBED);
      expect(said.transcript === "Hello, can you hear me?", said);
      const { transcript } = done.output[0].content[0];
      expect(transcript === user.joined(`${SPEECH}_transcript.delta`), transcript);
      expect(transcript === "You said: Hello, can you hear me?", transcript);
      expect(user.audio(`${SPEECH}.delta`).length > 48_000, "a second of speech at least");
    }),

  "push to talk": () =>
    talk(async (user) => {
      await user.configure();
      user.hear(speech("weather_paris"));
      user.rt.send({ type: "input_audio_buffer.commit" });
      const { item_id } = await user.until("input_audio_buffer.committed");
      const said = await user.until(TRANSCRIBED);
      expect(said.transcript === "What is the weather in Paris today?", said);
      expect(!user.types().includes("response.created"), user.types());
      const done = await user.answer();
      expect(done.output[0].content[0].transcript.includes("Paris"), done);
      const item = await user.retrieve(item_id);
      expect(item.content[0].transcript === said.transcript, item);
    }),

  "tool call": () =>
    talk(async (user) => {
      await user.configure({ text: true, tools: [WEATHER] });
      await user.say("What is the weather in Paris?");
      const call = (await user.answer()).output[0];
      expect(call.type === "function_call" && call.name === "get_weather", call);
      const streamed = user.joined("response.function_call_arguments.delta");
      expect(equals(JSON.parse(streamed), { city: "Paris" }), streamed);
      expect(streamed === call.arguments, call);
      const output = JSON.stringify({ weather: "sunny" });
      user.rt.send({
        type: "conversation.item.create",
        item: { type: "function_call_output", call_id: call.call_id, output },
      });
      const { item } = await user.until(PLACED);
      expect(item.type === "function_call_output" && item.call_id === call.call_id, item);
      const done = await user.answer();
      expect(done.output[0].content[0].text === "sunny", done);
    }),

  cancel: () =>
    talk(async (user) => {
      await user.configure();
      await user.startStory();
      user.rt.send({ type: "response.cancel" });
      const done = (await user.until("response.done")).response;
      expect(done.status === "cancelled", done);
      expect(done.status_details.reason === "client_cancelled", done);
      expect(done.output[0].status === "incomplete", done);
    }),

  "barge-in": () =>
    talk(async (user) => {
      await user.configure({ vad: VAD });
      const id = await user.startStory();
      user.hear(speech("hello"));
      await user.until("input_audio_buffer.speech_started");
      user.truncate(id, 900);
      const cut = (await user.until("response.done")).response;
      expect(cut.status === "cancelled", cut);
      expect(cut.status_details.reason === "turn_detected", cut);
      const heard = user.joined(`${SPEECH}_transcript.delta`);
      const truncated = await user.until("conversation.item.truncated");
      expect(truncated.item_id === id && truncated.audio_end_ms === 900, truncated);
      const answered = (await user.until("response.done")).response;
      expect(answered.output[0].content[0].transcript.endsWith("can you hear me?"), answered);
      const kept = (await user.retrieve(id)).content[0].transcript;
      expect(kept && heard.startsWith(kept) && kept.length < heard.length, kept);
    }),

  truncate: () =>
    talk(async (user) => {
      await user.configure();
      await user.say("One two three four five six");
      const item = (await user.answer()).output[0];
      const whole = item.content[0].transcript;
      user.truncate(item.id, 1000);
      const truncated = await user.until("conversation.item.truncated");
      expect(truncated.item_id === item.id && truncated.content_index === 0, truncated);
      const kept = (await user.retrieve(item.id)).content[0].transcript;
      expect(kept && whole.startsWith(kept) && kept.length < whole.length, kept);
    }),

  delete: () =>
    talk(async (user) => {
      await user.configure({ text: true });
      const item = await user.say("Forget this");
      user.rt.send({ type: "conversation.item.delete", item_id: item.id });
      const deleted = await user.until("conversation.item.deleted");
      expect(deleted.item_id === item.id, deleted);
      const done = await user.answer();
      expect(done.output[0].content[0].text === "I am listening.", done);
    }),

  retrieve: () =>
    talk(async (user) => {
      await user.configure();
      const asked = await user.say("Remember this");
      const kept = await user.retrieve(asked.id);
      expect(kept.role === "user" && kept.content[0].text === "Remember this", kept);
      const spoken = (await user.answer()).output[0];
      const part = (await user.retrieve(spoken.id)).content[0];
      expect(part.transcript === "You said: Remember this", part.transcript);
      const heard = user.audio(`${SPEECH}.delta`);
      expect(heard.equals(Buffer.from(part.audio, "base64")), "the audio that was sent");
    }),

  "out of band": () =>
    talk(async (user) => {
      await user.configure({ text: true });
      await user.say("The conversation");
      const before = user.events.length;
      let done = await user.answer({
        conversation: "none",
        metadata: { topic: "aside" },
        input: [says("An aside")],
      });
      expect(equals(done.metadata, { topic: "aside" }) && done.conversation_id === null, done);
      expect(done.output[0].content[0].text === "You said: An aside", done);
      const beside = user.types().slice(before);
      expect(!beside.some((type) => type.startsWith("conversation.item")), beside);
      done = await user.answer();
      expect(done.output[0].content[0].text === "You said: The conversation", done);
    }),

  transcription: () =>
    talk(
      async (user) => {
        const { session } = await user.until("session.created");
        expect(session.type === "transcription", session);
        const input = { transcription: { model: "whisper-1" }, turn_detection: VAD };
        user.rt.send({
          type: "session.update",
          session: { type: "transcription", audio: { input } },
        });
        await user.until("session.updated");
        for (const name of ["hello", "weather_paris"]) {
          user.hear(speech(name));
          const said = await user.until(TRANSCRIBED);
          expect(said.transcript === WORDS_OF[name], said);
        }
        expect(!user.types().some((type) => type.startsWith("response.")), user.types());
      },
      { target: { intent: "transcription" } },
    ),

  "bad event": () =>
    talk(async (user) => {
      await user.configure({ text: true });
      const vad = { type: "server_vad", threshold: "loud" };
      const session = settings({ text: true, vad });
      user.rt.send({ type: "session.update", event_id: "wrong_1", session });
      const { error } = await user.until("error");
      const at = IS_GA ? "session.audio.input.turn_detection" : "session.turn_detection";
      expect(error.type === "invalid_request_error" && error.code === "invalid_type", error);
      expect(error.param === `${at}.threshold` && error.event_id === "wrong_1", error);
      await user.say("Still there?");
      const done = await user.answer();
      expect(done.output[0].content[0].text === "You said: Still there?", done);
      expect(user.types().filter((type) => type === "error").length === 1, user.types());
    }),
};

if (!IS_GA) delete checks.transcription;
await drive("openai", checks);
