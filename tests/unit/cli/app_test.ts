import assert from "node:assert/strict";
import { VERBS } from "../../../lib/cli/app.ts";
import { EXIT_CODES } from "../../../lib/errors.ts";
import { WIRE_PROTOCOL } from "../../../lib/version.ts";
import { call, checkRows, refused } from "./harness.ts";

Deno.test("no arguments, help and --help print the same page on stdout", async () => {
  const page = (await call([])).stdout;
  for (const name of [...Object.keys(VERBS), "help"]) {
    assert.match(page, new RegExp(`^ {2}${name} +\\S`, "m"));
  }
  for (const argv of [[], ["help"], ["--help"], ["-h"], ["help", "--help"], ["help", "help"]]) {
    const { code, stdout, stderr, opened } = await call(argv);
    assert.deepEqual([code, stdout, stderr, opened], [0, page, "", 0], argv.join(" "));
  }
});

Deno.test("--version and -V print the version only", async () => {
  for (const argv of [["--version"], ["-V"], ["-V", "x"]]) {
    const { code, stdout, stderr, opened } = await call(argv);
    assert.deepEqual([code, stdout, stderr, opened], [0, "1.2.3\n", "", 0]);
  }
});

Deno.test("--version --json tells what runs here, before any agent is installed", async () => {
  for (const argv of [["--version", "--json"], ["-V", "--json"]]) {
    const { code, stdout, stderr, opened } = await call(argv);
    assert.deepEqual([code, stderr, opened], [0, "", 0]);
    assert.deepEqual(JSON.parse(stdout), {
      version: "1.2.3",
      protocol: WIRE_PROTOCOL,
      build: "compiled",
      target: Deno.build.target,
      deno: Deno.version.deno,
      agents: { claude: null, codex: null },
    });
  }
});

Deno.test("help <command>, <command> --help and -h print the same page", async (t) => {
  for (const name of Object.keys(VERBS)) {
    await t.step(name, async () => {
      const { code, stdout, stderr, asked } = await call(["help", ...name.split(" ")]);
      assert.deepEqual([code, stderr, asked], [0, "", []]);
      assert.match(stdout, new RegExp(`^USAGE\n  dev-sessions ${name}( |\n)`));
      assert.match(stdout, /\nExamples:\n/);
      assert.doesNotMatch(stdout, /default = false/);
      assert.equal((await call([...name.split(" "), "--help"])).stdout, stdout);
      // A word after a verb that has others below it would be one of them.
      if (name === "gateway") return;
      assert.equal((await call([...name.split(" "), "fizz-top", "-h"])).stdout, stdout);
    });
  }
});

Deno.test("help exit-codes lists every code once", async () => {
  const { code, stdout } = await call(["help", "exit-codes"]);
  const listed = [...stdout.matchAll(/^ *(\d+) {2}\S/gm)].map(([, number]) => Number(number));
  assert.equal(code, 0);
  assert.deepEqual(listed, [0, ...Object.values(EXIT_CODES)].sort((a, b) => a - b));
});

Deno.test("each verb of the page carries its own brief", async (t) => {
  for (const [name, { brief, load }] of Object.entries(VERBS)) {
    await t.step(name, async () => assert.equal((await load()).command.brief, brief));
  }
});

Deno.test("what can't be understood is said once, on stderr, with exit code 2", async (t) => {
  await checkRows(t, [
    ...refused([
      [["lsit"], "error: unknown command 'lsit'"],
      [["constructor"], "error: unknown command 'constructor'"],
      [["__proto__"], "error: unknown command '__proto__'"],
      [[""], "error: unknown command ''"],
      [["--version", "--jsn"], "error: unknown option '--jsn'"],
      [["help", "create", "list"], "error: too many arguments for 'help'. Expected 1 argument but got 2."],
    ]),
    {
      name: "an option before the command",
      argv: ["--json", "list"],
      code: 2,
      stdout: "",
      stderr: /^\{"error":\{"code":"usage","message":"error: unknown option '--json'"/,
    },
    {
      name: "an unknown command with a suggestion",
      argv: ["lsit"],
      code: 2,
      stdout: "",
      stderr: "error: unknown command 'lsit'\n  (Did you mean list?)\n  See: dev-sessions help\n",
    },
    {
      name: "an unknown option with a suggestion",
      argv: ["create", "--agent-ar", "x"],
      code: 2,
      stdout: "",
      stderr:
        "error: unknown option '--agent-ar'\n  (Did you mean --agent-arg?)\n  See: dev-sessions help create\n",
    },
    {
      name: "an unknown short option",
      argv: ["list", "-x"],
      code: 2,
      stdout: "",
      stderr: "error: unknown option '-x'\n  See: dev-sessions help list\n",
    },
    {
      name: "an option given twice",
      argv: ["create", "-d", "a", "-d", "b"],
      code: 2,
      stdout: "",
      stderr: "error: option '--description <text>' given more than once\n  See: dev-sessions help create\n",
    },
    {
      name: "several mistakes",
      argv: ["wait", "fizz-top", "-t", "x", "-i", "y"],
      code: 2,
      stdout: "",
      stderr:
        /^--timeout must be a positive integer\n( {2}.*\n)* {2}--interval must be a positive number\n( {2}.*\n)*$/,
    },
    {
      name: "as JSON",
      argv: ["list", "--json", "x"],
      code: 2,
      stdout: "",
      stderr: '{"error":{"code":"usage","message":"error: too many arguments for \'list\'. ' +
        'Expected 0 arguments but got 1.","exitCode":2,"detail":"See: dev-sessions help list"}}\n',
    },
    {
      name: "help of an unknown command",
      argv: ["help", "wiat"],
      code: 2,
      stdout: "",
      stderr: "error: unknown command 'wiat'\n  (Did you mean wait?)\n  See: dev-sessions help\n",
    },
  ]);
});

Deno.test("an unexpected error is one line without a stack, unless asked for", async () => {
  const status = () => Promise.reject(new TypeError("x is undefined"));
  const plain = await call(["status", "fizz-top"], { service: { status } });
  assert.equal(plain.code, 1);
  assert.equal(
    plain.stderr,
    "dev-sessions failed unexpectedly: x is undefined. Please run again with DEV_SESSIONS_DEBUG=1 to see where\n",
  );
  assert.equal(plain.closed, 1);
  const debug = await call(["status", "fizz-top"], { service: { status }, env: { DEV_SESSIONS_DEBUG: "1" } });
  assert.match(debug.stderr, /TypeError: x is undefined\n +at /);
});
