// OpenSSH: a port that is passed on (`-L`), and a client's own input and output
// (`-W`), as in a `ProxyCommand`.

import { spawn as spawnPiped } from "node:child_process";
import { Daemon } from "../daemons.ts";
import { Peer } from "../peer.ts";
import { type Relay, testRelay } from "./relay.ts";

/** A server of ours, whose clients need its folder. */
async function startServer(): Promise<Daemon> {
  await Deno.mkdir("/run/sshd", { recursive: true });
  return await Daemon.start("sshd", ({ folder, ports }) => {
    const { success } = new Deno.Command("sh", {
      args: [
        "-c",
        "for key in host user; do ssh-keygen -q -t ed25519 -N '' -f $key; done",
      ],
      cwd: folder,
    }).outputSync();
    if (!success) throw new Error("There is no ssh-keygen");
    return `
Port ${ports[0]}
ListenAddress 127.0.0.1
HostKey ${folder}/host
AuthorizedKeysFile ${folder}/user.pub
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
`;
  });
}

function clientOf(server: Daemon): string {
  return `
Host there
  HostName 127.0.0.1
  Port ${server.port}
  User root
  IdentityFile ${server.folder}/user
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  ExitOnForwardFailure yes
`;
}

testRelay({
  name: "`ssh -L`",
  needs: "sshd",
  async start(port): Promise<Relay> {
    const server = await startServer();
    const client = await Daemon.start(
      "ssh",
      ({ ports }) =>
        `${clientOf(server)}  LocalForward 127.0.0.1:${
          ports[0]
        } 127.0.0.1:${port}\n`,
    );
    return {
      port: client.port,
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  },
});

testRelay({
  name: "`ssh -W`",
  needs: "sshd",
  async start(port): Promise<Relay> {
    const server = await startServer();
    const config = `${server.folder}/client`;
    await Deno.writeTextFile(config, clientOf(server));
    // Users of ssh -W kill it where others reset a socket.
    const peer = await Peer.of((socket) => {
      const args = ["-F", config, "-W", `127.0.0.1:${port}`, "there"];
      const ssh = spawnPiped("ssh", args, {
        stdio: ["pipe", "pipe", "inherit"],
      });
      socket.pipe(ssh.stdin);
      ssh.stdout.pipe(socket);
      socket.on("error", () => ssh.kill("SIGKILL"));
      ssh.stdin.on("error", () => {});
    });
    return {
      port: peer.port,
      async [Symbol.asyncDispose]() {
        await peer[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  },
});
