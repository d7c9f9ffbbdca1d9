/** What a `SCRIPT:` prompt makes the stub agent do within one turn. */

import { commandMenu, planMenu, questionMenu, UNKNOWN_MENU } from "./stub_agent_dialog.ts";
import {
  type BackgroundTask,
  CHUNKS,
  type Decision,
  pause,
  shortId,
  Steps,
  type ToolOutcome,
} from "./stub_agent_steps.ts";

const REPLY_CHARS = 200;
const TASK_ID_CHARS = 9;
const CRASH_CODE = 3;
const FILE_POLL_MS = 10;
const QUESTION = {
  question: "Which colour?",
  header: "Colour",
  options: [{ label: "Red", description: "warm" }, { label: "Blue", description: "cold" }],
  multiSelect: false,
};
async function fileExists(path: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      Deno.statSync(path);
      return;
    } catch {
      await pause(FILE_POLL_MS, signal);
    }
  }
}

/** Seconds, or the path of a file to wait for. */
const until = (argument: string, signal: AbortSignal) =>
  argument.startsWith("/") ? fileExists(argument, signal) : pause((Number(argument) || 0) * 1000, signal);

const denied = (decision: Decision): ToolOutcome => ({
  content: decision.message ?? "Permission denied",
  result: `Error: ${decision.message ?? "Permission denied"}`,
  error: true,
  extra: { permissionDecision: { decision: "reject", source: "hook" } },
});

export class Script extends Steps {
  /** Does what the prompt's directive says; returns the last text of the turn. */
  async run(prompt: string, signal: AbortSignal): Promise<string> {
    const directive = [...prompt.matchAll(/SCRIPT:(\w+)(?: ([^\n]*))?/g)].at(-1);
    const verb = directive?.[1] ?? "";
    const args = directive?.[2] ?? "";
    const [first = "", ...others] = args.split(" ");
    const rest = others.join(" ");
    const command = { command: args, description: "Run a scripted command" };
    const done = (outcome: ToolOutcome) =>
      this.reply(`DONE after tool: ${outcome.content.slice(0, REPLY_CHARS)}`);
    const status = /^err(\d{3})$/.exec(verb)?.[1];
    if (status !== undefined) return await this.fail(status, Number(first) || 0, signal);
    switch (verb) {
      case "slow":
        return await this.stream("slow ".repeat(CHUNKS), Number(first) || 1, signal);
      case "gate":
        await this.silence(fileExists(first, signal));
        return this.reply(`REPLY: gate ${first} opened`);
      case "gatetool": {
        const input = { command: `wait for ${first}`, description: "Run a scripted command" };
        const outcome = this.tool("Bash", input, signal, async () => {
          await fileExists(first, signal);
          return { content: "the gate is open", result: { stdout: "the gate is open", stderr: "" } };
        });
        return done(await outcome);
      }
      case "bash":
        return done(await this.tool("Bash", command, signal, () => this.shell(args, signal)));
      case "multi":
        for (let round = 1; round <= (Number(first) || 1); round++) {
          const input = { ...command, command: `sleep ${rest || 0}; echo round ${round}` };
          await this.tool("Bash", input, signal, () => this.shell(input.command, signal));
        }
        return this.reply(`REPLY: ${first} rounds done`);
      case "permission":
        return done(
          await this.tool("Bash", command, signal, (id) => this.#askToRun(id, args || "true", signal)),
        );
      case "ask":
        return done(
          await this.tool(
            "AskUserQuestion",
            { questions: [QUESTION] },
            signal,
            (id) => this.#ask(id, signal),
          ),
        );
      case "plan": {
        const plan = { plan: "# Plan\n1. first\n2. second" };
        return done(await this.tool("ExitPlanMode", plan, signal, (id) => this.#plan(id, plan, signal)));
      }
      case "dialog":
        this.host.registry.set("waiting", "dialog open");
        await this.host.choose(UNKNOWN_MENU, signal);
        this.host.registry.set("busy");
        return this.reply("REPLY: the dialog was closed");
      case "bgshell":
        return done(await this.#startShell(/^[\d.]+$/.test(args) ? `sleep ${args}` : args || "true", signal));
      case "subagent":
        return done(await this.#startSubagent(first, signal));
      case "long":
        return this.reply(
          `REPLY: ${Array.from({ length: Number(first) || 20_000 }, (_, i) => `word${i}`).join(" ")}`,
        );
      case "crash":
        this.host.transcript.flush();
        return this.host.crash(Number(first) || CRASH_CODE);
      case "plain":
        return this.reply(`REPLY: ${args} [length ${prompt.length}]`);
      default:
        return this.reply(`REPLY: ${prompt.trim().slice(0, REPLY_CHARS)} [length ${prompt.length}]`);
    }
  }

  async #askToRun(id: string, command: string, signal: AbortSignal): Promise<ToolOutcome> {
    const input = { command, description: "Run a scripted command" };
    const decision = await this.permission(
      id,
      "Bash",
      input,
      "permission prompt",
      commandMenu(command),
      signal,
    );
    if (decision.behavior === "deny") return denied(decision);
    const source = decision.choice === null ? "hook" : "user_temporary";
    return {
      ...await this.shell(command, signal),
      extra: { permissionDecision: { decision: "accept", source } },
    };
  }

  async #ask(id: string, signal: AbortSignal): Promise<ToolOutcome> {
    const input = { questions: [QUESTION] };
    const labels = QUESTION.options.map((option) => option.label);
    const spec = questionMenu(QUESTION.question, labels);
    const decision = await this.permission(id, "AskUserQuestion", input, "input needed", spec, signal);
    if (decision.behavior === "deny") return denied(decision);
    const { choice } = decision;
    const chosen = choice === null ? {} : { [QUESTION.question]: choice.text ?? labels[choice.index] ?? "" };
    const answers = decision.updatedInput?.answers ?? chosen;
    const listed = Object.entries(answers).map(([question, answer]) => `"${question}"="${answer}"`).join(
      ", ",
    );
    return {
      extra: {
        permissionDecision: { decision: "accept", source: choice === null ? "hook" : "user_temporary" },
      },
      content:
        `Your questions have been answered: ${listed}. You can now continue with these answers in mind.`,
      result: { ...input, answers, annotations: {} },
    };
  }

  async #plan(id: string, plan: { readonly plan: string }, signal: AbortSignal): Promise<ToolOutcome> {
    const decision = await this.permission(
      id,
      "ExitPlanMode",
      plan,
      "permission prompt",
      planMenu(plan.plan),
      signal,
    );
    if (decision.behavior === "deny") return denied(decision);
    const source = decision.choice === null ? "hook" : "user_temporary";
    return {
      extra: { permissionDecision: { decision: "accept", source } },
      content: "User has approved exiting plan mode. You can now proceed.",
      result: { ...plan, isAgent: false },
    };
  }

  #startShell(command: string, signal: AbortSignal): Promise<ToolOutcome> {
    const input = { command, description: "bg", run_in_background: true };
    return this.tool("Bash", input, signal, (toolUseId) => {
      const id = shortId("b").slice(0, TASK_ID_CHARS);
      const task: BackgroundTask = { id, type: "shell", description: "bg", command };
      const work = this.shell(command, this.turns.ending);
      this.turns.background(task, toolUseId, work, 'Background command "bg" completed (exit code 0)');
      const content = `Command running in background with ID: ${id}.`;
      return Promise.resolve({ content, result: { stdout: "", stderr: "", backgroundTaskId: id } });
    });
  }

  #startSubagent(argument: string, signal: AbortSignal): Promise<ToolOutcome> {
    const input = { description: "sub task", prompt: "work", subagent_type: "general-purpose" };
    return this.tool("Agent", input, signal, async (toolUseId) => {
      const id = shortId("a");
      const agent = { prompt_id: this.turns.promptId, agent_id: id, agent_type: "general-purpose" };
      await this.host.hooks.run("SubagentStart", agent);
      const task: BackgroundTask = { id, type: "subagent", description: "sub task" };
      const work = until(argument, this.turns.ending);
      this.turns.background(task, toolUseId, work, 'Agent "sub task" finished');
      const content = "Async agent launched successfully.";
      return {
        content,
        result: { isAsync: true, status: "async_launched", agentId: id, description: "sub task" },
      };
    });
  }
}
