/** What a router is told of load that it balances: whole lines of haproxy's configuration. */

import { makeFile, type RouterFile } from './file.ts'

export interface Balancing {
  readonly address: string
  readonly port: number
  readonly servers: readonly { readonly address: string; readonly port: number }[]
}

/** @param controlAddress where statistics are shown */
export function loadBalancer(balancing: Balancing, controlAddress: string): RouterFile {
  return makeFile('load_balancer', 'loadbalancer', {
    rules: [
      {
        configuration: haproxyLines(balancing, controlAddress),
        tmp_cfg_file_path: '/etc/haproxy/',
        tmp_cfg_file_name: 'haproxy.cfg.new.1700000000000',
        ssl_certs: [],
        add_rules: [`${balancing.address}:${balancing.port}:`],
        remove_rules: [],
        stat_rules: [`${controlAddress}:8081:0/0:,`],
        router_ip: controlAddress,
      },
    ],
  })
}

/** Directives that CloudStack uses, some of which haproxy only warns about. */
function haproxyLines({ address, port, servers }: Balancing, controlAddress: string): readonly string[] {
  const pool = `${address.replaceAll('.', '_')}-${port}`
  return [
    ...section('global', [
      ...['log 127.0.0.1:3914 local0 warning', 'maxconn 4096', 'maxpipes 1024', 'chroot /var/lib/haproxy'],
      ...['user haproxy', 'group haproxy', 'stats socket /run/haproxy/admin.sock', 'daemon'],
    ]),
    ...section('defaults', [
      ...['log global', 'mode tcp', 'option dontlognull', 'retries 3', 'option redispatch'],
      ...['option forwardfor', 'option httpclose'],
      ...['timeout connect 5000', 'timeout client 50000', 'timeout server 50000'],
    ]),
    // This one comes as lines in a line.
    section('listen stats_on_private', [
      ...[`bind ${controlAddress}:8081`, 'mode http', 'option httpclose', 'stats enable'],
      ...['stats uri /admin?stats', 'stats auth admin1:a-password'],
    ]).join('\n'),
    ...section(`listen ${pool}`, [
      ...[`bind ${address}:${port}`, 'balance roundrobin'],
      ...servers.map((server, index) => `server ${pool}_${index} ${server.address}:${server.port} check`),
    ]),
  ]
}

function section(head: string, lines: readonly string[]): readonly string[] {
  return [head, ...lines.map((line) => `\t${line}`), '\t ']
}
