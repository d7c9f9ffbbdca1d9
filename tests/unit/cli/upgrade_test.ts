/** What `upgrade` says and decides from versions, from where releases are, and from what the installer says. */

import { strictEqual, throws } from "node:assert/strict";
import { inOurWords, isNewer, OF_INSTALLER, sentence } from "../../../lib/cli/upgrade.ts";
import { releasesAt } from "../../../lib/releases.ts";
import installer from "../../../install.sh" with { type: "text" };

Deno.test("isNewer() lets only a newer release be installed unasked", () => {
  strictEqual(isNewer("0.6.0", "0.5.0"), true);
  strictEqual(isNewer("0.5.0", "0.5.0-rc.1"), true);
  strictEqual(isNewer("0.5.0", "0.5.0"), false);
  strictEqual(isNewer("0.5.0+2", "0.5.0+1"), false);
  const older = (latest: string) =>
    `the latest release is ${latest}, older than this one, 0.5.0. ` +
    `Nothing was changed; to install it nevertheless: dev-sessions upgrade --to ${latest}`;
  for (const latest of ["0.4.9", "0.5.0-rc.1"]) {
    throws(() => isNewer(latest, "0.5.0"), { message: `Cannot upgrade dev-sessions: ${older(latest)}` });
  }
  throws(
    () => isNewer("2027.1", "0.5.0"),
    /which can't be compared with this one, 0\.5\.0\. Nothing was changed/,
  );
});

Deno.test("sentence() calls only a newer version an upgrade", () => {
  strictEqual(sentence("0.5.0", "0.5.1"), "Upgraded dev-sessions 0.5.0 to 0.5.1");
  strictEqual(sentence("0.5.0-rc.1", "0.5.0"), "Upgraded dev-sessions 0.5.0-rc.1 to 0.5.0");
  strictEqual(
    sentence("0.5.0", "0.4.9"),
    "Installed dev-sessions 0.4.9 in the place of 0.5.0, which is newer",
  );
  strictEqual(sentence("0.5.0", "2027.1"), "Installed dev-sessions 2027.1 in the place of 0.5.0");
  strictEqual(sentence("0.5.0", "0.5.0"), "Installed dev-sessions 0.5.0 again");
});

Deno.test("inOurWords() names the options of upgrade, not the installer's", () => {
  for (const words of Object.values(OF_INSTALLER)) strictEqual(installer.includes(words), true, words);
  const missing =
    "there is no http://x (404). Is there a version 9.9.9? Without --version you get the latest";
  strictEqual(
    inOurWords(missing, true),
    "there is no http://x (404). Is there a version 9.9.9? Without --to you get the latest",
  );
  strictEqual(inOurWords(missing, false), "there is no http://x (404). Is there a version 9.9.9?");
  strictEqual(
    inOurWords("the folder cannot be written. Choose another one with --prefix <folder>", true),
    "the folder cannot be written. Upgrade it as a user who may write there",
  );
});

Deno.test("releasesAt() takes what the user has set, else what is stamped into the installer", () => {
  const stamped = '#!/bin/sh\nDEFAULT_BASE_URL="https://github.com/a/b/releases"\n';
  strictEqual(releasesAt({}, stamped), "https://github.com/a/b/releases");
  strictEqual(releasesAt({ DEV_SESSIONS_BASE_URL: "" }, stamped), "https://github.com/a/b/releases");
  strictEqual(releasesAt({ DEV_SESSIONS_BASE_URL: "http://mirror/x//" }, stamped), "http://mirror/x");
  strictEqual(releasesAt({}, installer), null);
  for (const wrong of ["mirror", "ftp://x", "http://a b", "-o/etc/passwd", "https://"]) {
    throws(() => releasesAt({ DEV_SESSIONS_BASE_URL: wrong }, stamped), /is not an http address\. Correct/);
  }
});
