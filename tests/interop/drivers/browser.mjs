// The WebSocket of a browser, for clients that look for it: `node --import ./browser.mjs …`.

import { WebSocket } from "../node_modules/ws/wrapper.mjs"; // by path: to browsers it gives nothing

globalThis.WebSocket = WebSocket;
