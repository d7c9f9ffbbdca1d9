/** What a session's lock keeps a command from doing is not done, and both agents say so alike. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { CodexSession } from "../support/codex_session.ts";
import type { Sandbox } from "../support/harness.ts";
import type { RunningCommand } from "../support/running_command.ts";
import { parseOutput, withSession } from "../support/stub_session.ts";

const END_MS = 30_000;

interface Asking {
  readonly sandbox: Sandbox;
  readonly id: string;
  /** The request, as `status` has it. */
  readonly pending: () => Promise<unknown>;
  /** What a refusal says was not done, by verb. */
  readonly untouched: Readonly<Record<string, string>>;
}

const COMMANDS: readonly (readonly [verb: string, name: string, ...args: string[]])[] = [
  ["send", "send to", "hello"],
  ["interrupt", "interrupt"],
  ["respond", "answer", "--approve"],
];

/** Bodies get a session whose agent waits for an approval. */
const AGENTS: Readonly<Record<string, (body: (asking: Asking) => Promise<void>) => Promise<void>>> = {
  claude: (body) =>
    withSession({}, async (session, sandbox) => {
      await session.sent("SCRIPT:permission touch granted");
      await session.becomes("waiting_for_input");
      await body({
        sandbox,
        id: session.id,
        pending: async () => (await session.json("status")).json.pending,
        untouched: {
          send: "Nothing was typed",
          interrupt: "Nothing was pressed",
          respond: "Nothing was answered",
        },
      });
    }),
  codex: async (body) => {
    await using codex = await createStubCodexSandbox();
    const session = await CodexSession.create(codex, ["-m", "native"]);
    await session.send("STUB:approve rm -rf dist");
    await session.becomes("waiting_for_input");
    await body({
      sandbox: codex.sandbox,
      id: session.id,
      pending: async () => (await session.json("status")).json.pending,
      untouched: {
        send: "Nothing was sent",
        interrupt: "Nothing was stopped",
        respond: "Nothing was answered",
      },
    });
  },
};

/** Of the only session. */
async function lockFile({ home }: Sandbox): Promise<string> {
  const sessions = join(home, ".dev-sessions", "sessions");
  const folders = [];
  for await (const { name } of Deno.readDir(sessions)) folders.push(name);
  strictEqual(folders.length, 1);
  return join(sessions, folders[0]!, "send.lock");
}

function standsBeforeIt(sandbox: Sandbox, running: RunningCommand): Promise<unknown> {
  const open = `/proc/${running.pid}/fd`;
  return sandbox.eventually(
    () =>
      [...Deno.readDirSync(open)].some(({ name }) =>
        Deno.readLinkSync(`${open}/${name}`).endsWith("/send.lock")
      ),
    { what: "the command waits for the lock" },
  );
}

for (const [agent, withAsking] of Object.entries(AGENTS)) {
  Deno.test(`${agent}: with a lock that can't be used nothing is delivered, whatever the command`, () =>
    withAsking(async ({ sandbox, id, pending, untouched }) => {
      const before = await pending();
      const lock = await lockFile(sandbox);
      await Deno.remove(lock).catch(() => {});
      await Deno.mkdir(lock);
      for (const [verb, name, ...args] of COMMANDS) {
        const { code, error, stderr } = parseOutput(await sandbox.run([verb, id, ...args, "--json"]));
        strictEqual(code, 4, `${verb}: ${stderr}`);
        match(
          error,
          new RegExp(
            `^Cannot ${name} "${id}": its folder ".*" can't be used: .*\\. ${untouched[verb]}\\. Check that`,
          ),
        );
      }
      deepStrictEqual(await pending(), before);
    }));

  Deno.test(`${agent}: a command that is stopped before the lock is interrupted, whatever the command`, () =>
    withAsking(async ({ sandbox, id, pending, untouched }) => {
      const before = await pending();
      using lock = await Deno.open(await lockFile(sandbox), { read: true, write: true, create: true });
      lock.lockSync(true);
      for (const [verb, name, ...args] of COMMANDS) {
        const running = sandbox.start([verb, id, ...args, "--json"]);
        await standsBeforeIt(sandbox, running);
        running.kill("SIGINT");
        const { code, error, stderr } = parseOutput(await running.doneWithin(END_MS, verb));
        strictEqual(code, 130, `${verb}: ${stderr}`);
        strictEqual(error, `Cannot ${name} "${id}": interrupted. ${untouched[verb]}`);
      }
      deepStrictEqual(await pending(), before);
    }));
}
