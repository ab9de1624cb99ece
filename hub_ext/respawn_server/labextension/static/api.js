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

/** The drive on which people edit one document together: its files are those of the server. */
const TOGETHER = "RTC";

export class Api {
  /** @param contents JupyterLab's contents, which know the drives that paths begin with */
  constructor(lab, contents) {
    this._connection = lab.services.ServerConnection;
    this._url = lab.coreutils.URLExt;
    this._contents = contents;
  }

  /** A document's path below the server's root, null for one of another drive. */
  serverPath(path) {
    return ["", TOGETHER].includes(this._contents.driveName(path)) ? this._contents.localPath(path) : null;
  }

  /** Whether a document is edited through the server by several people at once. */
  isShared(path) {
    return this._contents.driveName(path) === TOGETHER;
  }

  _own(path) {
    const own = this.serverPath(path);
    if (own !== null) return own;
    const drive = this._contents.driveName(path);
    throw new Refused(`${path} lies on the drive ${drive}, which is not this Jupyter server's own. Save a copy on the server, and use that.`, "invalid_input", 0);
  }

  /** @param {{rerunOnce: boolean, rerunProducers: boolean, loadImported: boolean, breakTriggers: boolean, strict: ?boolean}} agreement what the person agreed to */
  async plan(path, agreement) {
    return this._call("POST", "plan", resumeBody(this._own(path), agreement));
  }

  async resume(path, agreement) {
    return this._call("POST", "resume", resumeBody(this._own(path), agreement));
  }

  /** @param breakTriggers whether the person agreed that triggers are left with parameters the fix does not take */
  async restart(path, breakTriggers = false) {
    return this._call("POST", "restart", { path: this._own(path), break_triggers: breakTriggers });
  }

  /** The debugged run, the last of those made from it (null where there is none), and whether by a restart. */
  async outcome(path) {
    return this._call("GET", `outcome?${new URLSearchParams({ path: this._own(path) })}`);
  }

  async inspect(path) {
    return this._call("GET", `inspect?${new URLSearchParams({ path: this._own(path) })}`);
  }

  async promote(request) {
    return this._call("POST", "promote", { ...request, path: this._own(request.path) });
  }

  /** What `promote` would do, and what it would refuse; changes nothing. */
  async previewPromotion(request) {
    return this._call("POST", "promote/preview", { ...request, path: this._own(request.path) });
  }

  /** @param {{schedule: string, job: string}} change with what becomes of it; `remove` ends it */
  changeSchedule(change) {
    return this._call("POST", "schedule", change);
  }

  runNow(request) {
    return this._call("POST", "run", request);
  }

  /** What writing the fix of a debug notebook to its job's file would do. */
  async fix(path) {
    return this._call("GET", `write-back?${new URLSearchParams({ path: this._own(path) })}`);
  }

  async writeBack(path, seen) {
    return this._call("POST", "write-back", { path: this._own(path), seen });
  }

  preview(cron, tz) {
    return this._call("GET", `preview?${new URLSearchParams({ cron, tz })}`);
  }

  /** The last message of the opening of a run, once it has ended; null where none is known. */
  async opening(run) {
    const settings = this._connection.makeSettings();
    const url = this._url.join(settings.baseUrl, "respawn/api/debug", encodeURIComponent(run));
    try {
      const response = await this._connection.makeRequest(url, {}, settings);
      return response.ok ? JSON.parse((await response.text()).trim().split("\n").at(-1)) : null;
    } catch {
      return null; // The server went away: JupyterLab says so itself.
    }
  }

  /** The page of a run's debug link on this server. */
  debugPage(run) {
    return this._url.join(this._connection.makeSettings().baseUrl, "respawn/debug", encodeURIComponent(run));
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

function resumeBody(path, { rerunOnce, rerunProducers, loadImported, breakTriggers, strict }) {
  const agreed = { rerun_once: rerunOnce, rerun_producers: rerunProducers, load_imported: loadImported, break_triggers: breakTriggers };
  return { path, ...agreed, strict };
}
