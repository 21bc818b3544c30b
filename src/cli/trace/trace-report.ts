/**
 * How a trace is shown while it runs: at a terminal a table that is drawn again, elsewhere a line or an object for each hop as
 * soon as it and those before it are done.
 *
 * Invariant: at a terminal, what is drawn again is what was drawn before, and nothing above it.
 */

import type { HopLook } from '../../client/trace/hop-look.ts';
import { loadTcpInfo } from '../../io/kernel/tcp-info.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { jsonLine, onScreen, print, printOver } from '../terminal/lines.ts';
import { jsonOfLook } from './trace-json.ts';
import {
  addressWidthOf,
  formatHopLook,
  formatRouteHead,
  formatTraceHead,
  type TraceTextOptions,
} from './trace-text.ts';

export interface TraceReport {
  look(looks: readonly HopLook[]): void;
  /** Nothing more comes, whether or not all is done. */
  end(looks: readonly HopLook[]): void;
}

const drawEveryMs = 100;
/** Where there is no terminal to ask. */
const pipeColumns = 100;

interface ReportFlags {
  readonly json?: boolean;
  readonly rate?: boolean;
}

export function createTraceReport(routes: RoutePlan['routes'], { json, rate = false }: ReportFlags): TraceReport {
  if (json) return reportInOrder((look) => process.stdout.write(jsonLine(jsonOfLook(look))));
  const addressWidth = addressWidthOf(routes.flat(2));
  const shown = { rate, tcp: loadTcpInfo() !== undefined, addressWidth };
  const options = (): TraceTextOptions => ({ columns: process.stdout.columns || pipeColumns, ...shown });
  if (process.stdout.isTTY) return reportLive(options);
  print(formatTraceHead(options()));
  return reportInOrder((look, all) => {
    for (const line of linesOf(look, all, options())) print(line);
  });
}

/** All of it, as it is drawn. */
export function formatTrace(looks: readonly HopLook[], options: TraceTextOptions): string[] {
  return [formatTraceHead(options), ...looks.flatMap((look) => linesOf(look, looks, options))];
}

function linesOf(look: HopLook, all: readonly HopLook[], options: TraceTextOptions): string[] {
  const isFirst = all.find(({ route }) => route === look.route) === look;
  const hasSeveral = all.some(({ route }) => route > 1);
  return [...(isFirst && hasSeveral ? [formatRouteHead(look.route)] : []), ...formatHopLook(look, all, options)];
}

function reportInOrder(tell: (look: HopLook, all: readonly HopLook[]) => void): TraceReport {
  const told = new Set<HopLook>();
  const tellDone = (looks: readonly HopLook[]) => {
    for (const look of looks) {
      if (!look.isDone) return;
      if (!told.has(look)) tell(look, looks);
      told.add(look);
    }
  };
  return {
    look: tellDone,
    end: (looks) => {
      for (const look of looks) if (!told.has(look)) tell(look, looks);
    },
  };
}

function reportLive(options: () => TraceTextOptions): TraceReport {
  let drawn: readonly string[] = [];
  let dueMs = 0;
  const draw = (lines: readonly string[]) => {
    printOver(drawn, lines);
    drawn = lines;
  };
  return {
    look: (looks) => {
      if (performance.now() < dueMs) return;
      dueMs = performance.now() + drawEveryMs;
      draw(onScreen(formatTrace(looks, options())));
    },
    end: (looks) => draw(formatTrace(looks, options())),
  };
}
