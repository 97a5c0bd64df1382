import { expect, test } from 'vitest';
import { completed, completedCommand, completedName } from '../../../src/cli/words.js';

const COMMANDS = ['show', 'take', 'release', 'handover', 'join', 'leave', 'status', 'log', 'monitor'];
const VIEWS = ['interfaces', 'igmp', 'igmp.groups', 'igmp.counters', 'groups', 'static.routes', 'static.joins'];

test('a unique prefix is the word, an exact word wins, several are named', () => {
  expect(completed('sh', COMMANDS, 'command')).toBe('show');
  expect(completed('int', VIEWS, 'view')).toBe('interfaces');
  expect(completed('igmp', VIEWS, 'view')).toBe('igmp');
  expect(() => completed('l', COMMANDS, 'command')).toThrow('"l" could be leave, log; type one letter more');
  expect(() => completed('fly', COMMANDS, 'command')).toThrow('there is no command "fly"; there is show, take');
});

test('the command is found behind options and their values', () => {
  expect(completedCommand(['--socket', 'take', '--json', 'sh', 'int'], COMMANDS)).toEqual([
    '--socket',
    'take',
    '--json',
    'show',
    'int',
  ]);
  expect(completedCommand(['--help'], COMMANDS)).toEqual(['--help']);
});

test('views are named word by word, each by its prefix', () => {
  expect(completedName(['ig'], VIEWS, 'view')).toBe('igmp');
  expect(completedName(['ig', 'gr'], VIEWS, 'view')).toBe('igmp.groups');
  expect(completedName(['gr'], VIEWS, 'view')).toBe('groups');
  expect(() => completedName(['static'], VIEWS, 'view')).toThrow(
    'view "static" has parts; name one: static routes, static joins',
  );
  expect(() => completedName(['groups', 'more'], VIEWS, 'view')).toThrow('nothing more under view "groups"');
});
