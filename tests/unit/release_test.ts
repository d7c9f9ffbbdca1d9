/** A release has the version of its tag, and an installer that knows where it is; the workflows call what there is. */

import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { join } from "node:path";
import { checkTag, stampInstaller } from "../../build/release.ts";
import config from "../../deno.json" with { type: "json" };
import { workflow } from "../support/workflow.ts";

const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");
const SCRIPT = '#!/bin/sh\nDEFAULT_BASE_URL=""\nbase=${DEV_SESSIONS_BASE_URL:-$DEFAULT_BASE_URL}\n';
const ADDRESS = "https://github.com/some-one/dev_sessions.x/releases";

Deno.test("checkTag() accepts v and the version alone", () => {
  checkTag("v0.5.0", "0.5.0");
  for (const tag of ["0.5.0", "v0.5", "v0.5.0-rc.1", "v0.5.0 ", "V0.5.0", ""]) {
    throws(() => checkTag(tag, "0.5.0"), {
      message:
        `Cannot release "${tag}": the version in deno.json is 0.5.0. Change it, or push the tag v0.5.0`,
    });
  }
});

Deno.test("stampInstaller() changes the default and nothing else, and only where it stands once", () => {
  strictEqual(
    stampInstaller(SCRIPT, ADDRESS),
    `#!/bin/sh\nDEFAULT_BASE_URL="${ADDRESS}"\nbase=\${DEV_SESSIONS_BASE_URL:-$DEFAULT_BASE_URL}\n`,
  );
  const wrong: [script: string, times: number][] = [
    ["#!/bin/sh\n", 0],
    [`${SCRIPT}DEFAULT_BASE_URL=""\n`, 2],
    [SCRIPT.replace('""', '"x"'), 0],
    [SCRIPT.replace("DEFAULT", " DEFAULT"), 0],
    [stampInstaller(SCRIPT, ADDRESS), 0],
  ];
  for (const [script, times] of wrong) {
    throws(() => stampInstaller(script, ADDRESS), new RegExp(`stands there ${times} times, not once$`));
  }
  for (
    const address of [
      "",
      "http://x/releases",
      "https://x/$(id)",
      'https://x/"',
      "https://x/a b",
      "https://x/\n",
    ]
  ) {
    throws(() => stampInstaller(SCRIPT, address), /is not the address of a folder$/);
  }
});

Deno.test("install.sh is ready to be stamped", async () => {
  const script = await Deno.readTextFile(join(CHECKOUT, "install.sh"));
  const stamped = stampInstaller(script, ADDRESS);
  strictEqual(stamped.replace(`DEFAULT_BASE_URL="${ADDRESS}"`, 'DEFAULT_BASE_URL=""'), script);
});

Deno.test("the workflows run tasks that exist, with pinned actions and no more rights than they need", async (t) => {
  for (const name of ["ci.yml", "release.yml"]) {
    await t.step(name, async () => {
      const { text, runs, uses } = await workflow(name);
      ok(runs.includes("bash .ci/run"));
      await Deno.stat(join(CHECKOUT, ".ci", "run"));
      for (const run of runs) {
        const [, task] = /task (\S+)/.exec(run) ?? [];
        if (task !== undefined) ok(Object.hasOwn(config.tasks, task), `there is no task ${task}`);
        // Names of branches and tags are somebody's text: they come in as variables, quoted.
        ok(!run.includes("${{"), run);
      }
      for (const use of uses) match(use, /^actions\/[a-z-]+@v\d+$/);
      ok(!text.includes("\t"));
      match(text, /^permissions:\n {2}contents: read$/m);
    });
  }
});

Deno.test("the release workflow builds with the Deno of the gate, and only its last job may write", async () => {
  const { text, runs } = await workflow("release.yml");
  const gate = /^DENO="(deno@[\d.]+)"$/m.exec(await Deno.readTextFile(join(CHECKOUT, ".ci", "run")))?.[1];
  strictEqual(/^ {2}DENO: (.+)$/m.exec(text)?.[1], gate);
  match(text, /^ {4}tags: \["v\*"\]$/m);
  strictEqual(text.match(/contents: write/g)?.length, 1);
  match(text.slice(text.indexOf("\n  release:")), /^ {4}needs: gate$[\s\S]*^ {6}contents: write$/m);
  const order = [
    "release check",
    "bash .ci/run",
    "test:binary --compiled",
    "release installer",
    "task compile",
    ">release/VERSION",
    "gh release",
  ];
  deepStrictEqual(
    runs.flatMap((run) => order.filter((part) => run.includes(part))),
    order,
  );
});
