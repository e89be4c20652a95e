// Grafana's named colours, its classic palette for series, and the scales of heatmaps, for dark and light. No DOM.
import { mappingOf } from './units.js';
import { thresholdStep } from './reduce.js';

// Hue: super-light, light, medium, semi-dark, dark; as Grafana names them, dark theme first.
const HUES = {
  dark: {
    red: ['#FFA6B0', '#FF7383', '#F2495C', '#E02F44', '#C4162A'],
    orange: ['#FFCB7D', '#FFB357', '#FF9830', '#FF780A', '#FA6400'],
    yellow: ['#FFF899', '#FFEE52', '#FADE2A', '#F2CC0C', '#E0B400'],
    green: ['#C8F2C2', '#96D98D', '#73BF69', '#56A64B', '#37872D'],
    blue: ['#C0D8FF', '#8AB8FF', '#5794F2', '#3274D9', '#1F60C4'],
    purple: ['#DEB6F2', '#CA95E5', '#B877D9', '#A352CC', '#8F3BB8'],
  },
  light: {
    red: ['#FF9CA6', '#F2495C', '#E02F44', '#C4162A', '#AD0317'],
    orange: ['#FFB357', '#FF9830', '#FF780A', '#FA6400', '#E55400'],
    yellow: ['#FFEE52', '#FADE2A', '#F2CC0C', '#E0B400', '#CC9D00'],
    green: ['#96D98D', '#73BF69', '#56A64B', '#37872D', '#19730E'],
    blue: ['#8AB8FF', '#5794F2', '#3274D9', '#1F60C4', '#1250B0'],
    purple: ['#CA95E5', '#B877D9', '#A352CC', '#8F3BB8', '#7C2EA3'],
  },
};
const SHADES = ['super-light', 'light', '', 'semi-dark', 'dark'];
const PLAIN = {
  dark: { text: '#CCCCDC', transparent: 'transparent', white: '#FFFFFF', black: '#000000', gray: '#8E8E9C' },
  light: { text: '#24292E', transparent: 'transparent', white: '#FFFFFF', black: '#000000', gray: '#6A6F76' },
};

const NAMED = Object.fromEntries(
  Object.entries(HUES).map(([mode, hues]) => {
    const shades = Object.entries(hues).flatMap(([hue, colours]) =>
      colours.map((colour, i) => [SHADES[i] ? `${SHADES[i]}-${hue}` : hue, colour]),
    );
    return [mode, { ...Object.fromEntries(shades), ...PLAIN[mode] }];
  }),
);

const SERIES = [
  'green', 'semi-dark-yellow', 'light-blue', 'semi-dark-orange', 'red', 'blue', 'purple', '#705DA0',
  'dark-green', 'yellow', '#447EBC', '#C15C17', 'dark-red', '#0A437C', '#6D1F62', '#584477',
]; // prettier-ignore

/** Words of text need more contrast than lines and areas: darker on white than Grafana's own. */
const WORDS_ON_LIGHT = {
  red: '#C4162A', orange: '#A84300', yellow: '#7A5E00', green: '#19730E', blue: '#1250B0', purple: '#7C2EA3',
}; // prettier-ignore
const WORDS_ON_DARK = { red: '#FF7383' };

/** Return the CSS colour that a dashboard names; anything that is no name is a CSS colour already. */
export const colour = (name, mode) => NAMED[mode][name] ?? name;

/** Return the colour of a word or number in that name. */
export function wordColour(name, mode) {
  const words = mode === 'light' ? WORDS_ON_LIGHT : WORDS_ON_DARK;
  return words[name] ?? colour(name, mode);
}

/** Return the colour of the n-th series. */
export const seriesColour = (index, mode) => colour(SERIES[index % SERIES.length], mode);

/** Return the name of a value's colour: its mapping's, else its threshold's. */
export const valueColourName = (field, value) =>
  mappingOf(value, field.mappings)?.color ?? thresholdStep(field, value)?.color ?? 'green';

/** Return the colour in which a field draws its n-th series, whose number is `value`. */
export function fieldColour(field, index, value, mode) {
  const { mode: by = 'palette-classic', fixedColor } = field.color ?? {};
  if (by === 'fixed' || by === 'shades') return colour(fixedColor ?? 'green', mode);
  if (by === 'thresholds') return colour(valueColourName(field, value), mode);
  return seriesColour(index, mode);
}

/** The colour modes that a dashboard may use. */
export const KNOWN_COLOUR_MODES = Object.freeze(['thresholds', 'palette-classic', 'fixed', 'shades']);

// From few to many. On white the scale runs the other way round: empty is light, full is dark.
const SCHEMES = {
  dark: {
    Oranges: ['#3A2312', '#7F3B08', '#B35806', '#E08214', '#FDB863', '#FEE0B6'],
    Blues: ['#10233A', '#08519C', '#3182BD', '#6BAED6', '#BDD7E7', '#EFF3FF'],
    Greens: ['#12301C', '#006D2C', '#31A354', '#74C476', '#BAE4B3', '#EDF8E9'],
  },
  light: {
    Oranges: ['#FEEDDE', '#FDD0A2', '#FDAE6B', '#F16913', '#D94801', '#7F2704'],
    Blues: ['#EFF3FF', '#BDD7E7', '#6BAED6', '#3182BD', '#08519C', '#08306B'],
    Greens: ['#EDF8E9', '#BAE4B3', '#74C476', '#31A354', '#006D2C', '#00441B'],
  },
};

/** The colour scales of heatmaps. */
export const KNOWN_SCHEMES = Object.freeze(Object.keys(SCHEMES.dark));

/** Return the colours of a heatmap, from few to many. */
export const heatScale = (scheme, mode) => SCHEMES[mode][scheme] ?? SCHEMES[mode].Oranges;
