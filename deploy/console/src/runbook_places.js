// A runbook's queries with the names of the alert at hand instead of placeholders, ready to be copied. No DOM.

const LABELS = {
  NAMESPACE: 'namespace',
  MODEL: 'model_name',
  VERSION: 'model_version',
  FEATURE: 'feature',
  HOST: 'host',
  GPU: 'gpu',
  UUID: 'UUID',
  PIPELINE: 'pipeline',
};

/** Replace `"MODEL"` and its like; a place that the alert does not name stays one. */
export function filledIn(text, labels) {
  return text.replace(/"([A-Z]+)"/g, (whole, place) => {
    const label = Object.hasOwn(LABELS, place) ? LABELS[place] : null;
    return label && labels[label] ? JSON.stringify(labels[label]) : whole;
  });
}
