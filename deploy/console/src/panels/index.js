// Which kinds of panels this page draws, and what it says of the others.
import { bargauge } from './bargauge.js';
import { gauge } from './gauge.js';
import { heatmap } from './heatmap.js';
import { piechart } from './piechart.js';
import { stat } from './stat.js';
import { stateTimeline } from './statetimeline.js';
import { table } from './table.js';
import { text } from './text.js';
import { timeseries } from './timeseries.js';

/**
 * Each draws into an element and returns what a screen reader is told of it:
 * `draw(body, { panel, series, range, context })`, where `context` has `choices`, `address` and `zoom(from, to)`.
 */
export const PANELS = Object.freeze({
  bargauge,
  gauge,
  heatmap,
  piechart,
  stat,
  'state-timeline': stateTimeline,
  table,
  text,
  timeseries,
});
