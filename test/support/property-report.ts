/** Where a failed property says how to see it again. Used by property-setup.ts. */
import path from 'node:path';

/** Of a run that failed; of fast-check's details what is needed here. */
export interface Failure {
  readonly seed: number;
  readonly counterexamplePath: string | null;
}

export interface Place {
  readonly file: string;
  readonly title: string;
  readonly folder: string;
}

/** Two lines: what failed, and the command that tries just that again. */
export function failureText({ seed, counterexamplePath }: Failure, { file, title, folder }: Place): string {
  const where = path.relative(folder, file);
  const shown = counterexamplePath ?? '';
  const again = `MGMD_FUZZ_SEED=${seed}${shown === '' ? '' : ` MGMD_FUZZ_PATH=${shown}`}`;
  const pattern = title.replaceAll(/[^A-Za-z0-9 ,-]/g, '.');
  return `property failed: ${title} (seed ${seed}, path ${shown})\n${again} npm test -- ${where} -t '${pattern}'`;
}

/** The seed and the path that somebody wants to see again. */
export function seedAndPath(env: NodeJS.ProcessEnv): { readonly seed?: number; readonly path?: string } {
  const seed = Number(env['MGMD_FUZZ_SEED']);
  const trail = env['MGMD_FUZZ_PATH'] ?? '';
  return {
    ...(env['MGMD_FUZZ_SEED'] !== undefined && Number.isInteger(seed) && { seed }),
    ...(trail !== '' && { path: trail }),
  };
}
