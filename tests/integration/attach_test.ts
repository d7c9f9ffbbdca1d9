/** `attach` joins a session from a terminal outside of tmux, from a pane of another server and from one of its own. */

import { match, strictEqual } from "node:assert/strict";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { created } from "../support/sandbox_state.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** A person's terminal: a pane of a tmux server of its own, running the CLI with this environment. */
async function terminal(sandbox: Sandbox, socket: string, script: string): Promise<void> {
  const { code, stderr } = await sandbox.tmux("-L", socket, "new-session", "-d", "-s", "person", script);
  strictEqual(code, 0, stderr);
}

const attach = (id: string) =>
  `${Deno.execPath()} run -A --quiet ${MAIN} attach ${id}; echo "exit $?"; sleep 60`;

async function attached(sandbox: Sandbox, id: string, count: string): Promise<void> {
  await sandbox.eventually(
    async () =>
      (await sandbox.tmux("display-message", "-p", "-t", `=dev-${id}:`, "#{session_attached}")).stdout
        .trim() === count,
    { what: `${count} client(s) at ${id}` },
  );
}

async function personSees(sandbox: Sandbox, socket: string, text: string): Promise<void> {
  await sandbox.eventually(
    async () =>
      (await sandbox.tmux("-L", socket, "capture-pane", "-p", "-t", "person")).stdout.includes(text),
    { what: `${JSON.stringify(text)} on the person's screen` },
  );
}

Deno.test("attach joins the session until the person leaves, with TMUX of another server or without", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  for (const [outer, prefix] of [["another", ""], ["none", "unset TMUX TMUX_PANE; "]] as const) {
    await t.step(`TMUX of ${outer}`, async () => {
      await terminal(sandbox, outer, prefix + attach(id));
      await attached(sandbox, id, "1");
      await personSees(sandbox, outer, "❯");
      await sandbox.tmux("detach-client", "-s", `=dev-${id}`);
      await personSees(sandbox, outer, "exit 0");
      await attached(sandbox, id, "0");
      await sandbox.tmux("-L", outer, "kill-server");
    });
  }
});

Deno.test("attach from a pane of the same server switches the client there", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  // The client that is switched is that of a person who looks at the session "mine".
  const looked = "until tmux list-clients -t mine | grep -q .; do sleep 0.05; done; ";
  await sandbox.tmux("new-session", "-d", "-s", "mine", looked + attach(id));
  await terminal(sandbox, "outer", "unset TMUX; tmux attach-session -t mine");
  await attached(sandbox, id, "1");
  await sandbox.tmux("-L", "outer", "kill-server");
});

Deno.test("attach needs a terminal, a live session and a known id", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox);
  const piped = await sandbox.run(["attach", id]);
  strictEqual(piped.code, 2);
  match(piped.stderr, /attach needs a terminal/);
  strictEqual((await sandbox.run(["kill", id])).code, 0);
  await terminal(sandbox, "outer", attach(id));
  await personSees(sandbox, "outer", "exit 7");
  await sandbox.tmux("-L", "outer", "kill-server");
});
