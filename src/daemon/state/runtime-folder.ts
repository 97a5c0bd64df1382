/** systemd's runtime directory of this instance (RUNTIME_DIRECTORY, systemd.exec(5)); undefined where there is none. */
export function runtimeFolder(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return env['RUNTIME_DIRECTORY']?.split(':')[0] || undefined;
}
