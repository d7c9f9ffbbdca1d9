/** What the waiting hook tells Claude, and what Claude itself suggests to allow from now on. Pure. */

import * as v from "valibot";
import type { FittingAnswer } from "../../lib/session.ts";
import type { HookBody } from "./hook_log.ts";

/** Said to the model, which goes on with its turn, where the caller gives no reason. */
const DENIED = "The request was denied.";

/**
 * Of Claude's suggestions those that allow more for certain tools, folders or edits; never one that skips all
 * permissions, and none of a kind that we don't know.
 */
const Suggestion = v.variant("type", [
  v.object({
    type: v.literal("addRules"),
    behavior: v.literal("allow"),
    rules: v.array(v.object({ toolName: v.string(), ruleContent: v.optional(v.string()) })),
  }),
  v.object({ type: v.literal("addDirectories"), directories: v.array(v.string()) }),
  v.object({ type: v.literal("setMode"), mode: v.literal("acceptEdits") }),
]);
export type Suggestion = v.InferOutput<typeof Suggestion>;

/** Empty for none, and for anything that is no list of suggestions. */
export function usableSuggestions(given: unknown): Suggestion[] {
  if (!Array.isArray(given)) return [];
  return given.flatMap((one) => {
    const parsed = v.safeParse(Suggestion, one);
    return parsed.success ? [parsed.output] : [];
  });
}

/** `allow Bash(npm test:*); allow access to /tmp`; null for none. */
export function suggestionInWords(suggestions: readonly Suggestion[]): string | null {
  const words = suggestions.map((suggestion) => {
    switch (suggestion.type) {
      case "addRules":
        return `allow ${
          suggestion.rules.map(({ toolName, ruleContent }) =>
            ruleContent === undefined ? toolName : `${toolName}(${ruleContent})`
          ).join(", ")
        }`;
      case "addDirectories":
        return `allow access to ${suggestion.directories.join(", ")}`;
      case "setMode":
        return "accept edits of files without asking";
    }
  });
  return words.length === 0 ? null : words.join("; ");
}

/** A decision on a request, as Claude understands it. */
export type Decision =
  | {
    readonly behavior: "allow";
    readonly updatedInput?: unknown;
    readonly updatedPermissions?: readonly (Suggestion & { readonly destination: "session" })[];
  }
  | { readonly behavior: "deny"; readonly message: string; readonly interrupt?: true };

/** `request` is the event's own body. What is allowed from now on ends with the session. */
export function decisionOf(
  answer: FittingAnswer,
  request: Pick<HookBody, "tool_name" | "tool_input" | "permission_suggestions">,
): Decision {
  switch (answer.kind) {
    case "approve":
      // Without its input back Claude would ask for the plan's approval once more, in a dialog of its own.
      return request.tool_name === "ExitPlanMode"
        ? { behavior: "allow", updatedInput: request.tool_input ?? {} }
        : { behavior: "allow" };
    case "always":
      return {
        behavior: "allow",
        updatedPermissions: usableSuggestions(request.permission_suggestions)
          .map((suggestion) => ({ ...suggestion, destination: "session" })),
      };
    case "deny":
      return { behavior: "deny", message: answer.message ?? DENIED };
    case "answers": {
      const input = isObject(request.tool_input) ? request.tool_input : {};
      const questions = Array.isArray(input["questions"]) ? input["questions"] : [];
      const answers = answer.answers.map((picks, index) => [
        String((questions[index] as { question?: unknown } | undefined)?.question ?? ""),
        picks.join(", "),
      ]);
      return { behavior: "allow", updatedInput: { ...input, answers: Object.fromEntries(answers) } };
    }
  }
}

/** The one line that the hook prints. */
export function hookOutput(decision: Decision): string {
  return `${JSON.stringify({ hookSpecificOutput: { hookEventName: "PermissionRequest", decision } })}\n`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
