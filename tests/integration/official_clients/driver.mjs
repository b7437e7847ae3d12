// Drives an official TypeScript client for the tests: one JSON command per line on standard
// input, one JSON answer per line on standard output.
//
// Arguments: folder with node_modules, generation (v1 | v2), transport (http | websocket),
// mode (legacy | auto | pinned), URL, and optionally a bearer token.
//
// Commands: {"do": "connect" | "tools" | "call" | "begin" | "abandon" | "close", ...}.
// `begin` starts a call and answers at once; `abandon` cancels it and answers when it ended.

import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

const [folder, generation, transportName, mode, url, key] = process.argv.slice(2);
const load = createRequire(path.join(path.resolve(folder), "package.json"));
const PINNED = "2026-07-28";

function v2() {
  const sdk = load("@modelcontextprotocol/client");
  const negotiation = mode === "pinned" ? { mode: { pin: PINNED } } : { mode };
  const client = new sdk.Client(
    { name: "official-v2", version: "1" },
    { versionNegotiation: negotiation },
  );
  return { client, transport: new sdk.StreamableHTTPClientTransport(new URL(url), headers()) };
}

function v1() {
  const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
  const client = new Client({ name: "official-v1", version: "1" });
  if (transportName === "websocket") {
    const { WebSocketClientTransport } = load("@modelcontextprotocol/sdk/client/websocket.js");
    return { client, transport: new WebSocketClientTransport(new URL(url)) };
  }
  const http = load("@modelcontextprotocol/sdk/client/streamableHttp.js");
  return { client, transport: new http.StreamableHTTPClientTransport(new URL(url), headers()) };
}

function headers() {
  return key ? { requestInit: { headers: { Authorization: `Bearer ${key}` } } } : {};
}

const { client, transport } = generation === "v2" ? v2() : v1();
let running;
let controller;

function call({ tool, arguments: given, progress }, signal) {
  const pieces = [];
  const options = { signal, timeout: 60_000 };
  if (progress) options.onprogress = (notice) => pieces.push(notice.message ?? "");
  const params = { name: tool, arguments: given };
  const answer =
    generation === "v2" ? client.callTool(params, options) : client.callTool(params, undefined, options);
  return answer.then((result) => ({
    text: (result.content ?? []).map((part) => part.text ?? "").join(""),
    structured: result.structuredContent ?? null,
    failed: result.isError ?? false,
    progress: pieces,
  }));
}

const commands = {
  async connect() {
    await client.connect(transport);
    return { server: client.getServerVersion() ?? null, capabilities: client.getServerCapabilities() };
  },
  async tools() {
    const { tools } = await client.listTools();
    return { tools: tools.map((tool) => tool.name) };
  },
  call: (command) => call(command),
  async begin(command) {
    controller = new AbortController();
    running = call(command, controller.signal).then(
      () => "answered",
      () => "ended",
    );
    return {};
  },
  async abandon() {
    controller.abort("the test cancels");
    return { call: await running };
  },
  async close() {
    await client.close();
    return {};
  },
};

function failure(error) {
  return { code: error.code ?? null, message: String(error.message ?? error), data: error.data ?? null };
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = { ok: await commands[command.do](command) };
  } catch (error) {
    answer = { error: failure(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  if (command.do === "close") process.exit(0);
}
