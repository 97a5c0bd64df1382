/** A process that is not mgmd and joins groups, by every option that the kernel has for it. */
import { Child } from './child.js';

/** One command a line, as JSON; answers with the errno, 0 for success. Each name is a socket of its own. */
const PROGRAM = `
import json, socket, struct, sys
sockets = {}

def storage(address):
    return struct.pack('=HH4s', socket.AF_INET, 0, socket.inet_aton(address)) + bytes(120)

def option(c):
    group = socket.inet_aton(c['group'])
    near = socket.inet_aton(c.get('address', '0.0.0.0'))
    sources = c.get('sources', [])
    mode = 1 if c.get('mode') == 'include' else 0
    number = c['option']
    if number in (35, 36):
        return group + near + (struct.pack('=i', c['ifindex']) if 'ifindex' in c else b'')
    if number in (37, 38, 39, 40):
        # ip_mreq_source
        return group + near + socket.inet_aton(sources[0])
    if number == 41:
        return group + near + struct.pack('=II', mode, len(sources)) + b''.join(map(socket.inet_aton, sources))
    head = struct.pack('=I4x', c.get('ifindex', 0)) + storage(c['group'])
    if number in (42, 45):
        return head
    if number in (43, 44, 46, 47):
        return head + storage(sources[0])
    return head + struct.pack('=II', mode, len(sources)) + b''.join(map(storage, sources))

def perform(c):
    name = c.get('socket', c.get('group'))
    if c['option'] == 'close':
        sockets.pop(name).close()
        return 0
    if c['option'] == 'many':
        for n in range(c['count']):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sockets['many %d' % n] = s
            group = socket.inet_aton('239.%d.%d.%d' % (c['second'], n >> 8, n & 255))
            s.setsockopt(0, 35, group + bytes(4) + struct.pack('=i', c['ifindex']))
        return 0
    family = socket.AF_INET6 if c.get('family') == 6 else socket.AF_INET
    s = sockets.setdefault(name, None) or socket.socket(family, socket.SOCK_DGRAM)
    sockets[name] = s
    s.setsockopt(0, c['option'], option(c))
    return 0

print('ready', flush=True)
for line in sys.stdin:
    try:
        print(perform(json.loads(line)), flush=True)
    except OSError as error:
        print(error.errno, flush=True)
`;

export const OPTION = {
  IP_ADD_MEMBERSHIP: 35,
  IP_DROP_MEMBERSHIP: 36,
  IP_UNBLOCK_SOURCE: 37,
  IP_BLOCK_SOURCE: 38,
  IP_ADD_SOURCE_MEMBERSHIP: 39,
  IP_DROP_SOURCE_MEMBERSHIP: 40,
  IP_MSFILTER: 41,
  MCAST_JOIN_GROUP: 42,
  MCAST_BLOCK_SOURCE: 43,
  MCAST_UNBLOCK_SOURCE: 44,
  MCAST_LEAVE_GROUP: 45,
  MCAST_JOIN_SOURCE_GROUP: 46,
  MCAST_LEAVE_SOURCE_GROUP: 47,
  MCAST_MSFILTER: 48,
} as const;

export interface MemberCall {
  /** Its number, see OPTION; by MCAST_MSFILTER and IP_MSFILTER with `mode` and `sources`. */
  readonly option: number;
  readonly group: string;
  /** Name the interface; without both the kernel's routes choose it. */
  readonly ifindex?: number;
  readonly address?: string;
  readonly sources?: readonly string[];
  readonly mode?: 'include' | 'exclude';
  /** The socket is called like the group unless it has a name of its own. */
  readonly socket?: string;
  readonly family?: 4 | 6;
}

export class ForeignMember {
  readonly child: Child;
  readonly #ifindex: number;

  private constructor(child: Child, ifindex: number) {
    this.child = child;
    this.#ifindex = ifindex;
  }

  /** On the interface with this ifindex, in the namespace that `spawn` starts it in. */
  static async start(ifindex: number, keep: (child: Child) => Child, inside: readonly string[] = []) {
    const [command, ...args] = [...inside, 'python3', '-c', PROGRAM];
    const member = new ForeignMember(keep(new Child(command!, args)), ifindex);
    await member.child.line();
    return member;
  }

  /** The errno of the call, 0 for success. */
  call(call: MemberCall): Promise<number> {
    return this.#tell(call);
  }

  join(group: string): Promise<number> {
    return this.#tell({ option: OPTION.IP_ADD_MEMBERSHIP, group, ifindex: this.#ifindex });
  }

  leave(group: string): Promise<number> {
    return this.#tell({ option: OPTION.IP_DROP_MEMBERSHIP, group, ifindex: this.#ifindex });
  }

  /** With a filter: the join and the filter. */
  async filter(group: string, mode: 'include' | 'exclude', ...sources: readonly string[]): Promise<number> {
    const at = { group, ifindex: this.#ifindex };
    if (mode === 'exclude') {
      await this.#tell({ option: OPTION.MCAST_JOIN_GROUP, ...at });
      return this.#tell({ option: OPTION.MCAST_MSFILTER, ...at, mode, sources });
    }
    for (const source of sources) {
      const errno = await this.#tell({ option: OPTION.MCAST_JOIN_SOURCE_GROUP, ...at, sources: [source] });
      if (errno !== 0) return errno;
    }
    return 0;
  }

  /** 239.SECOND.0.0 and the following ones, each by a socket of its own. */
  joinMany(second: number, count: number): Promise<number> {
    return this.#tell({ option: 'many', second, count, ifindex: this.#ifindex });
  }

  close(socket: string): Promise<number> {
    return this.#tell({ option: 'close', socket });
  }

  async #tell(command: object): Promise<number> {
    this.child.tell(JSON.stringify(command));
    return Number(await this.child.line(30_000));
  }
}
