// CopilotKit's aimock, with fixtures for the checks. Prints a line of JSON that says where it is; ends when
// its standard input does.

import { createRequire } from "node:module";
import { LLMock } from "@copilotkit/aimock";

const { version } = createRequire(import.meta.url)("../node_modules/@copilotkit/aimock/package.json");

const mock = new LLMock({ port: 0, host: "127.0.0.1", chunkSize: 8 });
mock.addFixturesFromJSON([
  { match: { hasToolResult: true }, response: { content: "It is sunny." } },
  {
    match: { userMessage: "weather" },
    response: { toolCalls: [{ name: "get_weather", arguments: { city: "Paris" } }] },
  },
  {
    match: { userMessage: "both" },
    response: {
      content: "Let me look.",
      toolCalls: [
        { name: "get_weather", arguments: { city: "Paris" } },
        { name: "get_weather", arguments: { city: "Rome" } },
      ],
    },
  },
  {
    match: { userMessage: "break" },
    response: { error: { message: "The model broke.", type: "server_error", code: "broken" }, status: 500 },
  },
  {
    match: { userMessage: "story" },
    response: { content: "Once upon a time there was a server that hung up." },
    truncateAfterChunks: 3,
  },
  { match: { endpoint: "realtime-transcription" }, response: { transcription: { text: "Hello from the microphone." } } },
  { match: { userMessage: "Hello" }, response: { content: "You said: Hello" } },
]);
await mock.start();
console.log(JSON.stringify({ version, url: `${mock.url.replace("http", "ws")}/v1/realtime` }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
