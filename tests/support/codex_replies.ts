/** What the scripted Codex model reads in a request and answers to it; pure. */

/** A tool call, or what the model says. */
export type Output =
  | { readonly type: "say"; readonly text: string }
  | { readonly type: "call"; readonly name: string; readonly arguments: unknown }
  | { readonly type: "custom"; readonly name: string; readonly input: string };

export interface Reply {
  readonly outputs: readonly Output[];
  /** An HTTP failure instead of everything else. */
  readonly failure?: { readonly status: number; readonly error: Readonly<Record<string, unknown>> };
  /** Only the first request of the same prompt fails. */
  readonly once?: boolean;
  /** `response.failed` with this code. */
  readonly failed?: string;
  /** Never answers, not even with headers. */
  readonly hang?: boolean;
  /** The stream breaks off after its first delta. */
  readonly cut?: boolean;
  /** Held here before the headers. */
  readonly gate?: string;
  /** Held here after the first half of the text. */
  readonly streamGate?: string;
  /** For the whole text, in 20 parts. */
  readonly streamMs?: number;
}

export interface Body {
  readonly model?: string;
  readonly prompt_cache_key?: string;
  readonly input?: readonly Item[];
  readonly tools?: readonly Tool[];
}
export interface Tool {
  readonly name?: string;
  readonly type?: string;
  readonly tools?: readonly Tool[];
}
export interface Item {
  readonly type?: string;
  readonly role?: string;
  readonly content?: string | readonly { readonly text?: string }[];
  readonly name?: string;
  readonly output?: unknown;
  readonly tools?: readonly Tool[];
}

export interface Newest {
  /** What a person wrote last, or a goal's objective; empty when there is nothing. */
  readonly prompt: string;
  /** The turn continues a goal; nobody wrote anything. */
  readonly isGoal: boolean;
  /** Results of tools since then. */
  readonly results: readonly string[];
}

const PROMPT_START_CHARS = 200;
const RESULT_CHARS = 2000;
/** What Codex itself writes as the user. */
const CONTEXT = /^\s*(<(environment_context|user_instructions|turn_aborted|permissions)|# AGENTS)/;
const GOAL = /^\s*<codex_internal_context source="goal/;

function textOf(item: Item): string {
  const { content = "" } = item;
  return typeof content === "string" ? content : content.map(({ text = "" }) => text).join("");
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

export function newestPrompt(input: readonly Item[]): Newest {
  const at = input.findLastIndex((item) =>
    item.type === "message" && item.role === "user" && !CONTEXT.test(textOf(item))
  );
  const prompt = at < 0 ? "" : textOf(input[at]!);
  const results = input.slice(at + 1).filter(({ type = "" }) => type.endsWith("_output"))
    .map(({ output }) => asText(output));
  if (!GOAL.test(prompt)) return { prompt, isGoal: false, results };
  const objective = input.findLast((item) => item.name === "goal_objective" && item.output !== undefined);
  return { prompt: asText(objective?.output ?? ""), isGoal: true, results };
}

/** Names of all tools, those of a bundle as `bundle.name`. */
export function toolNames(body: Body): string[] {
  const added = (body.input ?? []).filter(({ type }) => type === "additional_tools").flatMap((item) =>
    item.tools ?? []
  );
  return [...body.tools ?? [], ...added].flatMap((tool) => {
    const name = tool.name ?? tool.type ?? "";
    return [name, ...(tool.tools ?? []).map((inner) => `${name}.${inner.name ?? ""}`)];
  });
}

export const say = (text: string): Reply => ({ outputs: [{ type: "say", text }] });
const fail = (status: number, type: string, message: string): Reply => ({
  outputs: [],
  failure: { status, error: { type, code: type, message } },
});

const STATUS_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "invalid_api_key",
  429: "rate_limit_exceeded",
};
const QUESTION = {
  id: "colour",
  header: "Colour",
  question: "Which colour?",
  options: [{ label: "Red", description: "warm" }, { label: "Blue", description: "cold" }],
};

/**
 * Newer models reach their tools through one tool that runs JavaScript; the others call them by name.
 */
class Tools {
  readonly #inScript: boolean;
  constructor(readonly names: readonly string[]) {
    this.#inScript = names.some((name) => /(^|\.)exec$/.test(name));
  }

  call(name: string, args: unknown): Output {
    if (!this.#inScript) return { type: "call", name, arguments: args };
    return { type: "custom", name: "exec", input: `text(await tools.${name}(${JSON.stringify(args)}));` };
  }

  shell(cmd: string, extra: Readonly<Record<string, unknown>> = {}): Reply {
    const tool = this.#inScript || this.names.includes("exec_command")
      ? this.call("exec_command", { cmd, yield_time_ms: 30_000, ...extra })
      : this.call("shell_command", { command: cmd, ...extra });
    return { outputs: [tool] };
  }

  patch(patch: string): Reply {
    return {
      outputs: [
        this.#inScript
          ? {
            type: "custom",
            name: "exec",
            input: `text(await tools.apply_patch(${JSON.stringify(patch)}));`,
          }
          : { type: "custom", name: "apply_patch", input: patch },
      ],
    };
  }
}

/** What `SCRIPT:<verb> <args>` in the newest prompt answers; without one, the prompt comes back. */
export function replyTo({ prompt, isGoal, results }: Newest, names: readonly string[], round: number): Reply {
  const tools = new Tools(names);
  const [, verb = "", args = ""] = [...prompt.matchAll(/SCRIPT:(\w+)(?: ([^\n]*))?/g)].at(-1) ?? [];
  const [first = "", ...others] = args.split(" ");
  const rest = others.join(" ");
  const number = Number(first) || 0;
  const afterTool = say(`DONE after tool: ${(results.at(-1) ?? "").slice(0, RESULT_CHARS)}`);

  const [, status, once] = /^err(\d{3})(once)?$/.exec(verb) ?? [];
  if (status !== undefined) {
    const type = STATUS_TYPES[Number(status)] ?? "server_error";
    return { ...fail(Number(status), type, `scripted ${type}`), once: once !== undefined };
  }
  if (verb === "toolgate" && results.length > 0) {
    return { ...say(`REPLY: gate ${first} opened`), gate: first };
  }
  if (results.length > 0 && !["", "plain", "rounds"].includes(verb)) return afterTool;
  switch (verb) {
    case "plain":
      return say(`REPLY: ${args}`);
    case "slow":
      return { ...say(Array.from({ length: 20 }, (_, i) => `slow${i} `).join("")), streamMs: number * 1000 };
    case "hang":
      return { ...say(""), hang: true };
    case "gate":
      return { ...say(`REPLY: gate ${first} opened`), gate: first };
    case "streamgate":
      return { ...say(`REPLY: before gate ${first}; after gate ${first}`), streamGate: first };
    case "shell":
      return tools.shell(args);
    case "toolgate":
      return tools.shell(rest);
    case "rounds":
      return results.length < number ? tools.shell(rest || "true") : say(`REPLY: ${number} rounds done`);
    case "escalate":
      return tools.shell(args, {
        sandbox_permissions: "require_escalated",
        justification: "The script wants it.",
      });
    case "patch":
      return tools.patch(`*** Begin Patch\n*** Add File: ${first}\n+${rest}\n*** End Patch\n`);
    case "ask":
      return { outputs: [tools.call("request_user_input", { questions: [QUESTION] })] };
    case "tool":
      return { outputs: [tools.call(first, JSON.parse(rest || "{}"))] };
    case "goal":
      // A goal that is done in its nth turn; beyond it, the model only speaks.
      return isGoal && round >= number
        ? { outputs: [tools.call("update_goal", { status: rest || "complete" })] }
        : say(`REPLY: goal turn ${round}`);
    case "long":
      return say(`REPLY: ${"x".repeat(number || 200_000)}`);
    case "usagelimit":
      return {
        outputs: [],
        failure: {
          status: 429,
          error: {
            type: "usage_limit_reached",
            message: "The usage limit has been reached",
            plan_type: "plus",
            resets_at: 4_000_000_000,
          },
        },
      };
    case "quota":
      return fail(429, "insufficient_quota", "You exceeded your current quota");
    case "failed":
      return { ...say(""), failed: first };
    case "context":
      return { ...say(""), failed: "context_length_exceeded" };
    case "cut":
      return { ...say("partial"), cut: true };
    default:
      return say(`REPLY: ${prompt.trim().slice(0, PROMPT_START_CHARS)}`);
  }
}
