/** Every way in which a gateway can't be reached names its address, why, and what helps there. Texts: Deno 2.9.6. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { gatewayAddress } from "../../../lib/client_settings.ts";
import { connectFailure, noAnswer } from "../../../gateway/connect_failure.ts";

const CONNECT = "fetch failed: error sending request for url (http://x/health): client error (Connect): ";
const REFUSED = `${CONNECT}tcp connect error: Connection refused (os error 111)`;
const NO_NAME = `${CONNECT}dns error: failed to lookup address information: Name or service not known`;

interface Row {
  readonly url: string;
  readonly said: string;
  readonly message: RegExp;
  readonly detail: RegExp | null;
  readonly unsent: boolean;
  readonly hopeless: boolean;
}

const ROWS: readonly Row[] = [
  {
    url: "http://127.0.0.1:6767",
    said: REFUSED,
    message:
      /^Gateway request failed for http:\/\/127\.0\.0\.1:6767 \(connection refused\)\. Is the gateway running\? Start it with: dev-sessions gateway --port 6767$/,
    detail:
      /^In a container, 127\.0\.0\.1 is the container itself: use http:\/\/host\.docker\.internal:6767$/,
    unsent: true,
    hopeless: false,
  },
  {
    url: "http://host.docker.internal:6799",
    said: REFUSED,
    message: /\(connection refused\)\. .* dev-sessions gateway --port 6799$/,
    detail:
      /on the host's own loopback only.*dev-sessions gateway --bind docker\nOr mount the directory of its socket/,
    unsent: true,
    hopeless: false,
  },
  {
    url: "http://host.docker.internal:6767",
    said: NO_NAME,
    message:
      /\(the name host\.docker\.internal is not known here\)\. On Linux, start the container with: --add-host=host\.docker\.internal:host-gateway$/,
    detail: /unix:\/\/<directory>\/gateway\.sock/,
    unsent: true,
    hopeless: true,
  },
  {
    url: "unix:///run/gw/gateway.sock",
    said: `${CONNECT}No such file or directory (os error 2)`,
    message: /^Gateway request failed for unix:\/\/\/run\/gw\/gateway\.sock \(there is no such socket\)\. /,
    detail: /mount the directory of its socket/,
    unsent: true,
    hopeless: false,
  },
  {
    url: "unix:///run/gw/gateway.sock",
    said: `${CONNECT}Connection refused (os error 111)`,
    message: /\(nobody listens on this socket\)/,
    detail: /mount the directory of the socket, not the socket itself/,
    unsent: true,
    hopeless: false,
  },
  {
    url: "unix:///run/gw/gateway.sock",
    said: `${CONNECT}Permission denied (os error 13)`,
    message: /\(permission denied\)\. .*mode 0666/,
    detail: null,
    unsent: true,
    hopeless: true,
  },
  {
    url: "http://10.0.0.1:6767",
    said: `${CONNECT}tcp connect error: No route to host (os error 113)`,
    message: /\(No route to host \(os error 113\)\)\. Is the gateway running\?/,
    detail: null,
    unsent: true,
    hopeless: false,
  },
  {
    url: "http://10.0.0.1:6767",
    said:
      "error sending request for url (http://x/): client error (SendRequest): connection closed before message completed",
    message: /\(the connection broke\)\. Try again$/,
    detail: /connection closed before message completed/,
    unsent: false,
    hopeless: false,
  },
];

Deno.test("connectFailure() tells the ways apart", async (t) => {
  for (const row of ROWS) {
    await t.step(`${row.url} ${row.said.slice(-40)}`, () => {
      const error = connectFailure(gatewayAddress({ DEV_SESSIONS_GATEWAY_URL: row.url }), row.said);
      strictEqual(error.code, "transport");
      match(error.message, row.message);
      if (row.detail === null) strictEqual(error.detail, null);
      else match(error.detail ?? "", row.detail);
      strictEqual(error.told.unsent, row.unsent);
      strictEqual(error.told.hopeless ?? false, row.hopeless);
    });
  }
});

Deno.test("noAnswer() thinks of the name that a container does not know", () => {
  const error = noAnswer(gatewayAddress({}), 6);
  match(error.message, /\(no answer within 6 s\)/);
  match(error.detail ?? "", /--add-host=host\.docker\.internal:host-gateway/);
  ok(error.told.unsent && error.told.hopeless);
});

Deno.test("noAnswer() of an address says nothing of names", () => {
  for (const url of ["http://10.0.0.1:6767", "http://[fd00::1]:6767"]) {
    const { detail } = noAnswer(gatewayAddress({ DEV_SESSIONS_GATEWAY_URL: url }), 6);
    match(detail ?? "", /^It may be another address .* or a firewall drops the packets/);
  }
});

Deno.test("a name that was known before may be known again", () => {
  const error = connectFailure(gatewayAddress({}), NO_NAME, true);
  match(error.message, /\(the name host\.docker\.internal is not known just now\)\. Try again$/);
  deepStrictEqual(error.told, { unsent: true, hopeless: false });
});
