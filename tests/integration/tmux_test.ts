/** Sessions work whatever the user's tmux is like, and nothing in it that is not ours is ever touched. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { isRunning } from "../support/processes.ts";
import {
  agentPid,
  assertNothingLeft,
  created,
  environmentOf,
  json,
  rows,
  tmuxSessions,
} from "../support/sandbox_state.ts";
import { gateTmux } from "../support/tmux_gate.ts";

const POWER_USER = `
set -g base-index 1
set -g pane-base-index 1
unbind C-b
set -g prefix C-a
set -g default-command "exec /bin/false"
set -g default-shell /bin/false
set -g mouse on
set -g destroy-unattached on
set -g remain-on-exit on
set -g status off
set -g renumber-windows on
set -g automatic-rename on
set -g allow-rename on
set -g set-titles on
set -g history-limit 5
set -g default-size 80x24
set -g window-size smallest
set -g detach-on-destroy off
set -g exit-empty on
set -g mode-keys vi
set -g visual-bell on
set -g update-environment ""
set -g default-terminal "tmux-256color"
`;

/** One whole round: what is sent arrives, what is said is read, and the end is the end. */
async function roundTrip(sandbox: Sandbox, id: string, env: Record<string, string> = {}): Promise<void> {
  const pid = agentPid(sandbox, id);
  const sent = await json(sandbox, ["send", id, `hello ${id}`], { env });
  strictEqual(sent["result"], "submitted");
  const waited = await sandbox.run(["wait", id, "-t", "20"], { env });
  strictEqual(waited.stdout, "completed\n", waited.stderr);
  const reply = await sandbox.run(["last-message", id], { env });
  strictEqual(reply.stdout, `REPLY: hello ${id} [length ${id.length + 6}]\n`, reply.stderr);
  strictEqual((await sandbox.run(["status", id], { env })).stdout, "idle\n");
  const killed = await sandbox.run(["kill", id], { env });
  strictEqual(killed.stdout, `Killed session ${id}\n`, killed.stderr);
  strictEqual(await isRunning(pid), false);
}

Deno.test("a power user's tmux.conf changes nothing", async () => {
  await using sandbox = await createSandbox({ agent: "stub", tmuxConf: POWER_USER });
  const id = await created(sandbox);
  await sandbox.eventually(async () => (await tmuxSessions(sandbox)).includes(`dev-${id}`), {
    what: "session",
  });
  const pane = await sandbox.tmux("list-panes", "-t", `=dev-${id}:`, "-F", "#{window_index}.#{pane_index}");
  strictEqual(pane.stdout, "1.1\n");
  await roundTrip(sandbox, id);
  deepStrictEqual(await tmuxSessions(sandbox), []);
});

Deno.test("hooks of the user that rename, split and add windows do not lead us astray", async () => {
  const conf = `${POWER_USER}
set -g default-shell /bin/sh
set -g default-command ""
set-hook -g after-new-session 'new-window -d "sleep 600"; split-window -d "sleep 600"; select-window -t :+'
set-hook -g session-created 'rename-window zzz'
`;
  await using sandbox = await createSandbox({ agent: "stub", tmuxConf: conf });
  const [first, second] = [await created(sandbox), await created(sandbox)];
  // Somebody looks at another window of the session.
  await sandbox.tmux("select-window", "-t", `=dev-${first}:2`);
  await roundTrip(sandbox, first);
  await roundTrip(sandbox, second);
  deepStrictEqual(await tmuxSessions(sandbox), []);
});

Deno.test("a tmux.conf with errors, or with a server that won't stay, does not leave anybody guessing", async () => {
  const errors = "set -g no-such-option 1\nbind\n";
  await using wrong = await createSandbox({ agent: "stub", tmuxConf: errors });
  await roundTrip(wrong, await created(wrong));
  await using leaving = await createSandbox({ agent: "stub", tmuxConf: "set -g exit-unattached on\n" });
  const { code, stderr } = await leaving.run(["create"]);
  strictEqual(code, 1);
  match(stderr, /: tmux closed its pane\. Look in your tmux\.conf for exit-unattached and .*\n$/);
  await assertNothingLeft(leaving);
});

Deno.test("tmux sessions that are not ours are not touched, whatever they are called", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const stray = ["dev-fizz-top-notes", "dev-riven-jg", "dev-fizz-to"];
  for (const name of stray) await sandbox.tmux("new-session", "-d", "-s", name, "cat");
  const taken = await sandbox.run(["create", "--id", "riven-jg"]);
  strictEqual(taken.code, 1);
  strictEqual(taken.stdout, "");
  match(
    taken.stderr,
    /^Champion ID already in use: riven-jg\n {2}tmux already has a session named dev-riven-jg\n$/,
  );
  deepStrictEqual(rows(sandbox), []);

  await created(sandbox, ["--id", "fizz-top"]);
  strictEqual((await sandbox.run(["send", "fizz-top", "hello"])).code, 0);
  strictEqual((await sandbox.run(["kill", "fizz-top"])).code, 0);
  const again = await sandbox.run(["send", "fizz-top", "is anybody there?"]);
  strictEqual(again.code, 7);
  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  deepStrictEqual(await tmuxSessions(sandbox), [...stray].sort());
  for (const name of stray) strictEqual(await sandbox.screen(`=${name}:`), "");
});

Deno.test("create takes another name when tmux has the one it picked", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const { CHAMPION_IDS } = await import("../../lib/champion_ids.ts");
  // All but a few names are strays of a resurrect plugin, in one server call.
  const free = CHAMPION_IDS.slice(0, 400);
  const strays = CHAMPION_IDS.slice(400, 600);
  const conf = strays.map((id) => `new-session -d -s dev-${id} cat`).join("\n");
  await Deno.writeTextFile(join(sandbox.root, "strays.conf"), conf);
  await sandbox.tmux("new-session", "-d", "-s", "keep", "cat");
  const sourced = await sandbox.tmux("source-file", join(sandbox.root, "strays.conf"));
  strictEqual(sourced.code, 0, sourced.stderr);
  for (let i = 0; i < 4; i++) {
    const id = await created(sandbox);
    ok(!strays.includes(id));
    ok(free.includes(id) || CHAMPION_IDS.includes(id));
  }
  strictEqual(rows(sandbox).length, 4);
  strictEqual((await sandbox.run(["kill", "--all"])).code, 0);
  strictEqual((await tmuxSessions(sandbox)).length, strays.length + 1);
});

Deno.test("workspaces with every kind of name work", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const names = [
    "with space",
    'it\'s "quoted"',
    "ends;",
    "#{session_name} #(touch x)",
    "漢字 é 🦕",
    "-dash",
    "$HOME `id`",
  ];
  for (const name of names) {
    const path = await sandbox.folder(name);
    const id = await created(sandbox, ["-p", path]);
    strictEqual((await json(sandbox, ["inspect", id]))["path"], path);
    strictEqual(await Deno.realPath(`/proc/${agentPid(sandbox, id)}/cwd`), path);
    await roundTrip(sandbox, id);
  }
  // As a relative path, and by a symbolic link.
  await created(sandbox, ["-p", "./-dash"], { cwd: sandbox.root });
  await Deno.symlink(join(sandbox.root, "with space"), join(sandbox.root, "link"));
  await roundTrip(sandbox, await created(sandbox, ["-p", join(sandbox.root, "link")]));
});

Deno.test("from a pane of another tmux server the session lives on that server, and is found from outside", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const socket = join(sandbox.root, "t", "other");
  const inside = { TMUX: `${socket},1,0`, TMUX_PANE: "%0" };
  await sandbox.tmux("-S", socket, "new-session", "-d", "-s", "mine", "cat");
  try {
    const id = await created(sandbox, [], { env: inside });
    deepStrictEqual(await tmuxSessions(sandbox, "-S", socket), [`dev-${id}`, "mine"].sort());
    match(environmentOf(agentPid(sandbox, id)).get("TMUX") ?? "", new RegExp(`^${socket},`));
    await roundTrip(sandbox, id);
    deepStrictEqual(await tmuxSessions(sandbox, "-S", socket), ["mine"]);
    // And the other way round.
    await roundTrip(sandbox, await created(sandbox), inside);
  } finally {
    await sandbox.tmux("-S", socket, "kill-server");
  }
});

Deno.test("a command typed in a pane acts on the server of that pane", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const done = join(sandbox.root, "done");
  const command =
    `${Deno.execPath()} run -A --quiet ${main} create -q >${done}.part 2>&1; mv ${done}.part ${done}; cat`;
  await sandbox.tmux("new-session", "-d", "-s", "mine", command);
  const id = await sandbox.eventually(() => Deno.readTextFile(done).catch(() => ""), {
    what: "create is done",
  });
  deepStrictEqual(await tmuxSessions(sandbox), [`dev-${id.trim()}`, "mine"].sort());
  await roundTrip(sandbox, id.trim());
  deepStrictEqual(await tmuxSessions(sandbox), ["mine"]);
});

Deno.test("a TMUX_TMPDIR that does not exist counts as unset, as tmux has it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const usual = `/tmp/tmux-${Deno.uid()}/default`;
  const own = join(sandbox.root, "t", "standing-in");
  // The user's own server is not for tests: calls to its socket come to this one.
  const found = await sandbox.spawn("sh", ["-c", "command -v tmux"]).done();
  await Deno.writeTextFile(
    join(sandbox.root, "bin", "tmux"),
    `#!/bin/sh\n[ "$1 $2 $3" = "-u -S ${usual}" ] || exit 99\nshift 3\nexec ${found.stdout.trim()} -u -S ${own} "$@"\n`,
    { mode: 0o755 },
  );
  const id = await created(sandbox, [], { env: { TMUX_TMPDIR: join(sandbox.root, "missing") } });
  const handle = (await json(sandbox, ["inspect", id]))["handle"] as { socket: string };
  strictEqual(handle.socket, usual);
  await roundTrip(sandbox, id);
});

Deno.test("create meets a server on its way out, and starts another one", async () => {
  for (const word of ["list-panes", "new-session"]) {
    await using sandbox = await createSandbox({ agent: "stub" });
    await sandbox.tmux("new-session", "-d", "-s", "mine", "cat");
    const gate = await gateTmux(sandbox, word, "before");
    await using creating = sandbox.start(["create"]);
    await gate.reached();
    await Promise.all([sandbox.tmux("kill-server"), gate.open()]);
    const { code, stderr } = await creating.doneWithin(20_000, "a create beside a server that ends");
    // Unless its session had come to be on the server that was ended.
    if (code !== 0) match(stderr, /: (its agent ended at once|tmux closed its pane)/);
  }
});

Deno.test("sessions whose tmux server is gone have ended, and the next ones get a server again", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const [first, second] = [await created(sandbox), await created(sandbox)];
  await sandbox.tmux("kill-server");
  await sandbox.eventually(async () => (await sandbox.run(["status", first])).stdout === "gone\n", {
    what: "the agent is gone",
  });
  const listed = await json<{ id: string; state: string; endReason: string }[]>(sandbox, ["list", "--all"]);
  deepStrictEqual(listed.map(({ id, state, endReason }) => [id, state, endReason]), [
    [first, "gone", "its tmux session is gone"],
    [second, "gone", "its tmux session is gone"],
  ]);
  await roundTrip(sandbox, await created(sandbox));
});
