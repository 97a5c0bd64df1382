/**
 * SIGTERM means "end" to a process; whether systemd starts it again at once only systemd knows. In a restart everything
 * must stay as it is, at a stop neighbours and hosts want to be told goodbye.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

const LIMIT_MS = 1000;

/** True: this service is to stop, and nobody succeeds us. False when it is to start again, and when systemd does not tell. */
export function isServiceStopping(): Promise<boolean> {
  const unit = unitOf(readFileSync('/proc/self/cgroup', 'utf8'));
  if (unit === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const words = ['--no-legend', '--no-pager', 'list-jobs', unit];
    execFile('systemctl', words, { timeout: LIMIT_MS }, (error, jobs) => resolve(!error && isStopJob(jobs, unit)));
  });
}

/** "0::/system.slice/mgmd.service" is in mgmd.service. */
export function unitOf(cgroups: string): string | undefined {
  return /\/([^/\n]+\.service)$/m.exec(cgroups)?.[1];
}

/** A line is "JOB UNIT TYPE STATE". */
export function isStopJob(jobs: string, unit: string): boolean {
  const lines = jobs.split('\n').map((line) => line.trim().split(/\s+/));
  return lines.some(([, name, type]) => name === unit && type === 'stop');
}
