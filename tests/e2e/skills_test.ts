/** Real agents find the skills that `install-skill` installed, and one hands its work over by doing what the skill says. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { SKILLS } from "../../lib/skills.ts";
import { CodexSession } from "../support/codex_session.ts";
import { createCodexSandbox } from "../support/codex_sandbox.ts";
import { createSandbox } from "../support/harness.ts";
import {
  assertNothingLeft,
  createSession,
  type LiveSession,
  modelOf,
  openSession,
  step,
  writeCommand,
} from "../support/live_session.ts";
import { makeRepository } from "../support/repository.ts";
import type { RecordedRequest } from "../support/scripted_model.ts";
import { skillBlocks } from "../support/skill_blocks.ts";

/** What an agent puts in the place of the skill's hints. */
const BRIEF: readonly (readonly [hint: string, text: string])[] = [
  [
    "What the user wants, in the user's own words",
    'The user said: "SCRIPT:plain I go on with it" and no more',
  ],
  [
    "The very next thing to do",
    'Write the tests of `src/login.ts`: $HOME, "quotes" and \\n stay as they are',
  ],
];

/** Agents tell their model of a skill with the name and description of its head. */
function assertListed(request: unknown): void {
  const text = JSON.stringify(request);
  for (const skill of SKILLS) {
    const [, description = ""] = /^description: (.*)$/m.exec(skill.text) ?? [];
    const listed = JSON.stringify(`- ${skill.name}: ${description}`).slice(1, -1);
    ok(text.includes(listed), `the model was not told of ${skill.name}`);
  }
}

function requestsOf(session: LiveSession): RecordedRequest[] {
  return modelOf(session.sandbox).requests()
    .filter((request) => request.session === session.claudeId && request.tools.includes("Bash"));
}

/** The texts of the newest message that the model got, tool results included. */
function lastTexts(session: LiveSession): string[] {
  const { content } = requestsOf(session).at(-1)?.lastMessage as {
    content: readonly Record<string, unknown>[];
  };
  return content.map(({ text, content }) => String(text ?? content));
}

/** The model uses a tool; what it got back. */
async function use(session: LiveSession, tool: string, input: unknown): Promise<string[]> {
  await session.turn(`SCRIPT:tool ${tool} ${JSON.stringify(input)}`);
  return lastTexts(session);
}

Deno.test("Claude Code hands its work over by doing what the skill says", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  await writeCommand(sandbox);
  await makeRepository(sandbox);
  sandbox.env["TMPDIR"] = await sandbox.folder("tmp");
  const model = modelOf(sandbox);
  strictEqual((await sandbox.run(["install-skill", "--global", "--claude"])).code, 0);
  const session = await createSession(sandbox);
  let blocks = new Map<string, string>();
  let brief = "";
  let created = { id: "", receipt: "" };

  /** Runs an example of the skill as the model got it, with what stands for a variable written out. */
  const runBlock = async (name: string, values: Record<string, string> = {}) => {
    let command = blocks.get(name);
    ok(command !== undefined, `the skill has no example "${name}": ${[...blocks.keys()].join(", ")}`);
    for (const [variable, value] of Object.entries(values)) {
      command = command.replaceAll(`$${variable}`, value);
    }
    const [output = ""] = await use(session, "Bash", { command, description: name });
    return output;
  };

  await step(t, "the model is told of the skills, and gets the text of the one that it uses", async () => {
    await session.turn("SCRIPT:plain hello");
    assertListed(requestsOf(session).at(-1));
    const [launched, text = ""] = await use(session, "Skill", { skill: "handoff" });
    strictEqual(launched, "Launching skill: handoff");
    blocks = new Map(skillBlocks(text).map(({ name, script }) => [name, script]));
    const expected = skillBlocks(SKILLS.find(({ name }) => name === "handoff")?.text ?? "");
    deepStrictEqual([...blocks.values()], expected.map(({ script }) => script));
  });

  await step(t, "it looks where it is", async () => {
    const context = await runBlock("Check the context");
    match(
      context,
      new RegExp(`/bin/dev-sessions\n\\d+\\.\\d+\\.\\d+\nsession: ${session.id}, container: 0$`),
    );
    match(
      await runBlock("Bring your work into a state that can be taken over"),
      new RegExp(`^${sandbox.workspace}\n## main\n`),
    );
  });

  await step(t, "it writes the brief", async () => {
    let script = blocks.get("Write the brief") ?? "";
    for (const [hint, text] of BRIEF) {
      ok(script.includes(hint), hint);
      script = script.replace(hint, () => text);
    }
    blocks.set("Write the brief", script);
    brief = await runBlock("Write the brief");
    match(brief, /^\/\S+$/);
    const written = await Deno.readTextFile(brief);
    for (const [, text] of BRIEF) ok(written.includes(text), written);
  });

  await step(
    t,
    "it starts the new session, which has the brief as its first message, byte for byte",
    async () => {
      const { id, send, parent, description } = JSON.parse(
        await runBlock("Start the new session", { brief }),
      );
      deepStrictEqual([send.result, parent, description], ["submitted", session.id, "handoff: login form"]);
      created = { id, receipt: send.receipt };
      const heir = await openSession(sandbox, id);
      strictEqual(await heir.expect(0, "wait", ["-t", "40"]), "completed");
      deepStrictEqual(model.prompts(heir.claudeId), [(await Deno.readTextFile(brief)).trimEnd()]);
      match(await heir.lastMessage(), /^REPLY: I go on with it" and no more/);
    },
  );

  await step(t, "the same call again, as after a killed one, hands over once", async () => {
    const { id, send, repeated } = JSON.parse(await runBlock("Start the new session", { brief }));
    deepStrictEqual([id, repeated, send.receipt], [created.id, true, created.receipt]);
    strictEqual(JSON.parse((await sandbox.run(["list", "--json"])).stdout).length, 2);
    const heir = await openSession(sandbox, id);
    strictEqual(model.prompts(heir.claudeId).length, 1);
  });

  await step(t, "it sees the proof", async () => {
    const proof = await runBlock("Prove it", { id: created.id });
    match(proof, /^\[HUMAN\]\nYou take over this work from another agent\./);
    match(proof, /\n# Verified\n[\s\S]*\n\[ASSISTANT\]\nREPLY: I go on with it[\s\S]*\nidle$/);
  });

  await step(t, "the new session goes on when the old one ends", async () => {
    strictEqual(await session.expect(0, "kill"), `Killed session ${session.id}`);
    const heir = await openSession(sandbox, created.id);
    strictEqual(await heir.turn("SCRIPT:plain still here"), "REPLY: still here [length 23]");
    strictEqual(await heir.expect(0, "kill"), `Killed session ${heir.id}`);
    await assertNothingLeft(sandbox);
  });
});

Deno.test("a person gives Claude Code a skill of the repository by its name", async () => {
  await using sandbox = await createSandbox({ agent: "claude" });
  strictEqual((await sandbox.run(["install-skill", "--local"])).code, 0);
  const session = await createSession(sandbox);
  await session.turn("SCRIPT:plain hello");
  assertListed(requestsOf(session).at(-1));
  await session.type("/delegate");
  await session.shows("Split work into parts");
  await session.press("Enter");
  await sandbox.eventually(
    () => lastTexts(session).some((text) => text.includes("\n## 2. Cut the work\n")),
    { what: "the skill's text in the model's request" },
  );
  await session.reaches("idle");
  await session.expect(0, "kill");
});

Deno.test("Codex tells its model of the skills, those of the user and those of the repository", async (t) => {
  for (const scope of ["--global", "--local"]) {
    await t.step(scope, async () => {
      await using codex = await createCodexSandbox();
      strictEqual((await codex.sandbox.run(["install-skill", "--codex", scope])).code, 0);
      const session = await CodexSession.create(codex);
      await session.send("SCRIPT:plain hello");
      strictEqual(await session.said("wait"), "completed");
      assertListed(codex.model?.requests().at(-1));
      strictEqual((await session.run("kill")).code, 0);
    });
  }
});
