#!/usr/bin/env bash
# Prints the path of a Chromium for the browser tests, installing one when there is none; exits 1, loudly, when none can be had.
set -uo pipefail
cd "$(dirname "$0")/.."

for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name"; then exit 0; fi
done

if [ -e /etc/debian_version ] && [ "$(id -u)" = 0 ]; then
  echo "No browser on the path: installing Debian's chromium." >&2
  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium) >/dev/null 2>&1
  if command -v chromium; then exit 0; fi
fi

python=.venv/bin/python
[ -x "$python" ] || python=python3
playwright_browser() {
  "$python" -c 'from playwright.sync_api import sync_playwright as start
with start() as playwright: print(playwright.chromium.executable_path)' 2>/dev/null
}
path=$(playwright_browser)
if [ -z "$path" ] || [ ! -x "$path" ]; then
  echo "No browser on the path: asking Playwright for its own." >&2
  "$python" -m playwright install chromium >&2
  path=$(playwright_browser)
fi
if [ -n "$path" ] && [ -x "$path" ]; then
  echo "$path"
  exit 0
fi

echo "*** NO BROWSER: the browser tests cannot run. Install chromium or google-chrome, or run 'python -m playwright install chromium'. ***" >&2
exit 1
