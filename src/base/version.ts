/** The version of this program: snapshots, recipes and `--version` name it. */
import packageJson from '../../package.json' with { type: 'json' };

export const { version } = packageJson;
