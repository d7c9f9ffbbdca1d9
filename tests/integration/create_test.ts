/** `create` returns when the agent accepts input; when it never will, it says why and leaves nothing. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { testAtOnce } from "../support/concurrent_steps.ts";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import {
  agentPid,
  argumentsOf,
  assertNothingLeft,
  created,
  json,
  rows,
  sessionFolders,
  tmuxSessions,
} from "../support/sandbox_state.ts";

/** Arguments of the agent itself, after the stub's program. */
function agentArguments(sandbox: Sandbox, id: string): string[] {
  const all = argumentsOf(agentPid(sandbox, id));
  return all.slice(all.findIndex((argument) => argument.endsWith("stub_agent.ts")) + 1);
}

/** A PATH with these programs only, for what is not installed. */
async function pathWith(sandbox: Sandbox, ...programs: string[]): Promise<string> {
  const folder = await sandbox.folder(`only-${programs.join("-")}`);
  for (const program of programs) {
    const found = sandbox.env["PATH"]!.split(":").map((at) => join(at, program)).find((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    });
    await Deno.symlink(found!, join(folder, program));
  }
  return folder;
}

interface Failure {
  readonly stub?: readonly string[];
  readonly args?: readonly string[];
  /** The whole first line of stderr after the note on native mode. */
  readonly error: RegExp;
  /** A line of the last screen; null when there can be none. */
  readonly screen: string | null;
}

async function fails({ stub = [], args = [], error, screen }: Failure): Promise<void> {
  await using sandbox = await createSandbox({ agent: "stub", stub });
  const { code, stdout, stderr } = await sandbox.run(["create", ...args]);
  strictEqual(code, 1, stderr);
  strictEqual(stdout, "");
  const [first = "", ...detail] = stderr.trimEnd().split("\n").filter((line) =>
    !line.startsWith("[dev-sessions] native")
  );
  match(first, error);
  ok(first.startsWith(`Cannot create a session in "${sandbox.workspace}": `), first);
  if (screen !== null) {
    strictEqual(detail[0], "  Its last screen:");
    ok(detail.some((line) => line.startsWith("  ") && line.includes(screen)), stderr);
  }
  await assertNothingLeft(sandbox);
}

Deno.test("create prints one line, or the id with -q, and the agent accepts input then", async () => {
  await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=400"] });
  const first = await sandbox.run(["create"]);
  strictEqual(first.code, 0, first.stderr);
  strictEqual(first.stderr, "");
  const id = /^Created session ([a-z]+(?:-[a-z]+)+)\n$/.exec(first.stdout)?.[1] ?? "";
  const sent = await sandbox.run(["send", id, "hello"]);
  strictEqual(sent.stdout, `Sent message to ${id}\n`, sent.stderr);
  strictEqual((await sandbox.run(["wait", id])).stdout, "completed\n");
  strictEqual((await sandbox.run(["last-message", id])).stdout, "REPLY: hello [length 5]\n");

  const second = await sandbox.run(["create", "-q"]);
  match(second.stdout, /^[a-z]+(-[a-z]+)+\n$/);
  strictEqual(second.stderr, "");
  deepStrictEqual(rows(sandbox), [`${id} active`, `${second.stdout.trim()} active`]);
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id}`, `dev-${second.stdout.trim()}`].sort());
});

Deno.test("create stores what it was told and passes on what is the agent's", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const path = await sandbox.folder("elsewhere");
  const record = await json(sandbox, [
    ...["create", "-p", "../elsewhere", "-d", "fix the login form", "--group", "api"],
    ...["--model", "opus", "--agent-arg", "--add-dir", "--agent-arg=../shared; it's", "--id", "fizz-top"],
  ]);
  const expected = {
    championId: "fizz-top",
    id: "fizz-top",
    cli: "claude",
    mode: "yolo",
    path,
    description: "fix the login form",
    group: "api",
    model: "opus",
    status: "active",
    lifecycle: "active",
    ready: "proven",
    repeated: false,
    parent: null,
  };
  for (const [name, value] of Object.entries(expected)) strictEqual(record[name], value, name);
  const given = agentArguments(sandbox, "fizz-top");
  strictEqual(given[given.indexOf("--session-id") + 1], record["internalId"]);
  ok(given.includes("--dangerously-skip-permissions"));
  deepStrictEqual(given.slice(given.indexOf("--model")), [
    ...["--model", "opus"],
    ...["--add-dir", "../shared; it's"],
  ]);
  strictEqual(await Deno.realPath(`/proc/${agentPid(sandbox, "fizz-top")}/cwd`), path);

  const child = await json(sandbox, ["create"], { env: { DEV_SESSIONS_ID: "fizz-top" } });
  strictEqual(child["parent"], "fizz-top");
  const taken = await sandbox.run(["create", "--id", "fizz-top"]);
  strictEqual(taken.code, 1);
  strictEqual(taken.stderr, "Champion ID already in use: fizz-top\n");
});

Deno.test("create refuses a workspace that is no folder before it writes anything", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await Deno.writeTextFile(join(sandbox.workspace, "file"), "");
  const help = "  Nothing was created. Name a folder that is there with --path\n";
  const missing = await sandbox.run(["create", "-p", "no/such"]);
  strictEqual(
    missing.stderr,
    `Workspace path does not exist: ${join(sandbox.workspace, "no/such")}\n${help}`,
  );
  const file = await sandbox.run(["create", "-p", "file"]);
  strictEqual(file.stderr, `Workspace path is not a directory: ${join(sandbox.workspace, "file")}\n${help}`);
  deepStrictEqual([missing.code, file.code], [1, 1]);
  await assertNothingLeft(sandbox);
});

Deno.test("create refuses places that its tmux or its agent can't use before it writes anything", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const file = join(sandbox.root, "file");
  await Deno.writeTextFile(file, "");
  const nowhere = join(sandbox.root, "no", "such");
  const rows: readonly (readonly [env: Record<string, string>, code: number, said: RegExp])[] = [
    [
      { CLAUDE_CONFIG_DIR: file },
      2,
      /configuration folder ".*\/file" is not a folder\. Unset CLAUDE_CONFIG_DIR/,
    ],
    [
      { TMUX_TMPDIR: file },
      1,
      /tmux's folder ".*\/file\/tmux-\d+" can't be made: .*TMUX or TMUX_TMPDIR may name/,
    ],
    [{ TMUX: `${nowhere}/s,1,0` }, 1, /tmux's folder ".*\/no\/such" can't be made: /],
  ];
  for (const [env, code, said] of rows) {
    await t.step(Object.keys(env).join(), async () => {
      const output = await sandbox.run(["create"], { env });
      strictEqual(output.code, code, output.stderr);
      match(output.stderr, said);
    });
  }
  deepStrictEqual(await json(sandbox, ["list", "--all"]), []);
  ok(!(await Array.fromAsync(Deno.readDir(sandbox.root))).some(({ name }) => name === "no"));
});

Deno.test("create says how to install an agent or a tmux that is missing", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const noAgent = await sandbox.run(["create"], { env: { PATH: await pathWith(sandbox, "tmux") } });
  strictEqual(noAgent.code, 1);
  match(noAgent.stderr, /"claude"\) was not found on PATH\. Install it with: npm install -g .*\n$/);
  const noTmux = await sandbox.run(["create"], { env: { PATH: await pathWith(sandbox, "claude") } });
  strictEqual(noTmux.code, 1);
  match(noTmux.stderr, /tmux\b.* was not found on PATH\. Install it with: .*\n$/);
  await assertNothingLeft(sandbox);
  // As the user's shell would: an entry of PATH that is no program is passed over.
  await Deno.mkdir(join(sandbox.home, "claude"));
  await created(sandbox, [], { env: { PATH: `relative:${sandbox.home}:${sandbox.env["PATH"]}` } });
});

Deno.test("create interrupted by Ctrl-C leaves nothing and exits 130", async () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=30000"] });
    await using creating = sandbox.start(["create"]);
    await sandbox.eventually(() => sessionFolders(sandbox).length === 1, { what: "create has begun" });
    await sandbox.eventually(async () => (await tmuxSessions(sandbox)).length === 1, {
      what: "tmux session",
    });
    creating.kill(signal);
    const { code, stdout, stderr } = await creating.doneWithin(10_000, "an interrupted create");
    strictEqual(code, 130);
    strictEqual(stdout, "");
    match(stderr, /^Cannot create "[a-z-]+": interrupted\n$/);
    await assertNothingLeft(sandbox);
  }
});

testAtOnce("create, with an agent that takes its time or never comes to accept input", {
  "fails with the exit code of an agent that dies at once": () =>
    fails({
      stub: ["die-at-once=7"],
      error: /its agent ended at once \(exit 7\)\. Run claude by hand/,
      screen: null,
    }),

  "fails with the agent's words when it was never set up": () =>
    fails({
      stub: ["onboarding-exit"],
      error:
        /its agent ended at once \(exit 1\): Claude has not been set up .* finish its setup and sign in$/,
      screen: "Unable to connect to Anthropic services",
    }),

  "fails at the login dialog and says how to sign in": () =>
    fails({
      stub: ["login-dialog"],
      error: /Claude has not been set up for this user\. Run claude once by hand, .* sign in$/,
      screen: "Select login method:",
    }),

  "fails at a dialog that nobody knows, at the latest after --ready-timeout": () =>
    fails({
      stub: ["unknown-dialog"],
      args: ["--ready-timeout", "1.5"],
      error:
        /it did not accept input within 1\.5 s\. Wait longer with --ready-timeout, or run claude by hand/,
      screen: "A dialog that nobody has seen before",
    }),

  "waits for an agent that starts slowly, but no longer than --ready-timeout": async () => {
    await fails({
      stub: ["slow-start=30000"],
      args: ["--ready-timeout", "1"],
      error: /it did not accept input within 1 s/,
      screen: "Claude Code v",
    });
    await using sandbox = await createSandbox({ agent: "stub", stub: ["slow-start=2500"] });
    const record = await json(sandbox, ["create"]);
    strictEqual(record["ready"], "proven");
  },

  "in native mode fails at the trust dialog; --trust and yolo trust the folder": async () => {
    await fails({
      stub: ["trust-dialog"],
      args: ["-m", "native"],
      error: /Claude asks whether to trust this folder\. Trust it with --trust, or use --mode yolo$/,
      screen: "No, exit",
    });
    await using sandbox = await createSandbox({ agent: "stub", stub: ["trust-dialog"] });
    const native = await sandbox.run(["create", "-m", "native", "--trust", "--id", "fizz-top", "-q"]);
    strictEqual(native.stdout, "fizz-top\n", native.stderr);
    match(native.stderr, /^\[dev-sessions\] native mode: [^\n]*\n$/);
    const given = agentArguments(sandbox, "fizz-top");
    strictEqual(given[given.indexOf("--permission-mode") + 1], "default");
    ok(!given.includes("--dangerously-skip-permissions"));
    await created(sandbox);
  },

  "fails at an agent that ignores the end of its terminal, and leaves no process": () =>
    fails({
      stub: ["login-dialog", "ignore-sighup"],
      error: /Claude has not been set up for this user/,
      screen: "Select login method:",
    }),

  "is proven by hooks or registry alone": async () => {
    for (const stub of ["no-hooks", "no-registry"]) {
      await using sandbox = await createSandbox({ agent: "stub", stub: [stub] });
      const record = await json(sandbox, ["create", "--id", "fizz-top"]);
      strictEqual(record["ready"], "proven", stub);
      const sent = await json(sandbox, ["send", "fizz-top", "hello"]);
      strictEqual(sent["result"], "submitted", stub);
      strictEqual((await sandbox.run(["wait", "fizz-top"])).stdout, "completed\n", stub);
    }
  },

  "reports a quiet prompt without hooks and registry as unproven": async () => {
    await using sandbox = await createSandbox({ agent: "stub", stub: ["no-hooks", "no-registry"] });
    const { code, stdout, stderr } = await sandbox.run(["create", "--id", "fizz-top", "--json"]);
    strictEqual(code, 0, stderr);
    strictEqual(JSON.parse(stdout)["ready"], "unproven");
    strictEqual(
      stderr,
      "[dev-sessions] fizz-top shows a quiet prompt, but nothing proves that it is ready\n",
    );
    const sent = await json(sandbox, ["send", "fizz-top", "hello"]);
    deepStrictEqual([sent["result"], sent["repeated"]], ["submitted", false]);
    match(String(sent["evidence"]), /transcript/);
  },
});
