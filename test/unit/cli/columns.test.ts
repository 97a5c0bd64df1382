import { expect, test } from 'vitest';
import { formatTable } from '../../../src/cli/columns.js';

test('columns are as wide as their widest cell, numbers stand right, absent values are a dash', () => {
  const rows = [
    { name: 'eth0', vif: 0, owner: 'static', igmp: true },
    { name: 'a-long-name', vif: 12, owner: null, igmp: false },
  ];
  expect(formatTable(rows)).toBe(
    'NAME         VIF  OWNER   IGMP\n' + //
      'eth0           0  static  yes\n' +
      'a-long-name   12  -       no\n',
  );
});

test('named columns pick from nested fields and give them readable titles', () => {
  const rows = [
    { name: 'eth0', counters: { packetsIn: 7, packetsOut: 10 } },
    { name: 'ppp0', counters: null },
  ];
  expect(formatTable(rows, ['name', 'counters.packetsIn'])).toBe(
    'NAME  PACKETS IN\n' + //
      'eth0           7\n' +
      'ppp0           -\n',
  );
});

test('milliseconds are shown as seconds, lists joined or counted, objects by what is not 0', () => {
  const rows = [
    {
      expiresInMs: 9940,
      upTime: 61.5,
      oifs: ['eth1', 'eth2'],
      sources: [{ source: '10.0.0.1' }, { source: '10.0.0.2' }],
      dropped: { checksum: 0, truncated: 3, 'bad-ttl': 1 },
      none: [],
    },
  ];
  expect(formatTable(rows)).toBe(
    'EXPIRES IN  UP TIME  OIFS       SOURCES  DROPPED                NONE\n' +
      '      9.9s      62s  eth1,eth2  2        truncated=3 bad-ttl=1  -\n',
  );
});

test('rows with different fields share one table', () => {
  expect(formatTable([{ a: 1 }, { b: 'x' }])).toBe('A  B\n1  -\n-  x\n');
});

test('an object of numbers may get a line for each that is not 0', () => {
  const rows = [
    { name: 'eth0', hits: { near: 1, far: 0 }, misses: { wide: 2 } },
    { name: 'eth1', hits: { near: 0 }, misses: null },
  ];
  expect(formatTable(rows, ['name', 'hits[]', 'misses[]'])).toBe(
    'NAME  COUNTER  REASON  VALUE\n' + //
      'eth0  hits     near        1\n' +
      'eth0  misses   wide        2\n',
  );
});
