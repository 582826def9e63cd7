// Clients of SMTP, with the double in the examples.

import { assertEquals, assertRejects } from "@std/assert";
import { type Mail, smtpDouble } from "../../examples/smtp_double.ts";
import { testWith } from "../clients.ts";
import { fromNpm } from "../npm.ts";
import { runProgram } from "../programs.ts";
import { serveLocally, testIf } from "../support.ts";

interface Transport {
  sendMail(mail: object): Promise<{ accepted: string[]; rejected: string[] }>;
  close(): void;
}

const nodemailer = await fromNpm<{
  default: { createTransport(options: object): Transport };
}>("nodemailer@7.0.10");

/** A double, what it has taken, and a way to send to it. */
function double() {
  const mails: Mail[] = [];
  const { server, records } = serveLocally(
    { streaming: true },
    smtpDouble((mail) => void mails.push(mail)),
  );
  return { server, records, mails };
}

testIf(
  nodemailer !== undefined,
  "nodemailer",
  "smoke: nodemailer sends several mails, and is told of a recipient that is refused",
  async () => {
    const { server, records, mails } = double();
    const transport = nodemailer?.default.createTransport({
      host: "127.0.0.1",
      port: server.addr.port,
      // All on one connection.
      pool: true,
      maxConnections: 1,
    });
    if (!transport) throw new Error("There is no transport");
    const text = ".dot\n..two\n" + "long ".repeat(1000) + "\n\u{1f600}\n";
    const mail = { from: "me@example.com", subject: "hello", text };
    for (const to of ["one@example.com", "two@example.com, six@example.com"]) {
      await transport.sendMail({ ...mail, to });
    }
    const { accepted, rejected } = await transport.sendMail({
      ...mail,
      to: "nobody@example.com, three@example.com",
    });
    assertEquals([accepted, rejected], [
      ["three@example.com"],
      ["nobody@example.com"],
    ]);
    const refused = { ...mail, to: "nobody@example.com" };
    await assertRejects(
      () => transport.sendMail(refused),
      Error,
      "550 nobody@example.com does not live here",
    );
    transport.close();
    await server.shutdown();
    assertEquals(mails.map(({ from, to }) => [from, ...to]), [
      ["me@example.com", "one@example.com"],
      ["me@example.com", "two@example.com", "six@example.com"],
      ["me@example.com", "three@example.com"],
    ]);
    const [first] = mails;
    assertEquals(/^Subject: hello\r$/m.test(first?.data ?? ""), true);
    assertEquals(records.outcomes, ["ok"]);
  },
);

const script = `
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as smtp:
    for name in ["one", "two"]:
        refused = smtp.sendmail("me@example.com", [name + "@example.com", "nobody@example.com"],
                                "Subject: hello\\r\\n\\r\\n.dot\\r\\n..two\\r\\n")
        print(refused["nobody@example.com"][0])
`;

testWith(
  { needs: "python3" },
  "interop: smtplib sends several mails, and is told of a recipient that is refused",
  async () => {
    const { server, records, mails } = double();
    const { code, stdout, stderr } = await runProgram("python3", [
      ...["-c", script, `${server.addr.port}`],
    ]);
    assertEquals([code, stdout], [0, "550\n550\n"], stderr);
    await server.shutdown();
    assertEquals(mails.map(({ to }) => to), [
      ["one@example.com"],
      ["two@example.com"],
    ]);
    assertEquals(mails[0]?.data, "Subject: hello\r\n\r\n.dot\r\n..two\r\n");
    assertEquals(records.outcomes, ["ok"]);
  },
);
