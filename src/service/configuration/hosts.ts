/** Names of one machine. Pure. */

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1|::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4})$/;

/** Folders and files where a server of this machine listens unless it is told otherwise. */
const STANDARD_SOCKETS = [
  '/var/run/postgresql',
  '/run/postgresql',
  '/tmp',
  '/var/run/mysqld/mysqld.sock',
  '/run/mysqld/mysqld.sock',
  '/tmp/mysql.sock',
];

/** Lower case, without a closing dot, IPv6 in its shortest form, all names of this machine as `localhost`. */
export function canonicalHost(host: string): string {
  const name = host.toLowerCase().replace(/\.$/, '');
  const url = name.includes(':') ? `http://[${name}]` : '';
  const plain = URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : name;
  return LOOPBACK.test(plain) ? 'localhost' : plain;
}

export function isStandardSocket(path: string): boolean {
  return STANDARD_SOCKETS.includes(path.replace(/\/+$/, ''));
}
