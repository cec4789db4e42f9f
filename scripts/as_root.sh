# Sourced by the other scripts: install Debian packages where this user may.

root=
[ "$(id -u)" = 0 ] || root="sudo -n"

can_apt() {
    command -v apt-get >/dev/null 2>&1 && { [ -z "$root" ] || $root true 2>/dev/null; }
}

apt_install() {
    echo "== installing system packages: $*"
    $root env DEBIAN_FRONTEND=noninteractive sh -c '
        apt-get update -qq || echo "apt-get update failed; going on with the lists at hand" >&2
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    ' apt "$@" </dev/null
}
