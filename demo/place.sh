# shellcheck shell=bash
# shellcheck disable=SC2034 # Who sources this uses it.
# Where the demo lives. The socket is in it, and a socket's path must be short.
place=/tmp/privacy_guard_demo-$(id -un)
