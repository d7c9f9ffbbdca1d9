/** Where the gateway listens: on loopback always, elsewhere only where it was told to, everywhere only when insisted. */

import type { Deps } from "../lib/deps.ts";
import { AppError } from "../lib/errors.ts";

export const LOOPBACK = "127.0.0.1";
const DOCKER_TIMEOUT_MS = 10_000;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;
const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::", "0:0:0:0:0:0:0:0", "*"]);

export type Bind =
  | { readonly kind: "docker" }
  | {
    readonly kind: "address";
    readonly address: string;
    readonly reach: "loopback" | "network" | "everywhere";
  };

/** Null for what is neither `docker` nor an address. Pure. */
export function parseBind(text: string): Bind | null {
  if (text === "docker") return { kind: "docker" };
  const address = text.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (address === "localhost") return { kind: "address", address: LOOPBACK, reach: "loopback" };
  const isAddress = IPV4.test(address) || address === "*" ||
    /^(?=.*:.*:)[0-9a-f:.]+$/.test(address);
  if (!isAddress) return null;
  if (WILDCARDS.has(address) || /^::(?:ffff:)?0\.0\.0\.0$/.test(address) || /^[0:]+$/.test(address)) {
    return { kind: "address", address: address === "*" ? "0.0.0.0" : address, reach: "everywhere" };
  }
  const isLoopback = address.startsWith("127.") || address === "::1";
  return { kind: "address", address, reach: isLoopback ? "loopback" : "network" };
}

/** The addresses to listen on, loopback first. @throws AppError when there is no Docker bridge. */
export async function addressesOf(
  binds: readonly Bind[],
  deps: Pick<Deps, "run" | "env">,
  interfaces: () => readonly NetworkInterface[] = Deno.networkInterfaces,
): Promise<string[]> {
  const addresses = [LOOPBACK];
  for (const bind of binds) {
    addresses.push(bind.kind === "docker" ? await dockerBridge(deps, interfaces) : bind.address);
  }
  // Who listens everywhere does so on loopback, too.
  const isEverywhere = addresses.includes("0.0.0.0");
  return [...new Set(addresses)].filter((address) => !isEverywhere || address !== LOOPBACK);
}

type NetworkInterface = Pick<Deno.NetworkInterfaceInfo, "name" | "family" | "address">;

async function dockerBridge(
  deps: Pick<Deps, "run" | "env">,
  interfaces: () => readonly NetworkInterface[],
): Promise<string> {
  const format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
  const asked = await deps.run("docker", ["network", "inspect", "bridge", "--format", format], {
    env: deps.env,
    timeoutMs: DOCKER_TIMEOUT_MS,
  });
  const own = new Map(
    interfaces().filter(({ family }) => family === "IPv4").map((one) => [one.address, one.name]),
  );
  const said = asked.kind === "exited" && asked.code === 0 ? asked.stdout.split(/\s+/) : [];
  const found = said.find((address) => IPV4.test(address) && own.has(address)) ??
    [...own].find(([, name]) => name === "docker0")?.[0];
  if (found !== undefined) return found;
  // Docker Desktop's bridge is in a machine of its own; its containers reach the loopback address of this one.
  const help = said.some((address) => IPV4.test(address))
    ? "its bridge is not on this machine. With Docker Desktop leave --bind docker out"
    : `no bridge was found. Start Docker, or name the address: dev-sessions gateway --bind <address>`;
  throw new AppError("failure", `Cannot listen on the Docker bridge: ${help}`);
}

/** For people and `Host` headers: `[::1]:6767`. Pure. */
export function shownAddress(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
