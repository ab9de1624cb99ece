"""The service's pages in a real Chromium, with somebody signed in: no hub, no socket, no loop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import BrowserContext, Route

from support.signed_in import SignedIn

ORIGIN = "http://testserver"


def answer_with(context: BrowserContext, signed: SignedIn) -> None:
    """Let the service of `signed` answer whatever the context's pages ask for."""
    # The application's loop runs beside the browser's own, in a thread.
    asking = ThreadPoolExecutor(max_workers=1)

    def answer(route: Route) -> None:
        request = route.request
        path = request.url.removeprefix(ORIGIN)
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        found = asking.submit(
            signed.ask, request.method, path, content=request.post_data_buffer or b"", headers=headers
        ).result()
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.content)

    context.route("**/*", answer)
    context.on("close", lambda _: asking.shutdown(wait=False))
