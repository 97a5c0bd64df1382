/** One mistake a file: each is answered with its place, what must be there and what was found. */
import { expect, test } from 'vitest';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';

function complaints(text: string): readonly string[] {
  const result = parseConfig(text, 'mgmd.yaml');
  return result.ok ? [] : result.error.map(formatComplaint);
}

const WRONG: readonly (readonly [string, string])[] = [
  ['table: 0', '1:8: table: must be default or a whole number from 1 to 999999999 (got 0)'],
  ['log: { level: chatty }', '1:15: log.level: must be error, warn, info or debug (got "chatty")'],
  ['log: [debug]', '1:6: log: must be a mapping with level (got a list)'],
  ['lgo: { level: info }', '1:1: the file: unknown key "lgo"; did you mean "log"?'],
  [
    'nonsense: 1',
    '1:1: the file: unknown key "nonsense"; the keys are table, log, control, restart, rpf, mfe, foreign, interfaces, igmp, pause, proxy, dvmrp and static',
  ],
  [
    'control: { socket: mgmd.sock }',
    '1:20: control.socket: must be an absolute path of at most 107 bytes that does not end in "/" (got "mgmd.sock")',
  ],
  [
    'interfaces:\n  eth1:\n    igmp:\n      quryInterval: 1s\n',
    '4:7: interfaces.eth1.igmp: unknown key "quryInterval"; did you mean "queryInterval"?',
  ],
  ['interfaces:\n  eth1:\n    igmp: { version: 4 }\n', '3:22: interfaces.eth1.igmp.version: must be 1, 2 or 3 (got 4)'],
  [
    'interfaces: { eth1: { igmp: { queryInterval: 2 weeks } } }',
    '1:46: interfaces.eth1.igmp.queryInterval: must be a time from 1s to 31744s (got "2 weeks")',
  ],
  [
    'interfaces:\n  eth1:\n    igmp:\n      queryInterval: 10s\n      queryResponseInterval: 10s\n',
    '5:30: interfaces.eth1.igmp.queryResponseInterval: must be less than queryInterval (10s) (got 10s)',
  ],
  [
    'interfaces: { eth1: { igmp: { queryInterval: 5s } } }',
    '1:29: interfaces.eth1.igmp.queryResponseInterval: must be less than queryInterval (5s) (got 10s)',
  ],
  [
    'interfaces: { eth1: { igmp: { startupQueryInterval: 126 } } }',
    '1:53: interfaces.eth1.igmp.startupQueryInterval: must be at most queryInterval (125s) (got 126s)',
  ],
  [
    'interfaces: { eth1: { igmp: { version: 2, queryResponseInterval: 26s } } }',
    '1:66: interfaces.eth1.igmp.queryResponseInterval: must be at most 25.5s with version 2 (got 26s)',
  ],
  [
    'interfaces: { eth1: { igmp: yes } }',
    '1:29: interfaces.eth1.igmp: must be true, false or a mapping with version, robustness, queryInterval, ' +
      'queryResponseInterval, lastMemberQueryInterval, lastMemberQueryCount, startupQueryInterval, startupQueryCount, ' +
      'requireRouterAlert, requireTtl1, fastLeave, maxGroups, maxSources, maxSourcesPerGroup, verifySourceSubnet, ' +
      'ignoreV1, ignoreV2, strictQuerySource, disableCompatibilityModes, explicitTracking, maxTrackedHosts, ' +
      'maxGroupsPerHost, maxQueriesPerSec, groupFilter, sourceFilter, staticGroups, joinGroups and pull (got "yes")',
  ],
  [
    'interfaces: { an/interface: {} }',
    '1:15: interfaces.an/interface: must be an interface name of 1 to 15 bytes without blank, "/" and ":" (got "an/interface")',
  ],
  [
    'interfaces: { eth1: { owner: statik } }\nstatic: { static: {}, other: {} }',
    '1:30: interfaces.eth1.owner: must be the name of an instance under "static", "proxy" or "dvmrp" (got "statik"; known: static, other, dvmrp); did you mean "static"?',
  ],
  [
    'interfaces: { eth1: { owner: static } }',
    '1:30: interfaces.eth1.owner: must be the name of an instance under "static", "proxy" or "dvmrp" (got "static"; known: dvmrp)',
  ],
  [
    'interfaces: { eth1: { threshold: 0 } }',
    '1:34: interfaces.eth1.threshold: must be a whole number from 1 to 255 (got 0)',
  ],
  [
    'static: { igmp: {} }',
    '1:11: static.igmp: must be a name of 1 to 32 lower-case letters, digits and "-", starting with a letter, and none of igmp, manual, dvmrp, proxy (got "igmp")',
  ],
  [
    'interfaces: { eth0: {} }\nstatic:\n  static:\n    routes:\n      - { group: 239.1.1.1, from: eth0, to: [eth9] }\n',
    '5:46: static.static.routes[0].to[0]: must be an interface listed under "interfaces" (got "eth9"; known: eth0); did you mean "eth0"?',
  ],
  [
    'interfaces: { eth0: {} }\nstatic: { static: { routes: [{ group: 239.1.1.1, from: eth0 }] } }',
    '2:30: static.static.routes[0].to: missing; must be a list of interface names, or [] to block the group',
  ],
  [
    'interfaces: { eth0: {} }\nstatic: { static: { routes: [{ group: 239.1.1.1, to: [eth0] }] } }',
    '2:30: static.static.routes[0].from: missing; must be an interface name of 1 to 15 bytes, or a list of up to 8 of them',
  ],
  [
    'interfaces: { eth0: {} }\nstatic: { static: { routes: [{ group: 239.1.1.1, from: eth0, to: [eth0] }] } }',
    '2:67: static.static.routes[0].to[0]: must not be an interface of `from` (got eth0); for both directions write a second route with `from: eth0`',
  ],
  [
    'interfaces: { eth0: {}, eth1: {} }\nstatic: { static: { routes: [{ group: 239.1.0.5/16, from: eth0, to: [eth1] }] } }',
    '2:39: static.static.routes[0].group: must be 239.1.0.0/16 (got "239.1.0.5/16")',
  ],
  [
    'interfaces: { eth0: {}, eth1: {} }\nstatic: { static: { routes: [{ group: 224.0.0.0/25, from: eth0, to: [eth1] }] } }',
    '2:39: static.static.routes[0].group: must be a multicast group from 224.0.1.0 to 239.255.255.255, or a range of them such as 239.1.0.0/16 (got "224.0.0.0/25")',
  ],
  [
    'interfaces: { eth0: {}, eth1: {} }\nstatic: { static: { routes: [{ group: 239.1.1.1, source: 239.1.0.0/16, from: eth0, to: [eth1] }] } }',
    '2:58: static.static.routes[0].source: must be a unicast IPv4 address such as 192.0.2.1, or a prefix such as 192.0.2.0/24 (got "239.1.0.0/16")',
  ],
  [
    'interfaces: { eth0: {}, eth1: {} }\nstatic: { static: { routes: [{ group: 239.1.1.1, from: [eth0, eth0], to: [eth1] }] } }',
    '2:63: static.static.routes[0].from[1]: eth0 appears twice, first as number 1 of the list; remove one',
  ],
  [
    'interfaces: { eth0: {}, eth1: {}, eth2: {} }\nstatic: { static: { routes: [{ group: 239.1.1.1, from: [eth0, eth2], to: [eth1] }, { group: 239.1.1.1, from: eth2, to: [eth1] }] } }',
    '2:84: static.static.routes[1]: (*, 239.1.1.1) from eth2 appears twice, first as number 1 of the list; write one route with all outputs in `to`',
  ],
  [
    'interfaces: { eth0: {} }\nstatic: { static: { joins: [{ interface: eth0, group: 239.0.0.0/19 }] } }',
    '2:55: static.static.joins[0].group: must be a multicast group from 224.0.1.0 to 239.255.255.255, or a range of at most 4096 of them such as 239.1.0.0/20 (got "239.0.0.0/19")',
  ],
  [
    'interfaces: { eth0: {} }\nstatic: { static: { joins: [{ interface: eth0, group: 232.0.0.0/20 }] } }',
    '2:55: static.static.joins[0].group: must be outside of the source-specific range 232.0.0.0/8, or have a source (got 232.0.0.0/20)',
  ],
  [
    `interfaces: { eth0: {} }\nstatic: { static: { joins: [${[0, 16, 32, 48, 64].map((n) => `{ interface: eth0, group: 239.1.${n}.0/20 }`).join(', ')}] } }`,
    '2:200: static.static.joins[4]: the joins of one instance must be at most 16384 groups together',
  ],
  [
    'static: { static: { joins: [{ interface: eth0 }] } }',
    '1:29: static.static.joins[0].group: missing; must be a multicast group from 224.0.1.0 to 239.255.255.255, or a range of at most 4096 of them such as 239.1.0.0/20',
  ],
  [
    'interfaces: { eth0: {} }\nstatic: { static: { joins: [{ interface: eth0, group: 224.0.0.9 }] } }',
    '2:55: static.static.joins[0].group: must be a multicast group from 224.0.1.0 to 239.255.255.255, or a range of at most 4096 of them such as 239.1.0.0/20 (got "224.0.0.9")',
  ],
  [
    'rpf: { routes: [{ prefix: 10.0.0.1/8, interface: eth0 }] }',
    '1:27: rpf.routes[0].prefix: must be an IPv4 prefix such as 10.0.0.0/8, with no bits set behind its length (got "10.0.0.1/8")',
  ],
  [
    'interfaces: { eth1: { owner: proxy } }',
    '1:30: interfaces.eth1.owner: must not be "proxy" without a section "proxy"; add one with an upstream',
  ],
  [
    'interfaces: { eth1: { igmp: { groupFilter: [239.1.0.0/16] } } }',
    '1:45: interfaces.eth1.igmp.groupFilter[0]: must be a mapping with allow and deny (got "239.1.0.0/16")',
  ],
  [
    'interfaces: { eth1: { igmp: { groupFilter: [{ allow: 239.1.0.0/16, deny: 239.1.2.0/24 }] } } }',
    '1:45: interfaces.eth1.igmp.groupFilter[0]: must be a mapping with one of allow and deny (got a mapping)',
  ],
  [
    'interfaces: { eth1: { igmp: { groupFilter: [{ allow: 10.0.0.0/8 }] } } }',
    '1:54: interfaces.eth1.igmp.groupFilter[0].allow: must be a prefix within 224.0.0.0/4 such as 232.0.0.0/8 (got "10.0.0.0/8")',
  ],
  [
    'interfaces: { eth1: { igmp: { groupFilter: [{ deny: 239.1.1.1 }] } } }',
    '1:53: interfaces.eth1.igmp.groupFilter[0].deny: must be a prefix within 224.0.0.0/4 such as 232.0.0.0/8 (got "239.1.1.1"); one address is 239.1.1.1/32',
  ],
  [
    'interfaces: { eth1: { igmp: { sourceFilter: [{ deny: 10.0.0.1 }] } } }',
    '1:54: interfaces.eth1.igmp.sourceFilter[0].deny: must be an IPv4 prefix such as 10.0.0.0/8, with no bits set behind its length (got "10.0.0.1"); one address is 10.0.0.1/32',
  ],
  [
    'interfaces: { eth1: { igmp: { sourceFilter: [{ alow: 10.0.0.0/8 }] } } }',
    '1:48: interfaces.eth1.igmp.sourceFilter[0]: unknown key "alow"; did you mean "allow"?',
  ],
  [
    'interfaces: { eth1: { boundary: [10.0.0.0/8] } }',
    '1:34: interfaces.eth1.boundary[0]: must be a prefix within 224.0.0.0/4 such as 232.0.0.0/8 (got "10.0.0.0/8")',
  ],
  [
    'interfaces: { eth1: { igmp: { ssmRanges: [] } } }',
    '1:31: interfaces.eth1.igmp: unknown key "ssmRanges"; the keys are version, robustness, queryInterval, ' +
      'queryResponseInterval, lastMemberQueryInterval, lastMemberQueryCount, startupQueryInterval, startupQueryCount, ' +
      'requireRouterAlert, requireTtl1, fastLeave, maxGroups, maxSources, maxSourcesPerGroup, verifySourceSubnet, ignoreV1, ignoreV2, ' +
      'strictQuerySource, disableCompatibilityModes, explicitTracking, maxTrackedHosts, maxGroupsPerHost, ' +
      'maxQueriesPerSec, groupFilter, sourceFilter, staticGroups, joinGroups and pull',
  ],
  [
    'interfaces: { eth1: { boundary: [239.255.0.0/16], igmp: { joinGroups: [{ group: 239.255.1.1 }] } } }',
    '1:81: interfaces.eth1.igmp.joinGroups[0].group: ' +
      "must be outside of the interface's boundary 239.255.0.0/16 (got 239.255.1.1)",
  ],
  [
    'interfaces: { eth1: { igmp: { staticGroups: [{ group: 232.1.1.1 }] } } }',
    '1:55: interfaces.eth1.igmp.staticGroups[0].group: must be outside of the source-specific range 232.0.0.0/8, or have a source (got 232.1.1.1)',
  ],
  [
    'igmp: { ssmRanges: [239.232.0.0/16] }\ninterfaces: { eth1: { igmp: { joinGroups: [{ group: 239.232.1.1 }] } } }',
    '2:53: interfaces.eth1.igmp.joinGroups[0].group: must be outside of the source-specific range 239.232.0.0/16, or have a source (got 239.232.1.1)',
  ],
  [
    'interfaces: { eth1: { igmp: { joinGroups: [{ group: 239.1.1.1 }, { group: 239.1.1.1 }] } } }',
    '1:66: interfaces.eth1.igmp.joinGroups[1]: (*, 239.1.1.1) appears twice, first as number 1 of the list; remove one',
  ],
  ['igmp: { maxGroups: -1 }', '1:20: igmp.maxGroups: must be a whole number from 0 to 10000000 (0: no limit) (got -1)'],
  ['pause: { scope: all }', '1:17: pause.scope: must be agent, host or host-best-effort (got "all")'],
  ['proxy: {}', '1:8: proxy.upstreams: missing; must be a list of at least one upstream'],
  ['proxy: { upstreams: [] }', '1:21: proxy.upstreams: must be a list of at least one upstream (got an empty list)'],
  [
    'interfaces: { up: { owner: proxy }, lan: { owner: proxy, igmp: true } }\nproxy: { upstreams: [{ interface: upp }, { interface: up }] }',
    '2:35: proxy.upstreams[0].interface: must be an interface listed under "interfaces" (got "upp"; known: up, lan); did you mean "up"?',
  ],
  [
    'interfaces: { up: {}, lan: { owner: proxy, igmp: true } }\nproxy: { upstreams: [{ interface: up }] }',
    '2:35: proxy.upstreams[0].interface: must be an interface with "owner: proxy" (got "up")',
  ],
  [
    'interfaces: { up: { owner: proxy, igmp: true }, lan: { owner: proxy, igmp: true } }\nproxy: { upstreams: [{ interface: up }] }',
    '2:35: proxy.upstreams[0].interface: must be an interface without "igmp" (got "up"); an upstream is a host on its link',
  ],
  [
    'interfaces: { up: { owner: proxy }, lan: { owner: proxy, igmp: true } }\nproxy: { upstreams: [{ interface: up }, { interface: up }] }',
    '2:54: proxy.upstreams[1].interface: up appears twice, first as number 1 of the list; remove one',
  ],
  [
    'interfaces: { up: { owner: proxy }, lan: { owner: proxy, igmp: true } }\nproxy: { upstreams: [{ interface: up, version: 4 }] }',
    '2:48: proxy.upstreams[0].version: must be auto, 1, 2 or 3 (got 4)',
  ],
  [
    'interfaces: { up: { owner: proxy }, lan: { owner: proxy, igmp: true } }\nproxy: { upstreams: [{ interface: up }], wildcardGroups: [232.0.0.1] }',
    '2:59: proxy.wildcardGroups[0]: must be outside of the source-specific range 232.0.0.0/8, or have a source (got 232.0.0.1)',
  ],
  ['rpf: { routes: 5 }', '1:16: rpf.routes: must be a list of routes (got 5)'],
];

test.each(WRONG)('%j is answered with its place, what must be there and what was found', (text, complaint) => {
  expect(complaints(text)).toEqual([`mgmd.yaml:${complaint}`]);
});
