/** F40: what the table of privileges in docs/service.md says, tried line by line, but for the lines about BPF (host-pause tests). */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../support/eventually.js';
import { DAEMON } from '../support/daemon.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';
import type { Child } from '../support/child.js';

/** A router with a proxy, as a process that has these capabilities and no others. */
function routerWith(net: Net, capabilities: string, table: string): { router: Namespace; child: Child } {
  const router = net.router('router');
  net.host('source', router, 'send', '10.1.0');
  net.host('host', router, 'recv', '10.2.0');
  const folder = net.temporaryDirectory();
  const file = join(folder, 'mgmd.yaml');
  writeFileSync(
    file,
    `table: ${table}
control: { socket: ${folder}/mgmd.sock }
interfaces: { send: { owner: proxy }, recv: { owner: proxy, igmp: true } }
proxy: { upstreams: [{ interface: send }] }
`,
  );
  const daemon = [process.execPath, DAEMON, '--config', file];
  return { router, child: router.spawn('setpriv', ['--bounding-set', capabilities, ...daemon]) };
}

const said = (child: Child) => [...child.lines, ...child.errors].join('\n');

for (const [capabilities, table] of [
  ['-all,+net_raw', 'default'],
  ['-all,+net_raw,+net_admin', 'default'],
  ['-all,+net_raw,+net_admin', '100'],
] as const)
  netnsTest(`with ${capabilities} mgmd serves table ${table} (F40)`, async (net) => {
    const { router, child } = routerWith(net, capabilities, table);
    await eventually('it serves', () => said(child).includes('"daemon.started"') || !child.running(), {
      withinMs: 10_000,
    });
    expect(child.exitCode(), said(child)).toBeUndefined();
    expect(router.run('ip', 'maddress', 'show', 'dev', 'recv')).toContain('224.0.0.22');
    child.signal('SIGTERM');
    expect(await child.end()).toBe(0);
  });

for (const [capabilities, table, sentence] of [
  ['-all,+net_raw', '100', 'MRT_TABLE on the IPv4 multicast routing socket failed: EACCES'],
  ['-all,+net_admin', 'default', 'opening on the raw IGMP socket failed: EPERM'],
  ['-all', 'default', 'opening on the raw IGMP socket failed: EPERM'],
] as const)
  netnsTest(`with ${capabilities} mgmd does not serve table ${table}, ends with 77 and says why (F40)`, async (net) => {
    const { child } = routerWith(net, capabilities, table);
    expect(await child.end()).toBe(77);
    expect(said(child)).toContain(sentence);
    expect(said(child)).toContain('CAP_NET_RAW and CAP_NET_ADMIN');
  });
