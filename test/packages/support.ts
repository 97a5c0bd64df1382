/** Packages built once for a file of tests, and a root file system to throw away. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Folder {
  readonly path: string;
  remove(): void;
}

export function tempFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'mgmd-packages-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Where packages are built; MGMD_TEST_PACKAGES names a folder that keeps them for the next tests that need the same. */
export function packageFolder(): Folder {
  const kept = process.env['MGMD_TEST_PACKAGES'];
  return kept ? { path: kept, remove: () => undefined } : tempFolder();
}

/** The file of that name in `folder`, built by the script unless it is there. */
export function buildPackage(script: string, folder: string, name: string, version = ''): string {
  const file = join(folder, name);
  if (existsSync(file)) return file;
  const env = { ...process.env, MGMD_PACKAGE_DIR: folder, MGMD_PACKAGE_VERSION: version };
  execFileSync(process.execPath, [`scripts/${script}`], { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'inherit'] });
  return file;
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
mkdir "$bed/upper" "$bed/work" "$bed/all"
mount -t overlay overlay -o "lowerdir=/,upperdir=$bed/upper,workdir=$bed/work" "$bed/all"
for name in proc sys dev; do mount --rbind "/$name" "$bed/all/$name"; done
mount -t tmpfs tmpfs "$bed/all/run"
mkdir -p "$bed/all/packages" "$bed/all/upper"
mount --bind "$packages" "$bed/all/packages"
mount --bind "$bed/upper" "$bed/all/upper"
export DEBIAN_FRONTEND=noninteractive CC=false CXX=false PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
exec chroot "$bed/all" bash -euc "$script"
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
