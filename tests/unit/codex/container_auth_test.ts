/** Which of the user's sign-ins a container only reads. */

import { strictEqual } from "node:assert/strict";
import { isKeyAlone } from "../../../backends/codex/container.ts";

Deno.test("isKeyAlone() is true of an API key, and of nothing that has to be renewed or is not known", () => {
  const rows: readonly (readonly [string, boolean])[] = [
    ['{"OPENAI_API_KEY":"sk-1"}', true],
    ['{"auth_mode":"apikey","OPENAI_API_KEY":"sk-1"}', true],
    ['{"OPENAI_API_KEY":"sk-1","tokens":null,"last_refresh":null}', true],
    ['{"OPENAI_API_KEY":"sk-1","tokens":{"access_token":"x"}}', false],
    ['{"auth_mode":"chatgpt","OPENAI_API_KEY":"sk-1"}', false],
    ['{"OPENAI_API_KEY":null,"tokens":{"access_token":"x"}}', false],
    ['{"OPENAI_API_KEY":"","tokens":null}', false],
    ['{"OPENAI_API_KEY":"sk-1","something":"new"}', false],
    ["null", false],
    ["[]", false],
    ["{", false],
    ["", false],
  ];
  for (const [text, expected] of rows) strictEqual(isKeyAlone(text), expected, text);
});
