/** `--progress`: how commands that move bytes tell how far they are. */

import { Option } from 'commander';

const progressStyles = ['bar', 'plain', 'json', 'none'] as const;
export type ProgressStyle = (typeof progressStyles)[number];

export function progressFlag(): Option {
  const text =
    'how progress is told on stderr (default: bar on a terminal, plain lines elsewhere); with --json it is among the other lines, or none';
  return new Option('--progress <STYLE>', text).choices(progressStyles);
}
