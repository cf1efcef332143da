# What the set-up scripts share; sourced, not run. A script sets `noun` (the first word of its messages) before it sources this.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # the variables set here are used there, and the other way round
set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${IPFS_KITD_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set; set IPFS_KITD_CACHE to a folder for downloads}/.cache}/ipfs-kitd}
deps=${IPFS_KITD_DEPS:-$root/.deps}

# stdout belongs to the result (a path), so everything for people goes to stderr.
say() { printf '%s: %s\n' "$noun" "$*" >&2; }
die() { say "$*"; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

arch=$(uname -m)
case $arch in
  x86_64) goarch=amd64 npmarch=x64 ;;
  aarch64 | arm64) arch=aarch64 goarch=arm64 npmarch=arm64 ;;
  *) die "there is no prebuilt file for $arch; only x86_64 and aarch64 are supported." ;;
esac

# Holds the folder's lock until the script ends; a second set-up waits here and then finds the work done.
# Children get 9>&-, so that one which outlives the script can't keep the lock.
lock() {
  mkdir -p "$1"
  have flock || die "flock is missing. Install util-linux, then run make setup again."
  exec 9>"$1/.lock"
  flock -n 9 || { say "another set-up works on $1; waiting for it"; flock 9; }
}

# A scratch folder beside the final place (the same file system, so that the last step is a rename), gone when the script ends.
scratch() {
  rm -rf "$1"/.tmp.* # we hold the lock: whoever left these is dead
  tmp=$(mktemp -d "$1/.tmp.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# install_file FROM TO: TO is always the whole old file or the whole new one, also after a power cut.
# (The `|| die`s here and below matter: `set -e` does nothing in a function that is called inside an `if`.)
install_file() {
  sync "$1" 2>/dev/null || sync
  { mkdir -p "$(dirname "$2")" && mv -f "$1" "$2"; } || die "can't write $2 (see the line above). Make room there, or set IPFS_KITD_CACHE to another folder, then run make setup again."
}

# link_to TARGET NAME: .deps/NAME in the checkout points at TARGET, replaced in one step.
link_to() {
  { mkdir -p "$deps" && ln -sfn "$1" "$deps/.$2.$$" && mv -fT "$deps/.$2.$$" "$deps/$2"; } ||
    die "can't write $deps/$2 (see the line above). Make the checkout writable, then run make setup again."
}

get() {
  curl --fail --location --silent --show-error --proto '=https,http' --proto-redir '=https' --connect-timeout 5 \
    --speed-limit 1000 --speed-time 30 "$@" 9>&-
}

# get_small URL FILE: a file of a few hundred bytes; also the quick test of whether the host can be reached.
get_small() { get --max-time 30 --output "$2" "$1"; }

# get_large URL FILE: what has arrived stays in FILE.part, so that the next try, now or in a later run, fetches the rest only.
get_large() {
  local before after=0 code rc
  while :; do
    before=$after rc=0
    code=$(get --continue-at - --output "$2.part" --write-out '%{http_code}' "$1") || rc=$?
    after=$(stat -c %s "$2.part" 2>/dev/null || echo 0)
    case $rc/$code in
      0/* | 22/416) mv -f "$2.part" "$2"; return ;; # 416: nothing is left to fetch; the checksum tells whether that is true
      33/*) rm "$2.part"; after=0 ;;                # this server can't resume
      18/* | 28/* | 56/* | 92/*) # broken on the way: go on as long as each try brings something
        [ "$after" -gt "$before" ] || return 1
        say "the connection broke after $after bytes; going on from there" ;;
      *) return 1 ;;
    esac
  done
}
