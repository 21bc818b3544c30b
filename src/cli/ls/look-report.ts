/** How the course of a question to an origin is told, for `ls` and `stat`; what is found, they print themselves. */

import type { LookResult } from '../../client/listings/look.ts';
import type { RerouteEvent } from '../../client/transfer-events.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { say } from '../terminal/lines.ts';
import { startConnecting } from '../terminal/progress.ts';
import { createReport, noReport, type Report } from '../terminal/report.ts';
import { jsonOfRoutes, tellReroute } from '../terminal/show.ts';

/** `asked`: what is looked at, and `fieldsOf`: what was found, both for scripts. */
export function createLookReport<Result extends LookResult>(
  asked: object,
  routes: RoutePlan['routes'],
  flags: { readonly json?: boolean; readonly quiet?: boolean },
  fieldsOf: (result: Result) => object,
): Report<RerouteEvent, Result> {
  return createReport<RerouteEvent, Result>(flags, process.stdout, {
    route: { ...asked, routes: jsonOfRoutes(routes) },
    result: (result) => ['done', fieldsOf(result)],
    text: () => {
      const connecting = startConnecting(routes[0]);
      return { ...noReport, event: (event) => connecting.say(tellReroute(event)), say, stop: () => connecting.stop() };
    },
  });
}
