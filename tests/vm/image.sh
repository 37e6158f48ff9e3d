#!/usr/bin/env bash
# image.sh PACKAGES DIR: makes DIR/{vmlinuz,initrd,root.img}, a Debian machine that qemu boots.
# PACKAGES is the list of packages. They come from where this system gets its own, and are only unpacked:
# no maintainer script runs, nothing is installed here. Run as root, so that files get their owners.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
packages=$(awk '!/^#/ && NF { print $1 }' "$1")
dir=$2
root=$dir/root
rm -rf "$dir"
mkdir -p "$dir/archives/partial"

# An empty status file: apt counts nothing as installed and fetches all that the packages depend on.
: >"$dir/status"
# shellcheck disable=SC2086  # the packages are words
apt-get -qq -y --download-only --no-install-recommends \
  -o Dir::State::status="$dir/status" -o Dir::Cache::archives="$dir/archives" \
  -o APT::Sandbox::User=root install $packages

mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
for archive in "$dir"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$root" --keep-directory-symlink \
    --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale' \
    --exclude='./usr/share/info' --exclude='./usr/lib/python3*' --exclude='./usr/share/perl'
done
rm -r "$dir/archives" "$dir/status"

# What maintainer scripts would have made.
cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
ln -sf mawk "$root/usr/bin/awk"
echo hawser-vm >"$root/etc/hostname"
printf '127.0.0.1 localhost hawser-vm\n' >"$root/etc/hosts"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
echo '/dev/vda / ext4 defaults 0 0' >"$root/etc/fstab"
ln -sfn /run "$root/var/run"
# The journal of a boot is there for the next one.
mkdir -p "$root/var/log/journal"
# Units that Debian's packages enable.
enable() {
  mkdir -p "$root/etc/systemd/system/$2.wants"
  ln -s "/usr/lib/systemd/system/$1" "$root/etc/systemd/system/$2.wants/$1"
}
enable remote-fs.target multi-user.target
enable blk-availability.service sysinit.target
# Units that a machine without their other halves would only wait for.
for unit in tgt.service dmeventd.service lvm2-monitor.service lvm2-lvmpolld.socket systemd-timesyncd.service \
    serial-getty@ttyS0.service getty@tty1.service systemd-firstboot.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
ln -sfn /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

release=$(ls "$root/usr/lib/modules")
depmod -b "$root" "$release"
mv "$root/boot/vmlinuz-$release" "$dir/vmlinuz"

# The initramfs: a static shell and the one driver that finding the root needs.
early=$dir/early
mkdir -p "$early"/{bin,dev,proc,sys,root,mnt}
cp "$root/usr/bin/busybox" "$early/bin/busybox"
modprobe -d "$root" -S "$release" --show-depends virtio_blk | awk '$1 == "insmod" { print $2 }' |
  while read -r module; do
    xz -dc "$module" >"$early/$(basename "$module" .xz)"
    echo "insmod /$(basename "$module" .xz)" >>"$early/modules"
  done
install -m 755 "$here/guest/early-init" "$early/init"
(cd "$early" && find . | cpio -o -H newc --quiet) >"$dir/initrd"

truncate -s 1G "$dir/root.img"
mkfs.ext4 -q -F -d "$root" -O ^has_journal "$dir/root.img"
rm -r "$root" "$early"
