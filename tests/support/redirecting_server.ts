/** A server with a certificate of its own that leads every https request on to an address in clear text. */

import { strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { Sandbox } from "./harness.ts";

export interface RedirectingServer extends AsyncDisposable {
  readonly url: string;
  /** For `WGETRC`: with it, wget trusts the server. */
  readonly wgetrc: string;
}

/** @param to what the path of a request is appended to. */
export async function redirectingServer(sandbox: Sandbox, to: string): Promise<RedirectingServer> {
  const [key, cert, wgetrc] = ["key.pem", "cert.pem", "wgetrc"].map((name) => join(sandbox.root, name)) as [
    string,
    string,
    string,
  ];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const made = await sandbox.spawn("openssl", ["req", ...kind, ...names, "-keyout", key, "-out", cert])
    .doneWithin(30_000, "openssl");
  strictEqual(made.code, 0, made.stderr);
  await Deno.writeTextFile(wgetrc, `ca_certificate = ${cert}\n`);
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    key: await Deno.readTextFile(key),
    cert: await Deno.readTextFile(cert),
    onListen: () => {},
  }, ({ url }) => Response.redirect(to + new URL(url).pathname));
  return {
    url: `https://localhost:${server.addr.port}`,
    wgetrc,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
