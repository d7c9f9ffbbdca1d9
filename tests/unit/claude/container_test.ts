/** What a contained Claude signs in with, and the state that it begins with. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { credentialsFor, withoutQuestions } from "../../../backends/claude/container.ts";
import { pathsFrom } from "../../../lib/paths.ts";

Deno.test("credentials: a variable, else those of the container, else the user's own file, else none", async () => {
  const home = await Deno.makeTempDir();
  try {
    const paths = pathsFrom({ HOME: home });
    const config = join(home, "container");
    const find = (env: Record<string, string>, names: readonly string[] = []) =>
      credentialsFor(env, paths, { env: names }, config);
    strictEqual(find({}), null);
    strictEqual(find({ ANTHROPIC_API_KEY: "" }), null);
    deepStrictEqual(find({ CLAUDE_CODE_OAUTH_TOKEN: "x" }), { from: "environment" });
    strictEqual(find({ CLAUDE_CODE_USE_BEDROCK: "1" }), null);
    deepStrictEqual(find({ CLAUDE_CODE_USE_BEDROCK: "1" }, ["CLAUDE_CODE_USE_BEDROCK"]), {
      from: "environment",
    });
    const own = join(home, ".claude", ".credentials.json");
    await Deno.mkdir(join(home, ".claude"));
    await Deno.writeTextFile(own, "");
    strictEqual(find({}), null);
    await Deno.writeTextFile(own, "{}");
    deepStrictEqual(find({}), { from: "file", path: own });
    await Deno.mkdir(config);
    await Deno.writeTextFile(join(config, ".credentials.json"), "{}");
    deepStrictEqual(find({}), { from: "container" });
    deepStrictEqual(find({ ANTHROPIC_API_KEY: "k" }), { from: "environment" });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("the state it begins with asks nothing, and keeps what was there", () => {
  deepStrictEqual(withoutQuestions({}, undefined), { hasCompletedOnboarding: true });
  deepStrictEqual(withoutQuestions({ theme: "dark" }, "sk-0123456789abcdefghijKLMNOPQRST"), {
    theme: "dark",
    hasCompletedOnboarding: true,
    customApiKeyResponses: { approved: ["abcdefghijKLMNOPQRST".slice(-20)], rejected: [] },
  });
  const known = { hasCompletedOnboarding: true, customApiKeyResponses: { approved: ["k"], rejected: [] } };
  deepStrictEqual(withoutQuestions(known, "k"), known);
  deepStrictEqual(withoutQuestions({ customApiKeyResponses: "forged" }, "k"), {
    hasCompletedOnboarding: true,
    customApiKeyResponses: { approved: ["k"], rejected: [] },
  });
});
