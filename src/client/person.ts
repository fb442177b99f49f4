import { userInfo } from 'node:os';

/** Who sits at this terminal: the person behind sudo, else the operating system's user. It is only a word. */
export function operatingSystemUser(): string {
  const behind = process.env.SUDO_USER;
  return behind !== undefined && behind !== '' ? behind : userInfo().username;
}
