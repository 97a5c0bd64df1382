/** A proxy between isp and a LAN, and a third interface; twenty groups flow: the scene of restarts and hand-offs. */

export const FIRST = '239.1.1.1';
export const GROUPS = 20;
export const QUICK =
  'queryInterval: 10s, queryResponseInterval: 1s, lastMemberQueryInterval: 200ms, startupQueryInterval: 500ms';

export function config(socket: string): string {
  return `
control: { socket: ${socket} }
restart: { window: 4s }
interfaces:
  wan: { owner: proxy }
  lan: { owner: proxy, igmp: { ${QUICK} } }
  spare: { igmp: { ${QUICK} } }
proxy:
  upstreams: [{ interface: wan }]
static:
  other: {}
`;
}
