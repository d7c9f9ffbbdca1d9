/** The configuration file: what it may say, and what is said of everything else. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { parseConfig, readConfig, withDefaults } from "../../lib/config.ts";
import { parseDuration } from "../../lib/duration.ts";
import { AppError } from "../../lib/errors.ts";
import type { CreateRequest } from "../../lib/service.ts";

const FILE = "/home/u/.dev-sessions/config.json";
const USUAL = {
  endIdleAfter: null,
  maxSessions: 50,
  maxDepth: 5,
  gatewayHosts: [],
  defaults: { cli: null, mode: null, model: null },
  docker: {
    image: null,
    args: [],
    env: [],
    claude: "claude",
    codex: "codex",
    gateway: { url: null, tokenFile: null },
  },
};

Deno.test("parseConfig() takes each key by itself, and defaults for the rest", () => {
  const table: [json: unknown, changes: object][] = [
    [{}, {}],
    [{ endIdleAfter: "48h" }, { endIdleAfter: { ms: 172_800_000, text: "48h" } }],
    [{ maxSessions: 1 }, { maxSessions: 1 }],
    [{ maxDepth: 0 }, { maxDepth: 0 }],
    [{ gatewayHosts: ["build.example"] }, { gatewayHosts: ["build.example"] }],
    [{ defaults: {} }, {}],
    [{ defaults: { mode: "native", model: "opus" } }, {
      defaults: { cli: null, mode: "native", model: "opus" },
    }],
    [{ docker: { image: "agents:1", args: ["--cpus", "2"], env: ["GH_TOKEN"], claude: "/opt/claude" } }, {
      docker: {
        ...USUAL.docker,
        image: "agents:1",
        args: ["--cpus", "2"],
        env: ["GH_TOKEN"],
        claude: "/opt/claude",
      },
    }],
    [{ defaults: { cli: "claude" } }, { defaults: { cli: "claude", mode: null, model: null } }],
  ];
  for (const [json, changes] of table) {
    deepStrictEqual(parseConfig(JSON.stringify(json), FILE), { ...USUAL, ...changes });
  }
});

Deno.test("parseConfig() names the key that is wrong and what it may be", () => {
  const keys = "The keys are endIdleAfter, maxSessions, maxDepth, gatewayHosts, defaults, docker";
  const duration = 'It must be a duration such as "30m", "48h" or "7d"';
  const table: [text: string, complaint: string][] = [
    ['{"maxSession": 3}', `there is no key "maxSession". ${keys}`],
    ['{"toString": 3}', `there is no key "toString". ${keys}`],
    ['{"defaults": {"agent": "claude"}}', 'there is no key "defaults.agent". The keys are cli, mode, model'],
    ['{"maxSessions": "many"}', '"maxSessions" is "many". It must be a whole number from 1 on'],
    ['{"maxSessions": 0}', '"maxSessions" is 0. It must be a whole number from 1 on'],
    ['{"maxSessions": 2.5}', '"maxSessions" is 2.5. It must be a whole number from 1 on'],
    ['{"maxDepth": -1}', '"maxDepth" is -1. It must be a whole number from 0 on'],
    ['{"maxDepth": null}', '"maxDepth" is null. It must be a whole number from 0 on'],
    [
      '{"gatewayHosts": ["a", "b:80"]}',
      '"gatewayHosts" is "b:80". It must be a list of names of this machine, without ports, such as ["build.example"]',
    ],
    ['{"endIdleAfter": 48}', `"endIdleAfter" is 48. ${duration}`],
    ['{"endIdleAfter": "48"}', `"endIdleAfter" is "48". ${duration}`],
    ['{"endIdleAfter": "0h"}', `"endIdleAfter" is "0h". ${duration}`],
    ['{"defaults": []}', '"defaults" is []. It must be an object with cli, mode, model'],
    ['{"defaults": "yolo"}', '"defaults" is "yolo". It must be an object with cli, mode, model'],
    [
      '{"defaults": {"mode": "tmux"}}',
      '"defaults.mode" is "tmux". It must be "yolo" or "native" or "docker"',
    ],
    [
      '{"docker": {"img": "x"}}',
      'there is no key "docker.img". The keys are image, args, env, claude, codex, gateway',
    ],
    [
      '{"docker": {"image": "-v"}}',
      '"docker.image" is "-v". It must be the name of an image, such as "my-agents:latest"',
    ],
    [
      '{"docker": {"env": ["A=b"]}}',
      '"docker.env" is "A=b". It must be a list of names of variables, such as ["GH_TOKEN"]',
    ],
    [
      '{"docker": {"args": "--network host"}}',
      '"docker.args" is "--network host". It must be a list of arguments for "docker create", such as ["--network", "host"]',
    ],
    [
      '{"docker": {"gateway": {"tokenFile": "token"}}}',
      '"docker.gateway.tokenFile" is "token". It must be the absolute path of a file that holds a token of the gateway',
    ],
    [
      '{"docker": {"gateway": true}}',
      '"docker.gateway" is true. It must be false, or an object with url, tokenFile',
    ],
    ['{"defaults": {"cli": "gpt"}}', '"defaults.cli" is "gpt". It must be "claude" or "codex"'],
    [
      '{"defaults": {"model": ""}}',
      '"defaults.model" is "". It must be the name of a model, as the agent names it',
    ],
    [
      "[]",
      "it is no JSON object. Its keys may be endIdleAfter, maxSessions, maxDepth, gatewayHosts, defaults, docker",
    ],
    [
      "3",
      "it is no JSON object. Its keys may be endIdleAfter, maxSessions, maxDepth, gatewayHosts, defaults, docker",
    ],
  ];
  for (const [text, complaint] of table) {
    throws(() => parseConfig(text, FILE), {
      name: "AppError",
      code: "failure",
      message: `Cannot use the configuration "${FILE}": ${complaint}`,
    }, text);
  }
  for (const text of ["", "{", '{"maxDepth": 1,}', "maxDepth: 1"]) {
    throws(
      () => parseConfig(text, FILE),
      (error) =>
        error instanceof AppError &&
        /^Cannot use the configuration ".*config\.json": it is not valid JSON \(.+\)\. Correct or remove it$/
          .test(error.message),
      text,
    );
  }
});

Deno.test("readConfig() takes a missing file for the defaults, and one that can't be read for an error", () => {
  const folder = Deno.makeTempDirSync({ prefix: "ds-config-" });
  try {
    deepStrictEqual(readConfig(`${folder}/config.json`), USUAL);
    Deno.writeTextFileSync(`${folder}/config.json`, '{"maxSessions": 7}');
    strictEqual(readConfig(`${folder}/config.json`).maxSessions, 7);
    throws(() => readConfig(folder), /^AppError: Cannot use the configuration ".*": .*\. Make it readable/);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("withDefaults() fills in only what the request leaves open", () => {
  const open = { agent: null, mode: null, model: null, path: "/work" } as CreateRequest;
  const defaults = { cli: "claude", mode: "native", model: "opus" } as const;
  const choices = (request: CreateRequest, given: Parameters<typeof withDefaults>[1]["defaults"]) => {
    const { agent, mode, model } = withDefaults(request, { defaults: given });
    return { agent, mode, model };
  };
  deepStrictEqual(choices(open, USUAL.defaults), { agent: "claude", mode: "yolo", model: null });
  deepStrictEqual(choices(open, defaults), { agent: "claude", mode: "native", model: "opus" });
  deepStrictEqual(choices({ ...open, mode: "yolo", model: "haiku" }, defaults), {
    agent: "claude",
    mode: "yolo",
    model: "haiku",
  });
});

Deno.test("parseDuration() reads minutes, hours and days, and nothing else", () => {
  const table: [text: string, ms: number | null][] = [
    ["1m", 60_000],
    ["48h", 172_800_000],
    ["7d", 604_800_000],
    ["0m", null],
    ["1w", null],
    ["1", null],
    ["h", null],
    ["1.5h", null],
    ["-1h", null],
    [" 1h", null],
    ["1h ", null],
    ["1H", null],
    ["99999999999999999d", null],
    ["1toString", null],
    ["", null],
  ];
  deepStrictEqual(table.map(([text]) => [text, parseDuration(text)]), table);
});
