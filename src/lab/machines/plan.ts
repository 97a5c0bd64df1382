/** The laboratory's network as values: who is where, which streams flow, what the router is configured to do. */

/** The router's interfaces, as the configuration names them. */
export type RouterInterface = 'recv' | 'send';
export const ROUTER_ADDRESS: Readonly<Record<RouterInterface, string>> = { send: '10.1.0.1', recv: '10.2.0.1' };

export const ROUTER = 'router';
export const SENDER = { namespace: 'sender', address: '10.1.0.2' } as const;

/** The receiving hosts: the kernel's own IGMP, as it comes (v3) and forced to version 2. */
export const HOSTS = {
  host3: { namespace: 'host3', address: '10.2.0.2', igmp: 3, streams: ['asm', 'ssm'] },
  host2: { namespace: 'host2', address: '10.2.0.3', igmp: 2, streams: ['asm'] },
} as const;
export type HostName = keyof typeof HOSTS;

/** ASM: any source. SSM: a channel, only from the sender's address; an IGMPv2 host cannot ask for it. */
export const STREAMS = {
  asm: { id: 1, group: '239.1.1.1', source: undefined, port: 5001 },
  ssm: { id: 2, group: '232.1.1.1', source: SENDER.address, port: 5002 },
} as const;
export type StreamName = keyof typeof STREAMS;
export const STREAM_NAMES = ['asm', 'ssm'] as const;

/** Packets per second and stream: 2,000 in total. */
export const RATE = 1_000;
/** More than 1, so that the packets may leave the router. */
export const TTL = 8;
export const PAYLOAD_BYTES = 64;

/** How long each pause is held open (hold.ts): hosts report a change 10 ms after they made it. */
export const HOLD_MS = 80;

export const RUN = {
  config: '/run/mgmd/lab.yaml',
  log: '/run/mgmd/lab.log',
  socket: '/run/mgmd/mgmd.sock',
} as const;

/** What a host joins and leaves during the pause number `n`: not the streams' groups. */
export function otherGroup(n: number, host: number): string {
  return `239.8.${n % 256}.${host}`;
}

/** What the router itself joins in the pause number `n`; `which` 1 stays joined, 2 is left again in the same pause. */
export function ownGroup(n: number, which: 1 | 2): string {
  return `239.9.${n % 256}.${which}`;
}

/** The clients of the manager that the interfaces go to. */
export const PROTOCOLS = ['static', 'static2'] as const;

/** The daemon's configuration (YAML). */
export function routerConfig(): string {
  const routes = STREAM_NAMES.map((name) => {
    const { group, source } = STREAMS[name];
    return `      - { ${source === undefined ? '' : `source: ${source}, `}group: ${group}, from: send, to: [recv] }`;
  }).join('\n');
  return `# The hand-over lab: two static instances with the same routes, so that interfaces can change hands.
control: { socket: ${RUN.socket} }
interfaces:
  send: { igmp: true }
  recv: { igmp: true }
static:
${PROTOCOLS.map((name) => `  ${name}:\n    routes:\n${routes}`).join('\n')}
`;
}
