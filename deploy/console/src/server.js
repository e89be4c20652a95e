// What the console's own server says: where everything is, the dashboards, the runbooks, what is silenced.

async function read(path, how) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return answer[how]();
}

export const readConfig = () => read('api/config', 'json');
export const listDashboards = () => read('api/dashboards', 'json');
export const readDashboard = (uid) => read(`api/dashboards/${encodeURIComponent(uid)}`, 'json');

/** Return a runbook as Markdown, or null where there is none. */
export const readRunbook = (alert) => read(`api/runbooks/${encodeURIComponent(alert)}`, 'text').catch(() => null);

/** Return the label sets that Alertmanager holds back because of a silence; none where it does not answer. */
export async function silencedLabels() {
  try {
    const alerts = await read('alertmanager/api/v2/alerts', 'json');
    return alerts.filter(({ status }) => status?.silencedBy?.length).map(({ labels }) => labels);
  } catch {
    return [];
  }
}
