/**
 * Writes `backends/codex/protocol/`: of the types that the pinned Codex generates, those that the backend uses.
 * Run it with: deno task codex:protocol
 */

import { join } from "node:path";
import { CODEX_VERSION, ensureCodex } from "./agent_install.ts";

/** Client requests that the backend sends. */
const REQUESTS = [
  "initialize",
  "server/diagnostics",
  "thread/start",
  "thread/resume",
  "thread/read",
  "thread/list",
  "thread/loaded/list",
  "thread/turns/list",
  "thread/items/list",
  "thread/archive",
  "thread/unarchive",
  "thread/unsubscribe",
  "thread/name/set",
  "thread/goal/set",
  "thread/goal/get",
  "thread/goal/clear",
  "thread/queue/add",
  "thread/queue/list",
  "thread/queue/update",
  "thread/queue/delete",
  "thread/queue/reorder",
  "thread/queue/start",
  "thread/settings/update",
  "thread/backgroundTerminals/clean",
  "turn/start",
  "turn/steer",
  "turn/interrupt",
];
/** Notifications that the backend reads; every other one is refused at `initialize`. */
const NOTIFICATIONS = [
  "error",
  "serverRequest/resolved",
  "turn/started",
  "turn/completed",
  "item/started",
  "item/completed",
  "thread/started",
  "thread/status/changed",
  "thread/closed",
  "thread/archived",
  "thread/unarchived",
  "thread/deleted",
  "thread/name/updated",
  "thread/settings/updated",
  "thread/tokenUsage/updated",
  "thread/goal/updated",
  "thread/goal/cleared",
  "thread/queue/changed",
];
/** Requests of the server that the backend answers. */
const SERVER_REQUESTS = [
  "item/commandExecution/requestApproval",
  "item/fileChange/requestApproval",
  "item/permissions/requestApproval",
  "item/tool/requestUserInput",
];

const HEADER = `// Generated from codex-cli ${CODEX_VERSION} by: deno task codex:protocol. Do not edit.
// deno-lint-ignore-file
`;
export const PROTOCOL_FOLDER = join(import.meta.dirname ?? "", "..", "..", "backends", "codex", "protocol");

interface Declaration {
  readonly name: string;
  readonly text: string;
  /** Modules, as the keys of `Declarations`. */
  readonly needs: readonly string[];
}
/** By module: `v2/Thread`. */
type Declarations = ReadonlyMap<string, Declaration>;

/** The generated type of each file below the folder. */
async function declarationsIn(root: string, below = ""): Promise<Map<string, Declaration>> {
  const found = new Map<string, Declaration>();
  for await (const entry of Deno.readDir(join(root, below))) {
    if (entry.isDirectory) {
      const inner = await declarationsIn(root, join(below, entry.name));
      for (const [module, declaration] of inner) found.set(module, declaration);
      continue;
    }
    const name = entry.name.replace(/\.ts$/, "");
    if (name === "index") continue;
    const source = await Deno.readTextFile(join(root, below, entry.name));
    const needs = [...source.matchAll(/^import type \{ \w+ \} from "(.+)";$/gm)].map((match) =>
      join(below, match[1]!)
    );
    const text = source.replace(/^import type .*\n/gm, "").replace(/^\/\/.*\n/gm, "").trim();
    found.set(join(below, name), { name, text, needs });
  }
  return found;
}

/** `method` -> name of its parameter type, in a union of `{ "method": ..., params: ... }`. */
function methodsOf(declarations: Declarations, union: string): Map<string, string> {
  const text = declarations.get(union)?.text ?? "";
  const found = new Map<string, string>();
  for (const match of text.matchAll(/"method": "([^"]+)"[^}]*?\bparams"?\??: (\w+)/g)) {
    found.set(match[1]!, match[2]!);
  }
  return found;
}

/** The declarations of these types and of all that they need; of two namesakes, the older is renamed. */
function withNeeds(declarations: Declarations, roots: readonly string[]): string[] {
  const kept = new Map<string, Declaration>();
  const open = roots.map((name) => declarations.has(`v2/${name}`) ? `v2/${name}` : name);
  for (let module = open.pop(); module !== undefined; module = open.pop()) {
    if (kept.has(module)) continue;
    const declaration = declarations.get(module);
    if (declaration === undefined) throw new Error(`Codex ${CODEX_VERSION} generates no type ${module}`);
    kept.set(module, declaration);
    open.push(...declaration.needs);
  }
  const renamed = (module: string) => kept.has(`v2/${module}`) ? `${kept.get(module)!.name}V1` : null;
  return [...kept].map(([module, { text, needs }]) => {
    let own = text;
    for (const used of [module, ...needs]) {
      const name = renamed(used);
      if (name !== null) own = own.replaceAll(new RegExp(`\\b${kept.get(used)!.name}\\b`, "g"), name);
    }
    return { name: declarations.get(module)!.name, own };
  }).sort((a, b) => a.name < b.name ? -1 : 1).map(({ own }) => own + "\n");
}

function chosen(all: ReadonlyMap<string, string>, methods: readonly string[]): [string, string][] {
  return methods.map((method) => {
    const params = all.get(method);
    if (params === undefined) throw new Error(`Codex ${CODEX_VERSION} has no method ${method}`);
    return [method, params];
  });
}

const response = (params: string) => params.replace(/Params$/, "Response");

function table(name: string, doc: string, rows: readonly string[]): string {
  return `/** ${doc} */\nexport interface ${name} {\n${rows.map((row) => `  ${row};\n`).join("")}}\n`;
}

/** The files of the folder, by name, not formatted yet. */
function render(declarations: Declarations): Map<string, string> {
  const requests = chosen(methodsOf(declarations, "ClientRequest"), REQUESTS);
  const allNotifications = methodsOf(declarations, "ServerNotification");
  const notifications = chosen(allNotifications, NOTIFICATIONS);
  const serverRequests = chosen(methodsOf(declarations, "ServerRequest"), SERVER_REQUESTS);
  const roots = [
    ...requests.flatMap(([, params]) => [params, response(params)]),
    ...notifications.map(([, params]) => params),
    ...serverRequests.flatMap(([, params]) => [params, response(params)]),
  ];
  const types = withNeeds(declarations, roots);
  const both = ([method, params]: [string, string]) =>
    `"${method}": { params: ${params}; result: ${response(params)} }`;
  const tables = [
    table("ClientRequests", "What we may ask the server, and its answers.", requests.map(both)),
    table("ServerRequests", "What the server asks us, and our answers.", serverRequests.map(both)),
    table(
      "ServerNotifications",
      "What the server tells us.",
      notifications.map(([method, params]) => `"${method}": ${params}`),
    ),
  ];
  const unread = [...allNotifications.keys()].filter((method) => !NOTIFICATIONS.includes(method)).sort();
  return new Map([
    ["types.ts", [HEADER, ...tables, ...types].join("\n")],
    [
      "unread_notifications.ts",
      `${HEADER}\n/** What the server could tell us and we don't read. */\n` +
      `export const UNREAD_NOTIFICATIONS = ${JSON.stringify(unread)};\n`,
    ],
  ]);
}

async function run(program: string, args: readonly string[], env: Record<string, string>): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot run ${program} ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}

/** Writes the files into a folder, as `deno fmt` wants them. */
export async function writeProtocol(folder: string): Promise<void> {
  const codex = await ensureCodex();
  const work = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(work, "home"));
    const generated = join(work, "types");
    await run(codex, ["app-server", "generate-ts", "--experimental", "--out", generated], {
      CODEX_HOME: join(work, "home"),
    });
    await Deno.mkdir(folder, { recursive: true });
    const config = join(import.meta.dirname ?? "", "..", "..", "deno.json");
    for (const [name, text] of render(await declarationsIn(generated))) {
      const path = join(folder, name);
      await Deno.writeTextFile(path, text);
      await run(Deno.execPath(), ["fmt", "--quiet", "--config", config, path], { NO_COLOR: "1" });
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

if (import.meta.main) await writeProtocol(PROTOCOL_FOLDER);
