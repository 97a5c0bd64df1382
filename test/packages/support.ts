/** Packages built once for a file of tests, and a root file system to throw away. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export function tempFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'mgmd-packages-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Builds a package into `folder`; the script's last line is the file. */
export function buildPackage(script: string, folder: string, version = ''): string {
  const env = { ...process.env, MGMD_PACKAGE_DIR: folder, MGMD_PACKAGE_VERSION: version };
  const out = execFileSync(process.execPath, [`scripts/${script}`], { cwd: ROOT, env, encoding: 'utf8' });
  return out.trim().split('\n').at(-1)!;
}

export function runIn(
  cwd: string,
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Ended {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: 100_000 });
  if (error) throw error;
  return { code: status, out: stdout, err: stderr };
}

/**
 * An overlay of the whole machine on a tmpfs, in a mount namespace and a network namespace without any link. The script runs in
 * it by chroot, without a running systemd, compilers set to fail; `/packages` is the folder. All of it is gone afterwards.
 */
const OVERLAY = `
set -e
bed=$1 packages=$2 script=$3
mount --make-rprivate /
mount -t tmpfs tmpfs "$bed"
mkdir "$bed/upper" "$bed/work" "$bed/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$bed/upper,workdir=$bed/work" "$bed/root"
for name in proc sys dev; do mount --rbind "/$name" "$bed/root/$name"; done
mount -t tmpfs tmpfs "$bed/root/run"
mkdir -p "$bed/root/packages" "$bed/root/upper"
mount --bind "$packages" "$bed/root/packages"
mount --bind "$bed/upper" "$bed/root/upper"
export DEBIAN_FRONTEND=noninteractive CC=false CXX=false PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
exec chroot "$bed/root" bash -euc "$script"
`;

export function inOverlay(packages: string, script: string): Ended {
  const bed = tempFolder();
  try {
    return runIn(ROOT, 'unshare', [
      '-mn',
      '--propagation',
      'private',
      'bash',
      '-c',
      OVERLAY,
      'bash',
      bed.path,
      packages,
      script,
    ]);
  } finally {
    bed.remove();
  }
}
