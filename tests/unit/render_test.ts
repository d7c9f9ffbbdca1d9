/** What a template becomes, and which ones are refused. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import { checkTemplate, render, type Values } from "../../lib/render.ts";

const VALUES: Values = {
  "session.id": { value: "fizz-top" },
  "session.path": { value: "/src/app" },
  "session.group": { missing: "the session has no group" },
  "parent.id": { value: "{{date}}" },
  "git.branch": { value: "$& $1 {{var.x}}" },
  "git.head": { missing: "there is no commit yet" },
  date: { value: "2026-11-22" },
};

const RENDERED: readonly (readonly [template: string, vars: Record<string, string>, text: string])[] = [
  ["", {}, ""],
  ["nothing to fill", {}, "nothing to fill"],
  ["{{session.id}}{{date}}", {}, "fizz-top2026-11-22"],
  ["at {{ session.path }}, {{\tsession.id\t}}", {}, "at /src/app, fizz-top"],
  ["values are not rendered again: {{parent.id}}", {}, "values are not rendered again: {{date}}"],
  ["nor looked at: {{git.branch}}", {}, "nor looked at: $& $1 {{var.x}}"],
  ["{{var.a}} {{var.a}} {{ var.b-1 }}", { a: "1", "b-1": "" }, "1 1 "],
  ["{{var.constructor}}", { constructor: "own" }, "own"],
  ["a value with \\{{", {}, "a value with {{"],
  ["\\{{session.id}} stays", {}, "{{session.id}} stays"],
  ["\\{{ {{session.id}} }}", {}, "{{ fizz-top }}"],
  ["single { and } and }} and \\ stay", {}, "single { and } and }} and \\ stay"],
  ["line\r\nends\n{{date}}\n", {}, "line\r\nends\n2026-11-22\n"],
];

Deno.test("render() fills placeholders and touches nothing else", async (t) => {
  for (const [template, vars, text] of RENDERED) {
    await t.step(JSON.stringify(template), () => {
      checkTemplate(template, vars);
      strictEqual(render(template, VALUES, vars), text);
    });
  }
});

const REFUSED: readonly (readonly [template: string, vars: Record<string, string>, message: string])[] = [
  [
    "a\nb {{sesion.id}}",
    {},
    "{{sesion.id}} on line 2 is unknown. Known are session.id, session.path, session.group, parent.id, git.branch, " +
    "git.head, date and var.NAME; write \\{{ for the braces alone",
  ],
  [
    "{{date}}\n\n{{session.group}}",
    {},
    "{{session.group}} on line 3 has no value here: the session has no group",
  ],
  ["{{git.head}}", {}, "{{git.head}} on line 1 has no value here: there is no commit yet"],
  ["{{var.x}}", {}, "{{var.x}} on line 1 has no value here. Give it one with: --var x=..."],
  [
    "{{var.toString}}",
    {},
    "{{var.toString}} on line 1 has no value here. Give it one with: --var toString=...",
  ],
  ["{{var.}}", {}, "{{var.}} on line 1 is no name of a variable"],
  ["x\n{{date", {}, "{{ on line 2 is not closed by }} on that line. Write \\{{ for the braces alone"],
  ["{{date\n}}", {}, "{{ on line 1 is not closed by }} on that line. Write \\{{ for the braces alone"],
];

Deno.test("render() refuses what it can't fill, and names it with its line", async (t) => {
  for (const [template, vars, message] of REFUSED) {
    await t.step(JSON.stringify(template), () => {
      throws(() => {
        checkTemplate(template, vars);
        render(template, VALUES, vars);
      }, new AppError("usage", `Cannot render the message: ${message}`));
    });
  }
});

Deno.test("checkTemplate() names what is used, and refuses a variable that is not", () => {
  deepStrictEqual(checkTemplate("{{date}} {{git.head}} {{date}} {{var.a}}", { a: "" }), ["date", "git.head"]);
  throws(
    () => checkTemplate("{{var.isue}}", { isue: "1", issue: "42" }),
    /^AppError: Cannot render the message: it has no \{\{var\.issue\}\} for --var issue$/,
  );
});

Deno.test("render() does not make what is too long to be sent", () => {
  const value = "x".repeat(1_000_000);
  const once = "{{var.X}}";
  strictEqual(render(once, VALUES, { X: value }).length, value.length);
  throws(
    // Made first, it would not fit into memory.
    () => render(once.repeat(100_000), VALUES, { X: value }),
    /^AppError: Cannot render the message: with its values it is longer than 1048576 bytes/,
  );
});

Deno.test("render() takes a long template with many placeholders in its stride", () => {
  const template = "{{var.a}}\n".repeat(50_000);
  strictEqual(render(template, VALUES, { a: "b" }), "b\n".repeat(50_000));
});
