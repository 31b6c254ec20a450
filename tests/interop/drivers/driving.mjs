// What every driver in JavaScript shares; `driving.py` tells what a driver is.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";

export const URL_ = process.env.INTEROP_URL;
export const KEY = process.env.INTEROP_KEY;

const CHECK_MS = 15_000;
export const BYTES_PER_MS = 48; // of PCM16, 24 kHz, mono

export const WEATHER = {
  type: "function",
  name: "get_weather",
  description: "Get the weather of a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
  },
};

/** Fail a check unless the claim holds, saying what was found instead. */
export function expect(claim, what) {
  if (!claim) throw new Error(`found ${JSON.stringify(what)}`);
}

export const equals = isDeepStrictEqual;

/** Return a recording, and the silence after it. */
export function speech(name, silenceMs = 800) {
  const file = readFileSync(join(process.env.INTEROP_AUDIO, `${name}.wav`));
  const start = file.indexOf("data", 12, "latin1") + 8;
  return Buffer.concat([file.subarray(start), Buffer.alloc(silenceMs * BYTES_PER_MS)]);
}

/** Cut audio as a microphone would. */
export function* frames(pcm, ms = 20) {
  const step = ms * BYTES_PER_MS;
  for (let start = 0; start < pcm.length; start += step) {
    yield pcm.subarray(start, start + step);
  }
}

/** Everything that a connection has told, in order, and a way to wait for more. */
export class Log {
  events = [];
  #seen = 0;
  #wake = () => {};

  add(event) {
    this.events.push(event);
    this.#wake();
  }

  /** Return the next event of a type. */
  async until(type) {
    for (;;) {
      while (this.#seen < this.events.length) {
        const event = this.events[this.#seen++];
        if (event.type === type) return event;
      }
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  types() {
    return this.events.map((event) => event.type);
  }

  /** Return the deltas of a type. */
  deltas(type) {
    return this.events.filter((event) => event.type === type).map((event) => event.delta);
  }

  joined(type) {
    return this.deltas(type).join("");
  }

  audio(type) {
    return Buffer.concat(this.deltas(type).map((delta) => Buffer.from(delta, "base64")));
  }
}

/** Tell the version, run the checks or those named on the command line, tell how each went. */
export async function drive(name, checks) {
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest));
  console.log(JSON.stringify({ package: name, version }));
  const asked = Object.keys(checks).filter((name) => process.argv.includes(name));
  for (const check of asked.length ? asked : Object.keys(checks)) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("the check took too long")), CHECK_MS);
    });
    let ok = true;
    let detail = "";
    try {
      await Promise.race([checks[check](), late]);
    } catch (error) {
      ok = false;
      detail = String(error?.stack ?? error);
    } finally {
      clearTimeout(timer);
    }
    console.log(JSON.stringify({ check, ok, detail }));
  }
  process.exit(0); // whatever a failed check left open
}
