/** Understands one verb's arguments with its declared flags; everything it can't understand is a usage error. */

import { buildApplication, buildCommand, buildRouteMap, type Command, run, text_en } from "@stricli/core";
import { AppError } from "../errors.ts";
import type { Deps } from "../deps.ts";
import { prepareArguments } from "./arguments.ts";
import { usageTexts } from "./usage_texts.ts";
import { answer, type Invocation, type ParseContext, usageError } from "./verb.ts";

type Load = () => Promise<{ readonly command: Command<ParseContext> }>;

const SCANNER = { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true } as const;
const DOCUMENTATION = {
  caseStyle: "convert-camel-to-kebab",
  onlyRequiredInUsageLine: true,
  disableAnsiColor: true,
} as const;

/**
 * `load` is null for an unknown verb; `names` are the known ones. The help of a verb is an invocation, too.
 *
 * @throws AppError (usage)
 */
export async function parse(
  name: string,
  load: Load | null,
  argv: readonly string[],
  names: readonly string[],
  deps: Deps,
): Promise<Invocation> {
  const target = load === null ? stubs(names) : (await load()).command;
  const parameters = "parameters" in target ? target.parameters : {};
  const { inputs, positionals } = load === null
    ? { inputs: [name], positionals: 0 }
    : prepareArguments(argv, parameters);

  let invocation: Invocation | null = null;
  let thrown: { readonly error: unknown } | null = null;
  const complaints: string[] = [];
  const page: string[] = [];
  const context: ParseContext & { process: { exitCode?: number | string | null } } = {
    env: deps.env,
    cwd: deps.cwd,
    accept: (accepted) => invocation = accepted,
    process: {
      stdout: { write: (text) => void page.push(text) },
      stderr: { write: (text) => void complaints.push(text) },
    },
  };
  const configuration = {
    name: load === null ? "dev-sessions" : `dev-sessions ${name}`,
    scanner: SCANNER,
    documentation: DOCUMENTATION,
    localization: { text: { ...text_en, ...usageTexts(name, parameters, positionals) } },
    determineExitCode: (error: unknown) => {
      thrown = { error };
      return 1;
    },
  };
  const app = "parameters" in target
    ? buildApplication(target, configuration)
    : buildApplication(target, configuration);
  await run(app, inputs, context);
  if (thrown !== null) throw (thrown as { readonly error: unknown }).error;
  if (complaints.length > 0) throw complaint(complaints.join(""), load === null ? null : name);
  if (invocation !== null) return invocation;
  const { helpPage } = await import("./help_page.ts");
  return answer(helpPage(page.join(""), name, parameters));
}

/** Only their names count: the parser suggests the nearest ones. */
function stubs(names: readonly string[]) {
  const stub = buildCommand<Record<never, never>, [], ParseContext>({
    docs: { brief: "" },
    parameters: {},
    func: () => {},
  });
  return buildRouteMap({
    docs: { brief: "" },
    routes: Object.fromEntries(names.map((name) => [name, stub])),
  });
}

function complaint(text: string, verb: string | null): AppError {
  const [message = "", ...detail] = text.trimEnd().split("\n");
  const help = `See: dev-sessions help${verb === null ? "" : ` ${verb}`}`;
  return usageError(message, [...detail, help].join("\n"));
}
