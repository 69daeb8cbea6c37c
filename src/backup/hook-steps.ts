/** What a hook is made of while it runs, of whatever kind it is: it is begun in one place, and released there. */

/** What became of one of the two. */
export interface HookEnd {
  readonly ok: boolean;
  /** As in "the before-command ended with exit code 3". */
  readonly words: string;
  /** Of a command that ended by itself. */
  readonly exitCode?: number | undefined;
}

export interface BegunHook {
  /** undefined where there was nothing to do. */
  readonly before: HookEnd | undefined;
  /** To be called whatever came of the beginning; never throws, and is not cancelled. */
  release(): Promise<ReleasedHook>;
}

export interface ReleasedHook {
  /** undefined where there was nothing to do. */
  readonly after: HookEnd | undefined;
  /** Whether it was this call that let go, so that the application was held until then. */
  readonly held: boolean;
  /** The last lines that commands wrote to standard error, without secrets. */
  readonly stderr: string;
}
