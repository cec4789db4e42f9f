#!/bin/sh
# What a real Qt window needs on Linux, with or without a screen: install what is missing, or say how.
# Never fails: without these the library and the command line work all the same.
set -u
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Linux ] || exit 0

# What is looked for (a command or a shared library), and the Debian package that brings it.
wanted="
xvfb-run xvfb
xauth xauth
libEGL.so.1 libegl1
libGL.so.1 libgl1
libOpenGL.so.0 libopengl0
libxkbcommon-x11.so.0 libxkbcommon-x11-0
libxcb-cursor.so.0 libxcb-cursor0
libxcb-icccm.so.4 libxcb-icccm4
libxcb-image.so.0 libxcb-image0
libxcb-keysyms.so.1 libxcb-keysyms1
libxcb-render-util.so.0 libxcb-render-util0
libxcb-shape.so.0 libxcb-shape0
libdbus-1.so.3 libdbus-1-3
libglib-2.0.so.0 libglib2.0-0
libfontconfig.so.1 libfontconfig1
swrast_dri.so libgl1-mesa-dri
"

libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null)
present() {
    case $1 in
        *_dri.so) ls /usr/lib/*/dri/"$1" /usr/lib*/dri/"$1" 2>/dev/null | grep -q . ;;
        *.so.*) echo "$libraries" | grep -qF "$1 " ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing=$(echo "$wanted" | while read -r sign package; do
    [ -z "$sign" ] || present "$sign" || printf '%s ' "$package"
done)
[ -n "$missing" ] || exit 0

. scripts/as_root.sh
# shellcheck disable=SC2086  # a list of words
if can_apt && apt_install $missing; then
    exit 0
fi
echo "== Some libraries that a napari window needs are missing, and this user cannot install them. As an administrator:"
echo "==     apt-get install $missing"
