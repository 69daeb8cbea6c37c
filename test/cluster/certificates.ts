/** One authority, a certificate for every part, and a kubeconfig for each that talks to the API server. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './commands.ts';
import type { ClusterLayout } from './layout.ts';

/** The API server's own service is always the first address of the service network. */
function firstServiceAddress({ network }: ClusterLayout): string {
  return `10.${network}.240.1`;
}

/** A bearer token with all rights, for plain HTTPS calls. */
export const adminToken = 'holdfast-test-admin';

export async function makeCertificates(layout: ClusterLayout): Promise<void> {
  await mkdir(layout.pki, { recursive: true });
  await mkdir(layout.kubeconfigs, { recursive: true });
  await makeAuthority(layout.pki);
  const services = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'].map((name) => `DNS:${name}`);
  const addresses = ['127.0.0.1', firstServiceAddress(layout), layout.hostAddress].map((address) => `IP:${address}`);
  const clients = {
    admin: '/O=system:masters/CN=admin',
    'controller-manager': '/CN=system:kube-controller-manager',
    scheduler: '/CN=system:kube-scheduler',
    proxy: '/CN=system:kube-proxy',
  };
  await Promise.all([
    makeCertificate(layout.pki, 'apiserver', '/CN=kube-apiserver', ['DNS:localhost', ...services, ...addresses]),
    makeCertificate(layout.pki, 'front-proxy', '/CN=front-proxy-client'),
    makeServiceAccountKey(layout.pki),
    writeFile(join(layout.pki, 'tokens.csv'), `${adminToken},admin,admin,system:masters\n`),
    ...Object.entries(clients).map(async ([name, subject]) => {
      await makeCertificate(layout.pki, name, subject);
      await writeKubeconfig(layout, name);
    }),
    ...layout.nodes.map(async (node) => {
      const names = [`DNS:${node.name}`, `IP:${node.address}`];
      await makeCertificate(layout.pki, node.name, `/O=system:nodes/CN=system:node:${node.name}`, names);
      await writeKubeconfig(layout, node.name);
    }),
  ]);
}

async function makeKey(folder: string, name: string): Promise<string> {
  const path = join(folder, `${name}.key`);
  await runCommand('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path]);
  return path;
}

async function makeAuthority(folder: string): Promise<void> {
  const key = await makeKey(folder, 'ca');
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature'];
  const flags = extensions.flatMap((extension) => ['-addext', extension]);
  const subject = ['-subj', '/CN=holdfast-test-ca', '-days', '3650'];
  await runCommand('openssl', [
    'req',
    '-x509',
    '-new',
    '-key',
    key,
    ...subject,
    '-out',
    join(folder, 'ca.crt'),
    ...flags,
  ]);
}

async function makeCertificate(folder: string, name: string, subject: string, alternatives: string[] = []) {
  const key = await makeKey(folder, name);
  const extensions = [
    'keyUsage=critical,digitalSignature,keyEncipherment',
    'extendedKeyUsage=serverAuth,clientAuth',
    ...(alternatives.length > 0 ? [`subjectAltName=${alternatives.join(',')}`] : []),
  ];
  const extensionFile = join(folder, `${name}.ext`);
  await writeFile(extensionFile, extensions.join('\n'));
  const request = await runCommand('openssl', ['req', '-new', '-key', key, '-subj', subject]);
  const authority = ['-CA', join(folder, 'ca.crt'), '-CAkey', join(folder, 'ca.key')];
  // A random serial each, since they are signed side by side and a serial file would be shared.
  const serial = ['-set_serial', `0x${crypto.randomUUID().replaceAll('-', '')}`];
  const output = ['-out', join(folder, `${name}.crt`)];
  const flags = ['-req', ...authority, ...serial, '-days', '3650', '-extfile', extensionFile, ...output];
  await runCommand('openssl', ['x509', ...flags], { input: request });
}

async function makeServiceAccountKey(folder: string): Promise<void> {
  await runCommand('openssl', ['genrsa', '-out', join(folder, 'sa.key'), '2048']);
  await runCommand('openssl', ['rsa', '-in', join(folder, 'sa.key'), '-pubout', '-out', join(folder, 'sa.pub')]);
}

async function writeKubeconfig(layout: ClusterLayout, name: string): Promise<void> {
  const inline = async (file: string) => (await readFile(join(layout.pki, file))).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: layout.name,
        cluster: { server: layout.apiServer, 'certificate-authority-data': await inline('ca.crt') },
      },
    ],
    users: [
      {
        name,
        user: {
          'client-certificate-data': await inline(`${name}.crt`),
          'client-key-data': await inline(`${name}.key`),
        },
      },
    ],
    contexts: [{ name: layout.name, context: { cluster: layout.name, user: name } }],
    'current-context': layout.name,
  };
  // JSON is YAML, and every client reads it.
  await writeFile(join(layout.kubeconfigs, `${name}.conf`), `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
