# Starts and stops the daemon for tools/run and tools/demo; sourced after lib.sh.
# shellcheck shell=bash disable=SC2154

bin=${CARGO_TARGET_DIR:-$cache/target}/debug
[ -x "$bin/ipfs-kitd" ] && [ -x "$bin/ipfs-kitctl" ] || die "$bin/ipfs-kitd is not built. Run it through make: make $noun."
[ -x "$deps/ipfs" ] || die "$deps/ipfs is missing. Run make setup."
PATH=$bin:$deps:$PATH # so that the commands shown are the commands a person types

# start_node DIR [ARG...]: daemon and Kubo below DIR, which are up when this returns.
# IPFS_PATH tells the daemon, and the `ipfs` commands here, which repo to use: never the person's own ~/.ipfs.
# The profile `test` gives Kubo random ports on loopback and no bootstrap peers: it meets no other node on this machine.
start_node() {
  local home=$1
  shift
  mkdir -p "$home/data" "$home/run"
  export IPFS_KITD_SOCKET=$home/run/ipfs-kitd.sock IPFS_PATH=$home/data/ipfs
  ipfs-kitd --data-dir "$home/data" --runtime-dir "$home/run" --kubo "$deps/ipfs" \
    --init-profile test --interval 5s "$@" &
  daemon=$!
  local tries=0
  until [ -S "$IPFS_KITD_SOCKET" ] && ipfs-kitctl wait --for=kubo=running --timeout 60s; do
    kill -0 "$daemon" 2>/dev/null || { wait "$daemon" || die "the daemon ended with exit code $?"; die "the daemon ended"; }
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || die "Kubo is not running after $tries tries"
    sleep 0.1
  done
}

# The daemon stops its Kubo itself; it gets the time that it promises to need.
stop_node() {
  [ -n "${daemon-}" ] || return 0
  kill -TERM "$daemon" 2>/dev/null || true
  local tries=0
  while kill -0 "$daemon" 2>/dev/null && [ "$tries" -lt 600 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
  kill -KILL "$daemon" 2>/dev/null || true
  wait "$daemon" 2>/dev/null || true
  daemon=
}

kubo_pid() { ipfs-kitctl kubo status -o json | tr ',{}' '\n' | sed -n 's/^ *"pid": *\([0-9][0-9]*\) *$/\1/p' | head -n 1; }
