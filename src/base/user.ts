/** The user that this process runs as. */
import { userInfo } from 'node:os';

/** A user without an entry in the password file, as in most containers, has its number for a name. */
export function currentUser(): { username: string; uid: number; gid: number } {
  try {
    const { username, uid, gid } = userInfo();
    return { username, uid, gid };
  } catch {
    const uid = process.getuid?.() ?? -1;
    return { username: String(uid), uid, gid: process.getgid?.() ?? -1 };
  }
}
