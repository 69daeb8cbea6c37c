/**
 * The shell program that holds an application for a cut: before-command, wait to be told, after-command. It runs in the
 * container, so that the after-command comes even when nobody is left to ask for it (R11.1). Pure: text out.
 */

export interface HeldCommands {
  /** Program and arguments; undefined where there is nothing to do before. */
  readonly before: readonly string[] | undefined;
  readonly after: readonly string[];
  /** Whole seconds for each command. */
  readonly limitSeconds: number;
  /** Whole seconds from the end of the before-command until the after-command runs by itself. */
  readonly holdSeconds: number;
}

/** The line that tells the program that the cut is made. */
export const RELEASE = 'done\n';

/**
 * For `sh -c`, any POSIX shell; beside it only `sleep` is needed, and nothing is written to a file. On standard output it
 * says `before CODE` and `after CODE` (`late`: it was ended at its limit; `expired`: the after-command has run by itself),
 * one line each; what the commands say goes to standard error. When the connection ends, standard input does, and the
 * after-command runs at once; when the program itself is killed, its timer is left, and runs it at the deadline.
 */
export function heldProgram({ before = ['true'], after, limitSeconds, holdSeconds }: HeldCommands): string {
  return `
exec 3<&0 </dev/null
trap : PIPE
before() { exec ${before.map(quote).join(' ')}; }
after() { exec ${after.map(quote).join(' ')}; }
timer() {
  sleep "$1" & nap=$!
  shift
  trap 'kill "$nap"; exit 75' TERM
  wait "$nap"
  trap : TERM
  ("$@")
  exit 0
}
stop() { kill "$1"; wait "$1"; } 2>/dev/null
limited() {
  "$1" >&2 3<&- & work=$!
  timer ${limitSeconds} kill "$work" >/dev/null 2>&1 3<&- & nurse=$!
  wait "$work"; code=$?
  stop "$nurse"
  [ $? = 0 ] && code=late
  echo "$1 $code"
}
command -v sleep >/dev/null || { echo 'there is no sleep in the container' >&2; exit 127; }
timer ${limitSeconds + holdSeconds} after >/dev/null 2>&1 3<&- & first=$!
limited before
timer ${holdSeconds} after >/dev/null 2>&1 3<&- & guard=$!
stop "$first"
[ $? = 0 ] && { stop "$guard"; echo 'after expired'; exit 0; }
read -r word <&3
[ "$word" = ${RELEASE.trim()} ] || exec >/dev/null 2>&1
stop "$guard"
[ $? = 0 ] && { echo 'after expired'; exit 0; }
limited after
exit 0
`;
}

/** One word to the shell, whatever is in it. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
