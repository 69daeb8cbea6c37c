/** What commands of hooks wrote, fit to be shown: its end, and no word of a command that looks like a secret. Pure. */
import { isSecretKey, redactedValue } from '../manifest/redact.ts';

const LINES = 5;

/** The last lines of an output, one after the other behind ` / `. */
export function lastLines(output: string, command: readonly string[]): string {
  const secrets = secretsIn(command);
  const hide = (line: string) => secrets.reduce((text, secret) => text.replaceAll(secret, redactedValue), line);
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return lines
    .slice(-LINES)
    .map((line) => hide(line.trim()).replace(/(:\/\/[^\s/:@]*:)[^\s/@]+@/g, `$1${redactedValue}@`))
    .join(' / ');
}

/** Values behind `PGPASSWORD=`, `--password=`, `--token x`, `-px`, also within the text of a script. */
function secretsIn(command: readonly string[]): string[] {
  const words = command.flatMap((text) => [...new Set([text, ...wordsOf(text)])]);
  const found = words.flatMap((word, at) => {
    const [key = '', value] = splitOnce(word);
    if (value !== undefined) return isSecretKey(key) ? [value] : [];
    if (key.startsWith('--') && isSecretKey(key)) return words[at + 1] ?? [];
    return /^-p[^-]{6,}$/.test(word) ? [word.slice(2)] : [];
  });
  return found.filter((secret) => secret.length > 2).toSorted((a, b) => b.length - a.length);
}

/** As a shell would take them apart. */
function wordsOf(text: string): string[] {
  const words = text.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  return words.map((word) => word.replaceAll(/['"]/g, ''));
}

function splitOnce(word: string): [string, string | undefined] {
  const at = word.indexOf('=');
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
