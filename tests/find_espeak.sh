#!/usr/bin/env bash
# Makes sure that espeak-ng, which speaks the training clips, is there; installs Debian's package when root, exits 1, loudly, when it cannot be had.
set -uo pipefail
if command -v espeak-ng; then exit 0; fi
if [ -e /etc/debian_version ] && [ "$(id -u)" = 0 ]; then
  echo "No espeak-ng: installing Debian's package." >&2
  (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends espeak-ng) >/dev/null 2>&1
  if command -v espeak-ng; then exit 0; fi
fi
echo "*** NO espeak-ng: the tests that speak and that make a model cannot run. Install the package espeak-ng. ***" >&2
exit 1
