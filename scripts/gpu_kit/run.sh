#!/usr/bin/env bash
# Runs a command in the checkout's root with what scripts/gpu_kit/pack.sh has packed; the first call unpacks it, and nothing is
# installed. The packed Node comes first on the PATH.
#   bash .gpu/run.sh COMMAND ARGUMENTS...
set -euo pipefail
kit=$(cd "$(dirname "$0")" && pwd)

unpack() { # ARCHIVE FOLDER: by Python where tar has no xz.
  mkdir -p "$2"
  tar -C "$2" -xJf "$1" 2>/dev/null || python3 -m tarfile -e "$1" "$2"
}

[ -x "$kit/unpacked/bin/node" ] || unpack "$kit/node.tar.xz" "$kit/unpacked"
[ -d "$kit/../node_modules" ] || unpack "$kit/modules.tar.xz" "$kit/.."
if ! (ldconfig -p || /sbin/ldconfig -p) 2>/dev/null | grep -q 'libvulkan\.so\.1'; then
  [ -d "$kit/unpacked/vulkan" ] || for package in "$kit"/*.deb; do dpkg -x "$package" "$kit/unpacked/vulkan"; done
  export LD_LIBRARY_PATH="$kit/unpacked/vulkan/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
# Containers have NVIDIA's driver where neither loader looks.
nvidia=/usr/local/nvidia
for folder in "$nvidia/lib64" "$nvidia/lib"; do
  [ ! -d "$folder" ] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
icd=$nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -f "$icd" ] && [ -z "${VK_DRIVER_FILES:-}" ]; then export VK_DRIVER_FILES=$icd; fi
export PATH="$kit/unpacked/bin:$PATH"
exec "$@"
