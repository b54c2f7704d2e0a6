#!/bin/sh
# Lays out in the folder $1 what the image takes of Debian, and nothing else, and writes a line for
# each package that it comes from into the file $2: name, version, architecture, source package.
# With `gpu` as $3 it is the GPU image's.
set -eu
root=$1 packages=$2 kind=${3:-cpu}
libraries='libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libgcc_s.so.1 libstdc++.so.6'
names='libc6 libgcc-s1 libstdc++6 locales ca-certificates'
if [ "$kind" = gpu ]; then
  # cuDNN's are linked with it.
  libraries="$libraries libz.so.1" names="$names zlib1g"
fi

# The C and C++ libraries that the binary and ONNX Runtime are linked with, at the paths where the
# loader looks. `--library-path` inside the image would be a second way to say the same.
loader=$(ldd /bin/sh | grep -o '/lib[^ ]*/ld-linux[^ ]*')
folder=$(dirname "$(ldd /bin/sh | grep -o '/[^ ]*/libc\.so\.6')")
mkdir -p "$root$(dirname "$loader")" "$root$folder"
cp -L "$loader" "$root$loader"
for library in $libraries; do
  cp -L "$folder/$library" "$root$folder/"
done

# ONNX Runtime's StringNormalizer refuses to load without this locale. It asks it for the case of
# letters only, so the collation tables, the largest part by far, are those of C.UTF-8.
mkdir -p /tmp/locale "$root/usr/lib/locale"
sed '/^LC_COLLATE/,/^END LC_COLLATE/d' /usr/share/i18n/locales/en_US > /tmp/locale/en_US
sed -n '/^LC_COLLATE/,/^END LC_COLLATE/p' /usr/share/i18n/locales/C >> /tmp/locale/en_US
localedef --no-archive --inputfile=/tmp/locale/en_US --charmap=UTF-8 "$root/usr/lib/locale/en_US.utf8"

# Certificates for the AWS APIs: those that Debian trusts, none that this machine was given beside.
mkdir -p "$root/etc/ssl/certs"
sed -n 's|^[^#!]|/usr/share/ca-certificates/&|p' /etc/ca-certificates.conf |
  xargs cat > "$root/etc/ssl/certs/ca-certificates.crt"

# Names of users and hosts, and the one folder that can be written to.
printf 'root:x:0:0:root:/:\nnobody:x:65534:65534:nobody:/:\n' > "$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > "$root/etc/nsswitch.conf"
mkdir -m 1777 "$root/tmp"

# The NVIDIA container toolkit lays the host's driver into the container, where it is: below
# /usr$folder in an image that says it is of Debian, or at the place that it has on the host; then it
# runs the host's ldconfig in the container. These files tell both.
if [ "$kind" = gpu ]; then
  mkdir "$root/etc/ld.so.conf.d"
  cp /etc/debian_version "$root/etc/"
  echo 'include /etc/ld.so.conf.d/*.conf' > "$root/etc/ld.so.conf"
  printf '%s\n' "$folder" "/usr$folder" /usr/lib64 > "$root/etc/ld.so.conf.d/plimsoll.conf"
fi

: > "$packages"
for package in $names; do
  mkdir -p "$root/usr/share/doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
  dpkg-query --show --showformat='${Package}\t${Version}\t${Architecture}\t${source:Package}\n' \
    "$package" >> "$packages"
done
