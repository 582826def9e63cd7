// A systemd that has booted with units of ours alone: in namespaces of its own,
// and on a copy of the file system that nobody keeps.

import { assertEquals } from "@std/assert";
import {
  kill,
  type Output,
  printed,
  root,
  runProgram,
  spawn,
} from "./programs.ts";
import { temporaryFolder, until } from "./support.ts";

/** Where the copy has the checkout. */
const CHECKOUT = "/opt/checkout";

/** Targets that other units name. Ours need nothing of what they stand for. */
const targets = [
  ...["basic", "sysinit", "sockets", "shutdown", "multi-user"],
  ...["network-online", "booted"],
];

const boot = `
set -e
given=$1 checkout=$2 deno=$3
mount --make-rprivate /
mkdir -p /mnt
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mkdir -p opt/checkout opt/units usr/local/bin
touch usr/local/bin/deno
mount --bind "$deno" usr/local/bin/deno
tar -C "$checkout" --exclude .git --exclude ./tests -c . | tar -x -C opt/checkout
cp "$given"/* opt/units/
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount --rbind /dev dev
ip link set lo up
mkdir -p mnt/former
pivot_root . mnt/former
cd /
umount -l mnt/former
# In a container it leaves the kernel alone.
export container=other SYSTEMD_UNIT_PATH=/opt/units SYSTEMD_GENERATOR_PATH=/nowhere
exec /lib/systemd/systemd --system --unit=booted.target --show-status=no
`;

const namespaces = [
  "--fork",
  "--pid",
  "--mount",
  "--cgroup",
  "--net",
  "--ipc",
  "--uts",
];

/** Whether it can boot: only as root, and where the kernel lets it. */
export const canBoot = Deno.build.os === "linux" && Deno.uid() === 0 &&
  await printed(["/lib/systemd/systemd", "--version"]) !== undefined &&
  await printed([
      ...["unshare", ...namespaces, "sh", "-c"],
      "mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs tmpfs /mnt && " +
      "mkdir /mnt/a /mnt/b /mnt/c && mount -t overlay overlay " +
      "-o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c",
    ]) !== undefined;

/** A systemd, with the units of `deploy/`. */
export class BootedSystemd implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #pid: string;

  private constructor(child: Deno.ChildProcess, pid: string) {
    this.#child = child;
    this.#pid = pid;
  }

  /** Boots it. The units run the tool of the checkout. */
  static async boot(): Promise<BootedSystemd> {
    await using folder = await temporaryFolder();
    for (const target of targets) {
      const unit = `[Unit]\nDescription=${target}\nDefaultDependencies=no\n`;
      await Deno.writeTextFile(`${folder.path}/${target}.target`, unit);
    }
    for (const { name } of Deno.readDirSync(`${root}/deploy`)) {
      if (!/\.(?:service|socket)$/.test(name)) continue;
      const unit = await Deno.readTextFile(`${root}/deploy/${name}`);
      const command = `--import-map=${CHECKOUT}/offline/import_map.json ` +
        `${CHECKOUT}/cli.ts`;
      await Deno.writeTextFile(
        `${folder.path}/${name}`,
        unit.replaceAll(/(?<=^ +)jsr:\S+/gm, command),
      );
    }
    const child = spawn("unshare", [
      ...[...namespaces, "--kill-child", "bash", "-c", boot, "bash"],
      ...[folder.path, await Deno.realPath(root), Deno.execPath()],
    ], { stdout: "null", stderr: "null" });
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    const pid = await until(async () =>
      (await Deno.readTextFile(children)).trim()
    );
    const systemd = new BootedSystemd(child, pid);
    await until(async () =>
      (await systemd.#run("systemctl is-active booted.target")).code === 0
    );
    await systemd.run(
      "DENO_DIR=/opt/halfclose deno cache -q " +
        `--import-map=${CHECKOUT}/offline/import_map.json ${CHECKOUT}/cli.ts`,
    );
    return systemd;
  }

  /** Runs a script of the shell in it. Returns what that prints. */
  async run(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.#run(script);
    assertEquals(code, 0, stdout + stderr);
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child);
    await this.#child.status;
  }

  #run(script: string): Promise<Output> {
    const into = ["--target", this.#pid, "--all"];
    const command = `cd /; ${script}`;
    return runProgram("nsenter", [...into, "bash", "-euc", command], {
      cwd: "/",
    });
  }
}
