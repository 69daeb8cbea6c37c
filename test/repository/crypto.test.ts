import { expect, test } from 'vitest';
import { authenticate, drawMasterKey, open, seal, tryOpen } from '../../src/repository/crypto.ts';

/** From Bernstein, "The Poly1305-AES message-authentication code", appendix B. */
const vectors = [
  {
    message: 'f3f6',
    r: '851fc40c3467ac0be05cc20404f3f700',
    k: 'ec074c835580741701425b623235add6',
    nonce: 'fb447350c4e868c52ac3275cf9d4327e',
    mac: 'f4c633c3044fc145f84f335cb81953de',
  },
  {
    message: '',
    r: 'a0f3080000f46400d0c7e9076c834403',
    k: '75deaa25c09f208e1dc4ce6b5cad3fbf',
    nonce: '61ee09218d29b0aaed7e154a2c5509cc',
    mac: 'dd3fab2251f11ac759f0887129cc2ee7',
  },
  {
    message: '663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136',
    r: '48443d0bb0d21109c89a100b5ce2c208',
    k: '6acb5f61a7176dd320c5c1eb2edcdc74',
    nonce: 'ae212a55399729595dea458bc621ff0e',
    mac: '0ee1c16bb73f0f4fd19881753c01cdbe',
  },
];

test.each(vectors)('the signature of "$message" is the one in the paper', ({ message, r, k, nonce, mac }) => {
  const key = { encrypt: Buffer.alloc(32, 1), macK: Buffer.from(k, 'hex'), macR: Buffer.from(r, 'hex') };
  expect(authenticate(key, Buffer.from(nonce, 'hex'), Buffer.from(message, 'hex')).toString('hex')).toBe(mac);
});

test('what was sealed opens again, and is 32 bytes longer', () => {
  const key = drawMasterKey();
  for (const size of [0, 1, 15, 16, 17, 1000, 100_000]) {
    const plain = Buffer.alloc(size, 7);
    const sealed = seal(key, plain);
    expect(sealed.length).toBe(size + 32);
    expect(tryOpen(key, sealed)).toEqual(plain);
  }
});

test('a changed bit anywhere, another key or too few bytes do not open', () => {
  const key = drawMasterKey();
  const sealed = seal(key, Buffer.from('secret'));
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    expect(tryOpen(key, changed)).toBeUndefined();
  }
  expect(tryOpen(drawMasterKey(), sealed)).toBeUndefined();
  expect(tryOpen(key, sealed.subarray(0, 31))).toBeUndefined();
  expect(() => open(key, Buffer.alloc(40), { kind: 'index', name: 'x' })).toThrow(/Index x is damaged/);
});
