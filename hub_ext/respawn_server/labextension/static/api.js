// The server extension's API (api.py), with the server's own authentication and XSRF protection.

/** What the server refused: its message is meant for people. */
export class Refused extends Error {
  constructor(message, code, status, fields = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.fields = fields;
  }
}

export class Api {
  constructor(lab) {
    this._connection = lab.services.ServerConnection;
    this._url = lab.coreutils.URLExt;
  }

  /** @param {{rerunOnce: boolean, rerunMakers: boolean, loadImported: boolean, strict: ?boolean}} agreement what the person agreed to */
  plan(path, agreement) {
    return this._call("POST", "plan", resumeBody(path, agreement));
  }

  resume(path, agreement) {
    return this._call("POST", "resume", resumeBody(path, agreement));
  }

  restart(path) {
    return this._call("POST", "restart", { path });
  }

  /** The debugged run, and the last of those that go on from it: null where there is none. */
  outcome(path) {
    return this._call("GET", `outcome?${new URLSearchParams({ path })}`);
  }

  inspect(path) {
    return this._call("GET", `inspect?${new URLSearchParams({ path })}`);
  }

  promote(request) {
    return this._call("POST", "promote", request);
  }

  /** What `promote` would do, and what it would refuse; changes nothing. */
  previewPromotion(request) {
    return this._call("POST", "promote/preview", request);
  }

  /** @param {{schedule: string, job: string}} change with what becomes of it; `remove` ends it */
  changeSchedule(change) {
    return this._call("POST", "schedule", change);
  }

  runNow(request) {
    return this._call("POST", "run", request);
  }

  /** What writing the fix of a debug notebook to its job's file would do. */
  fix(path) {
    return this._call("GET", `write-back?${new URLSearchParams({ path })}`);
  }

  writeBack(path, seen) {
    return this._call("POST", "write-back", { path, seen });
  }

  preview(cron, tz) {
    return this._call("GET", `preview?${new URLSearchParams({ cron, tz })}`);
  }

  async _call(method, route, body) {
    const settings = this._connection.makeSettings();
    const url = `${this._url.join(settings.baseUrl, "respawn/api")}/${route}`;
    const init = body ? { method, body: JSON.stringify(body) } : { method };
    let response;
    try {
      response = await this._connection.makeRequest(url, init, settings);
    } catch {
      throw new Refused("Your Jupyter server does not answer. Is it still running?", "unavailable", 0);
    }
    const document = await response.json().catch(() => ({}));
    if (!response.ok) {
      const message = document.message || `The Jupyter server answered ${response.status}.`;
      throw new Refused(message, document.error || "error", response.status, document.fields || {});
    }
    return document;
  }
}

function resumeBody(path, { rerunOnce, rerunMakers, loadImported, strict }) {
  return { path, rerun_once: rerunOnce, rerun_makers: rerunMakers, load_imported: loadImported, strict };
}
