// Dark or light: what the reader's system prefers, unless the address says `theme=light` or `theme=dark`.

const prefersLight = matchMedia('(prefers-color-scheme: light)');
const printing = matchMedia('print');
let asked = '';

/** Return `dark` or `light`; paper is white. */
export function themeMode() {
  if (printing.matches) return 'light';
  if (asked === 'light' || asked === 'dark') return asked;
  return prefersLight.matches ? 'light' : 'dark';
}

/** Use what the address asks for; an empty text follows the system. */
export function askTheme(theme) {
  asked = theme;
  apply();
}

/** Call when the theme has changed. */
export function onThemeChange(changed) {
  for (const query of [prefersLight, printing]) {
    query.addEventListener('change', () => {
      apply();
      changed();
    });
  }
}

function apply() {
  document.documentElement.dataset.theme = themeMode();
}

/** Return the value of one of the style sheet's colours, for what is drawn on a canvas. */
export const styled = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
