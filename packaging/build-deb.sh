#!/bin/sh
# Makes hopline_VERSION_ARCH.deb in the folder that is named, or here: from the package that npm makes, with the packages that it needs.
#
# Usage: packaging/build-deb.sh [FOLDER], after `npm run build`. Needs npm and its registry, dpkg-deb, gzip.
set -eu
umask 022
home=$(cd "$(dirname "$0")/.." && pwd)
out=$(cd "${1:-.}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$home"
version=$(node -p 'require("./package.json").version')
# Whatever has native code is of the architecture of this machine.
arch=$(dpkg --print-architecture)
root=$work/root
lib=$root/usr/lib/hopline
mkdir -p "$lib" "$root/DEBIAN"

npm pack --ignore-scripts --silent --pack-destination "$work" >/dev/null
tar -xzf "$work/hopline-$version.tgz" -C "$lib" --strip-components=1
# The same versions as are tested: those of the lock file, which no package has in it.
cp package-lock.json "$lib/"
npm ci --omit=dev --ignore-scripts --no-audit --no-fund --silent --prefix "$lib" >/dev/null
rm "$lib/package-lock.json"

put() { # MODE FILE PLACE
  install -D -m "$1" "$2" "$root/$3"
}
mkdir -p "$root/usr/bin"
ln -s ../lib/hopline/dist/bin/main.js "$root/usr/bin/hopline"
put 644 packaging/hopline.service usr/lib/systemd/system/hopline.service
put 644 packaging/hopline.socket usr/lib/systemd/system/hopline.socket
put 644 packaging/hopline.yaml etc/hopline/hopline.yaml
for page in man/*.1; do
  gzip -9n <"$page" >"$work/page"
  put 644 "$work/page" "usr/share/man/man1/$(basename "$page").gz"
done
for shell in bash zsh fish; do node dist/bin/main.js completion "$shell" >"$work/$shell"; done
put 644 "$work/bash" usr/share/bash-completion/completions/hopline
put 644 "$work/zsh" usr/share/zsh/vendor-completions/_hopline
put 644 "$work/fish" usr/share/fish/vendor_completions.d/hopline.fish
put 644 LICENSE usr/share/doc/hopline/copyright
gzip -9n <CHANGELOG.md >"$work/changelog"
put 644 "$work/changelog" usr/share/doc/hopline/changelog.gz

printf '/etc/hopline/hopline.yaml\n' >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do put 755 "packaging/$script" "DEBIAN/$script"; done
cat >"$root/DEBIAN/control" <<END
Package: hopline
Version: $version
Architecture: $arch
Maintainer: hopline contributors
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: nodejs (>= 20.18), procps
Recommends: systemd
Section: net
Priority: optional
Description: moves files through a chain of machines
 A client writes the route; each node on it passes the bytes on, or serves the file. Every piece is verified.
END
chmod -R go-w,a+rX "$root"
dpkg-deb --root-owner-group --build "$root" "$out/hopline_${version}_$arch.deb"
