/** The stub agent's command line and its `STUB_AGENT` switches. */

const VALUE_OPTIONS = ["--session-id", "--resume", "--permission-mode", "--settings", "--model", "--name"];

/** The behaviours of `STUB_AGENT=a,b=value`. */
export const switches = new Map(
  (Deno.env.get("STUB_AGENT") ?? "").split(",").filter((entry) => entry !== "").map((entry) => {
    const [name = "", value = ""] = entry.split("=");
    return [name.trim(), value.trim()] as const;
  }),
);

export function parseArguments(
  args: readonly string[],
): { options: Map<string, string>; prompt: string | null } {
  const options = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--") return { options, prompt: args[i + 1] ?? null };
    const [name = "", inline] = arg.split(/=(.*)/s);
    if (!VALUE_OPTIONS.includes(name)) options.set(arg, "");
    else options.set(name, inline ?? args[++i] ?? "");
  }
  return { options, prompt: null };
}
