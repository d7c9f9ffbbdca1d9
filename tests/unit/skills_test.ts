/** Whose an installed skill is by its content alone, and what is done with it. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { type PlannedSkill, planSkills } from "../../lib/skill_install.ts";
import { type InstalledSkill, SKILLS, type SkillState, stamped, stateOf } from "../../lib/skills.ts";

const NOW = "---\nname: x\n---\nnow\n";
const THEN = "---\nname: x\n---\nthen\n";

Deno.test("stateOf() takes only what install-skill wrote, whole, for its own", async (t) => {
  const rows: readonly (readonly [name: string, content: string | null, SkillState])[] = [
    ["no file", null, "missing"],
    ["as installed", await stamped(NOW), "current"],
    ["its end of line lost", (await stamped(NOW)).trimEnd(), "current"],
    ["copied by hand", NOW, "current"],
    ["an earlier version", await stamped(THEN), "outdated"],
    ["an earlier version copied by hand, which nothing proves", THEN, "changed"],
    ["a word changed", (await stamped(NOW)).replace("now", "new"), "changed"],
    ["a word changed in an earlier version", (await stamped(THEN)).replace("then", "when"), "changed"],
    ["a line behind the last one", `${await stamped(NOW)}mine\n`, "changed"],
    ["a line before the last one", (await stamped(NOW)).replace("\n<!--", "\nmine\n<!--"), "changed"],
    ["CRLF", (await stamped(NOW)).replaceAll("\n", "\r\n"), "changed"],
    ["only our last line", (await stamped(NOW)).split("\n").at(-2) ?? "", "changed"],
    ["another's last line", `${NOW}${(await stamped(THEN)).split("\n").at(-2)}\n`, "changed"],
    ["empty", "", "changed"],
    ["another text", "my own skill\n", "changed"],
  ];
  for (const [name, content, expected] of rows) {
    await t.step(name, async () => strictEqual(await stateOf(content, NOW), expected));
  }
});

Deno.test("stamped() adds one line, whatever the end of the text", async () => {
  for (const text of ["a", "a\n"]) {
    const installed = await stamped(text);
    strictEqual(installed.split("\n").length, 3);
    strictEqual(await stateOf(installed, "a\n"), "current");
  }
  for (const { text } of SKILLS) strictEqual(await stateOf(await stamped(text), text), "current");
});

function skill(state: SkillState, given: Partial<InstalledSkill> = {}): InstalledSkill {
  const path = "/h/.claude/skills/x/SKILL.md";
  const reason = state === "unknown" ? "it is not a regular file" : null;
  return { name: "x", agent: "claude", path, state, reason, content: null, link: null, ...given };
}

function shown({ action, blocked }: PlannedSkill): string {
  return blocked === null ? action : `blocked: ${blocked}`;
}

Deno.test("planSkills() does with one skill what its state allows", async (t) => {
  const link = "/h/.claude/skills/x";
  const rows: readonly (readonly [
    InstalledSkill,
    install: string,
    forced: string,
    uninstall: string,
    forced: string,
  ])[] = [
    [skill("missing"), "install", "install", "unchanged", "unchanged"],
    [skill("current"), "unchanged", "unchanged", "remove", "remove"],
    [skill("outdated"), "install", "install", "remove", "remove"],
    [skill("changed"), "kept", "install", "kept", "remove"],
    [skill("unknown"), ...repeat("blocked: it is not a regular file", 4)],
    [skill("current", { link }), "unchanged", "unchanged", ...repeat(LINKED, 2)],
    [skill("outdated", { link }), ...repeat(LINKED, 4)],
    [skill("changed", { link }), ...repeat(LINKED, 4)],
    [skill("unknown", { link }), ...repeat(LINKED, 4)],
  ];
  for (const [given, ...expected] of rows) {
    await t.step(`${given.state}${given.link === null ? "" : ", a link"}`, () => {
      const requests = [false, true].flatMap((uninstall) =>
        [false, true].map((force) => ({ uninstall, force }))
      );
      const got = requests.map((request) => shown(planSkills([given], ["/real"], request)[0]!));
      deepStrictEqual(got, expected);
    });
  }
});

const LINKED = 'blocked: "/h/.claude/skills/x" is a symbolic link. Remove it first';

function repeat(text: string, times: 2): [string, string];
function repeat(text: string, times: 4): [string, string, string, string];
function repeat(text: string, times: number): string[] {
  return Array<string>(times).fill(text);
}

Deno.test("planSkills() touches a file that is reached in two ways once, by the way without a link", () => {
  const own = skill("outdated");
  const linked = skill("outdated", { agent: "codex", link: "/h/.codex/skills/x" });
  const install = { uninstall: false, force: false };
  const uninstall = { uninstall: true, force: false };
  deepStrictEqual(planSkills([own, linked], ["/r", "/r"], install).map(shown), ["install", "linked"]);
  deepStrictEqual(planSkills([linked, own], ["/r", "/r"], install).map(shown), ["linked", "install"]);
  // The folder of all skills is the link: both look like files of their own.
  deepStrictEqual(planSkills([own, own], ["/r", "/r"], install).map(shown), ["install", "linked"]);
  deepStrictEqual(planSkills([own, own], ["/r", "/r"], uninstall).map(shown), ["remove", "linked"]);
  // The link would stay, and lead to nothing.
  deepStrictEqual(planSkills([own, linked], ["/r", "/r"], uninstall).map(shown), [
    "remove",
    'blocked: "/h/.codex/skills/x" is a symbolic link. Remove it first',
  ]);
  deepStrictEqual(planSkills([own, own], ["/r", "/s"], install).map(shown), ["install", "install"]);
});
